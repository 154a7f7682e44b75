"""Pitch as a model takes it, and its segments."""

import itertools
import math

import numpy as np
import pytest
import torch

from tts.audio.pitch import F0Statistics
from tts.config import AudioConfig
from tts.data.feature_file import FeatureInfo, features_path, write_features
from tts.data.manifest import ManifestRow, write_audio_config, write_manifest
from tts.data.pitch_segments import PitchSegments, read_pitch
from tts.data.statistics import Statistics
from tts.errors import DataError, SpeakerError

STATISTICS = Statistics(
    mel_mean=0.0,
    mel_std=1.0,
    f0=F0Statistics(mean=5.0, std=0.5),
    speakers={"ada": F0Statistics(mean=math.log(100), std=0.5), "bob": F0Statistics(mean=math.log(200), std=0.25)},
)
LENGTHS = [40, 30, 6]


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """Utterance k of T frames rises by 1 Hz a frame from 100 (k + 1) Hz, its first two frames unvoiced; the last is bob's."""
    folder, rows = tmp_path_factory.mktemp("features"), []
    for k, frames in enumerate(LENGTHS):
        f0 = np.arange(frames, dtype=np.float32) + 100 * (k + 1)
        f0[:2] = 0
        info = FeatureInfo(fingerprint="", frames=frames, seconds=1.0, peak=0.5, clipped=0.0, voiced=1.0)
        write_features(features_path(folder, f"u{k}"), np.zeros((80, frames), np.float32), f0, info)
        speaker = "bob" if k == 2 else "ada"
        rows.append(ManifestRow(id=f"u{k}", audio="", text="", phones=(), speaker=speaker, frames=frames, seconds=1.0))
    write_manifest(folder / "manifest.jsonl", rows)
    write_audio_config(folder, AudioConfig())
    return folder


def test_pitch_is_the_z_score_of_the_speaker_carried_through_what_is_unvoiced(features):
    row = PitchSegments(features, STATISTICS, 8, 2).rows[2]
    pitch, voiced = read_pitch(features, row, STATISTICS)
    expected = torch.tensor([302.0, 302, 302, 303, 304, 305]).div(200).log() / 0.25
    torch.testing.assert_close(pitch, expected)
    assert voiced.tolist() == [0, 0, 1, 1, 1, 1]


def test_an_epoch_takes_one_stretch_of_every_utterance_and_masks_what_follows_a_short_one(features):
    data = PitchSegments(features, STATISTICS, 8, 2)
    for epoch in range(3):
        segments = [data.segment(epoch, i) for i in range(3)]
        assert sorted(int(mask.sum()) for _, _, mask in segments) == [6, 8, 8]
        for pitch, voiced, mask in segments:
            assert (pitch.shape, voiced.shape, mask.shape) == ((8,), (8,), (1, 8))
            assert not pitch[mask[0] == 0].any() and not voiced[mask[0] == 0].any()
            if mask.all() and voiced.all():
                assert torch.exp(pitch * 0.5).mul(100).diff().sub(1).abs().max() < 1e-3  # 1 Hz a frame


def test_a_later_start_gives_the_later_batches(features):
    stream = itertools.islice(PitchSegments(features, STATISTICS, 8, 2, seed=4), 2, 4)
    later = itertools.islice(PitchSegments(features, STATISTICS, 8, 2, seed=4, first_batch=2), 2)
    for one, other in zip(stream, later, strict=True):
        assert [x.shape for x in one] == [(2, 8), (2, 8), (2, 1, 8)]
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_speaker_without_statistics_or_features_that_are_missing_are_refused(features, tmp_path):
    only = Statistics(mel_mean=0.0, mel_std=1.0, f0=STATISTICS.f0, speakers={"ada": STATISTICS.f0})
    with pytest.raises(SpeakerError, match="'bob'"):
        PitchSegments(features, only, 8, 2)
    with pytest.raises(DataError, match="Run the features stage again"):
        read_pitch(tmp_path, PitchSegments(features, STATISTICS, 8, 2).rows[0], STATISTICS)

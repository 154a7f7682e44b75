import math

import numpy as np
import pytest
import torch

from tts.audio.pitch import F0Statistics
from tts.config import AudioConfig
from tts.data.feature_file import FeatureInfo, features_path, write_features
from tts.data.manifest import MANIFEST, ManifestRow, write_manifest
from tts.data.statistics import Statistics, compute_statistics
from tts.errors import AudioError, DataError, SpeakerError
from tts.text.tokens import Tokens


def write_utterance(folder, utterance_id, speaker, mel, f0):
    info = FeatureInfo(fingerprint="x", frames=len(f0), seconds=1.0, peak=0.5, clipped=0.0, voiced=1.0)
    mel = np.broadcast_to(np.asarray(mel, np.float32), (2, len(f0)))
    write_features(features_path(folder, utterance_id), mel, np.asarray(f0, np.float32), info)
    phones = ("a", " ", utterance_id[0], ".")
    return ManifestRow(id=utterance_id, audio="x", text="x", phones=phones, speaker=speaker, frames=len(f0), seconds=1.0)


@pytest.fixture
def folder(tmp_path):
    rows = [
        write_utterance(tmp_path, "p", "ada", -1.0, [100.0, 0.0, 100.0 * math.e]),
        write_utterance(tmp_path, "q", "bob", 2.0, [200.0]),
        write_utterance(tmp_path, "r", "mute", 2.0, [0.0, 0.0]),
    ]
    write_manifest(tmp_path / MANIFEST, rows)
    return tmp_path


def test_moments_are_those_of_all_frames_and_of_each_speakers_voiced_frames(folder):
    tokens, statistics = compute_statistics(folder)
    assert statistics.mel_mean == pytest.approx((3 * -1 + 3 * 2) / 6)
    assert statistics.mel_std == pytest.approx(1.5)
    assert statistics.speakers["ada"].mean == pytest.approx(math.log(100) + 0.5, rel=1e-6)
    assert statistics.speakers["ada"].std == pytest.approx(0.5, rel=1e-5)
    assert statistics.f0.mean == pytest.approx((2 * math.log(100) + 1 + math.log(200)) / 3, rel=1e-6)
    assert tokens.symbols == ["<pad>", " ", ".", "a", "p", "q", "r"]


def test_a_speaker_without_voiced_frames_gets_the_corpus_statistics_with_a_warning(folder, caplog):
    _, statistics = compute_statistics(folder)
    assert statistics.speakers["mute"] == statistics.f0
    assert "mute: no voiced frame" in caplog.text


def test_both_files_come_back_equal(folder):
    tokens, statistics = compute_statistics(folder)
    assert Tokens.load(folder / "tokens.txt").symbols == tokens.symbols
    loaded = Statistics.load(folder / "statistics.safetensors")
    assert loaded.mel_std == pytest.approx(statistics.mel_std)
    assert loaded.speakers.keys() == statistics.speakers.keys()
    assert loaded.of_speaker("bob").mean == pytest.approx(math.log(200), rel=1e-6)
    with pytest.raises(SpeakerError, match="no F0 statistics for speaker 'eve'; the training set has ada, bob, mute"):
        loaded.of_speaker("eve")


def test_mean_and_deviation_of_many_utterances_match_one_pass_over_everything(tmp_path):
    rng = np.random.default_rng(0)
    mels = [rng.normal(-5, 2, (2, n)).astype(np.float32) for n in (3, 50, 7)]
    rows = [write_utterance(tmp_path, f"u{i}", "ada", mel, [100.0] * mel.shape[1]) for i, mel in enumerate(mels)]
    write_manifest(tmp_path / MANIFEST, rows)
    _, statistics = compute_statistics(tmp_path)
    everything = np.concatenate(mels, axis=1).astype(np.float64)
    assert statistics.mel_mean == pytest.approx(everything.mean(), rel=1e-9)
    assert statistics.mel_std == pytest.approx(everything.std(), rel=1e-9)


def test_an_empty_silent_or_unvoiced_corpus_is_refused(tmp_path):
    write_manifest(tmp_path / MANIFEST, [])
    with pytest.raises(DataError, match="the manifest lists no utterance"):
        compute_statistics(tmp_path)
    floor = math.log(AudioConfig().log_floor)
    write_manifest(tmp_path / MANIFEST, [write_utterance(tmp_path, "a", "ada", floor, [100.0, 100.0])])
    with pytest.raises(DataError, match="silent throughout"):
        compute_statistics(tmp_path)
    write_manifest(tmp_path / MANIFEST, [write_utterance(tmp_path, "a", "ada", [1.0, 2.0], [0.0, 0.0])])
    with pytest.raises(AudioError, match="no voiced frame"):
        compute_statistics(tmp_path)


def test_a_truncated_statistics_file_is_named(tmp_path):
    statistics = Statistics(mel_mean=0.0, mel_std=1.0, f0=F0Statistics(mean=5.0, std=0.2), speakers={})
    path = tmp_path / "statistics.safetensors"
    statistics.save(path)
    assert Statistics.load(path).f0 == F0Statistics.from_tensor(torch.tensor([5.0, 0.2]))
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataError, match="not a statistics file"):
        Statistics.load(path)

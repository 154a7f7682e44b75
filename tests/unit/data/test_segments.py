import itertools

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from tts.config import AudioConfig
from tts.data.manifest import ManifestRow, write_audio_config, write_manifest
from tts.data.segments import WaveSegments
from tts.errors import AudioError, DataError

RATE = 16000


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """Five utterances; the samples of utterance k count from k * 1000 up, in units of 2^-15."""
    folder = tmp_path_factory.mktemp("features")
    rows = []
    for k, length in enumerate([900, 800, 700, 600, 40]):
        path = folder / f"u{k}.wav"
        soundfile.write(path, np.arange(k * 1000, k * 1000 + length).astype(np.int16), RATE)
        rows.append(ManifestRow(id=f"u{k}", audio=str(path), text="", phones=(), speaker="s", frames=4, seconds=length / RATE))
    write_manifest(folder / "manifest.jsonl", rows)
    write_audio_config(folder, AudioConfig())
    return folder


def counts(segment):
    return (segment * 2**15).round().long()


def test_an_epoch_takes_one_segment_of_every_utterance(features):
    data = WaveSegments(features, 50, 2)
    for epoch in range(3):
        assert sorted(int(counts(data.segment(epoch, i))[1]) // 1000 for i in range(5)) == [0, 1, 2, 3, 4]


def test_a_segment_is_a_stretch_of_its_recording(features):
    data = WaveSegments(features, 50, 2)
    for i in range(5):
        values = counts(data.segment(0, i))
        if values[0] != 4000:
            assert torch.equal(values.diff(), torch.ones(49, dtype=torch.int64))


def test_a_recording_shorter_than_the_segment_is_followed_by_zeros(features):
    data = WaveSegments(features, 50, 2)
    short = next(v for v in (counts(data.segment(0, i)) for i in range(5)) if v[0] == 4000)
    assert torch.equal(short, torch.cat([torch.arange(4000, 4040), torch.zeros(10, dtype=torch.int64)]))


def test_a_recording_as_long_as_the_segment_is_taken_whole(features):
    data = WaveSegments(features, 900, 1)
    assert any(torch.equal(counts(data.segment(0, i)), torch.arange(900)) for i in range(5))


def test_segments_depend_on_seed_epoch_and_index_alone(features):
    data, again = WaveSegments(features, 50, 2, seed=3), WaveSegments(features, 50, 5, seed=3)
    state = torch.get_rng_state()
    backwards = [again.segment(1, i) for i in reversed(range(5))][::-1]
    assert all(torch.equal(data.segment(1, i), segment) for i, segment in enumerate(backwards))
    assert torch.equal(torch.get_rng_state(), state)
    others = [torch.stack([WaveSegments(features, 50, 2, seed=s).segment(e, i) for i in range(5)]) for s, e in [(4, 1), (3, 2)]]
    assert not any(torch.equal(torch.stack(backwards), other) for other in others)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_stream_goes_on_through_epochs_and_can_be_taken_up_anywhere(features, workers):
    whole = WaveSegments(features, 50, 2)
    later = DataLoader(WaveSegments(features, 50, 2, first_batch=2), batch_size=None, num_workers=workers)
    for number, batch in enumerate(itertools.islice(later, 4), start=2):
        assert torch.equal(batch, whole.batch(number))
    assert torch.equal(whole.batch(2), torch.stack([whole.segment(0, 4), whole.segment(1, 0)]))


def test_every_start_of_a_recording_is_drawn_first_and_last_included(features):
    data = WaveSegments(features, 598, 1)
    starts = {int(v[0]) % 1000 for e in range(40) for v in (counts(data.segment(e, i)) for i in range(5)) if v[0] // 1000 == 3}
    assert starts == {0, 1, 2}  # each is missed with probability (2/3)^40 = 9e-8


def test_a_missing_recording_is_named(features, tmp_path):
    row = ManifestRow(id="x", audio=str(tmp_path / "gone.wav"), text="", phones=(), speaker="s", frames=4, seconds=0.1)
    write_manifest(tmp_path / "manifest.jsonl", [row])
    write_audio_config(tmp_path, AudioConfig())
    with pytest.raises(AudioError, match=r"no such file: .*gone\.wav"):
        WaveSegments(tmp_path, 50, 1).segment(0, 0)


def test_an_empty_folder_and_sizes_below_one_are_refused(features, tmp_path):
    write_manifest(tmp_path / "manifest.jsonl", [])
    write_audio_config(tmp_path, AudioConfig())
    with pytest.raises(DataError, match="lists no utterance"):
        WaveSegments(tmp_path, 50, 1)
    with pytest.raises(ValueError, match="found 0, 1, 0"):
        WaveSegments(features, 0, 1)

"""Files read in blocks give what they give when they are read whole."""

import numpy as np
import pytest
import soundfile

from tts.audio import blocks
from tts.audio.blocks import cut_windows, read_blocks
from tts.audio.io import read_audio
from tts.errors import AudioError
from tts.testing import make_tone


def write(path, wav, rate=16000):
    soundfile.write(path, wav, rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize("rate", [16000, 8000, 22050, 44100, 7919])
@pytest.mark.parametrize("seconds", [0.7, 1.0, 2.3])
def test_blocks_add_up_to_the_whole_file_at_any_rate(tmp_path, monkeypatch, rate, seconds):
    monkeypatch.setattr(blocks, "BLOCK_SECONDS", 1)
    path = write(tmp_path / "a.wav", make_tone(120, seconds, rate), rate)
    whole, _ = read_audio(path, 16000)
    parts = list(read_blocks(path, 16000))
    assert [len(p) for p in parts[:-1]] == [16000] * (len(parts) - 1)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


def test_channels_are_averaged(tmp_path):
    path = write(tmp_path / "a.wav", np.stack([np.full(1000, 0.2), np.full(1000, 0.4)], 1))
    np.testing.assert_allclose(np.concatenate(list(read_blocks(path, 16000))), np.full(1000, 0.3), atol=1e-6)


def test_a_sample_that_is_not_finite_is_named_when_its_block_comes(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_SECONDS", 1)
    wav = np.zeros(5 * 16000, np.float32)
    wav[4 * 16000 + 7] = np.nan
    coming = read_blocks(write(tmp_path / "a.wav", wav), 16000)
    assert len(next(coming)) == 16000
    with pytest.raises(AudioError, match=r"a\.wav, from sample 61440: sample 2567 is nan"):
        list(coming)


def test_what_is_no_audio_or_empty_is_refused(tmp_path):
    (tmp_path / "text.wav").write_text("no audio")
    for path, message in (
        (write(tmp_path / "empty.wav", np.zeros(0, np.float32)), "has no samples"),
        (tmp_path / "text.wav", "is not audio"),
        (tmp_path / "gone.wav", "no such file"),
    ):
        with pytest.raises(AudioError, match=message):
            list(read_blocks(path, 16000))


def test_a_file_cut_short_is_read_as_far_as_it_goes_with_a_warning(tmp_path, caplog):
    path = tmp_path / "a.wav"
    soundfile.write(path, make_tone(120, 2.0), 16000)
    path.write_bytes(path.read_bytes()[:-20000])
    assert sum(map(len, read_blocks(path, 16000))) == 22000
    assert "its header promises 32000 samples, 22000 could be read" in caplog.text


@pytest.mark.parametrize("size", [1, 7, 100])
def test_windows_are_the_slices_of_the_whole(size):
    whole = np.arange(50, dtype=np.float32)
    parts = [whole[i : i + size] for i in range(0, 50, size)]
    spans = [(0, 12), (5, 20), (17, 33), (30, 60)]
    for window, (start, stop) in zip(cut_windows(parts, spans), spans, strict=True):
        assert window.tolist() == whole[start:stop].tolist()


def test_of_a_long_file_only_a_few_blocks_are_held(monkeypatch):
    made = 0

    def parts():
        nonlocal made
        for _ in range(1000):
            made += 1
            yield np.zeros(10, np.float32)

    for window, number in zip(cut_windows(parts(), [(20 * k, 20 * k + 30) for k in range(100)]), range(100), strict=True):
        assert len(window) == 30
        assert made <= 2 * number + 4

"""Recordings that a style is taken from: too short, short, long, silent, at another rate."""

import numpy as np
import pytest
import soundfile
import torch

from tts.errors import AudioError, SpeakerError
from tts.inference.synthesizer import Synthesizer
from tts.testing import make_model_folder, make_tone


@pytest.fixture(scope="module")
def tts(tmp_path_factory):
    return Synthesizer.from_pretrained(
        make_model_folder(tmp_path_factory.mktemp("model") / "tiny", ("ada", "bob")), device="cpu"
    )


def style_of(tts, path):
    return tts.voices.find(path).style


def write(path, wav, rate=16000):
    soundfile.write(path, wav, rate, subtype="FLOAT")
    return path


def test_between_half_a_second_and_a_second_there_is_a_warning_and_below_an_error(tts, tmp_path, caplog):
    style_of(tts, write(tmp_path / "long.wav", make_tone(150, 1.0)))
    assert not caplog.records
    style_of(tts, write(tmp_path / "short.wav", make_tone(150, 0.5)))
    assert [r.message for r in caplog.records] == [
        f"{tmp_path}/short.wav: 0.50 s of reference is little; the style may be off."
    ]
    with pytest.raises(AudioError, match=r"0\.49 s of reference, expected 0\.5 s or more"):
        style_of(tts, write(tmp_path / "shorter.wav", make_tone(150, 0.49)))


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_the_length_counts_after_resampling(tts, tmp_path, rate):
    style_of(tts, write(tmp_path / "enough.wav", make_tone(150, 0.6, rate), rate))
    with pytest.raises(AudioError, match=r"0\.40 s of reference"):
        style_of(tts, write(tmp_path / "short.wav", make_tone(150, 0.4, rate), rate))


@pytest.mark.parametrize("rate", [16000, 22050])
def test_of_a_long_recording_the_first_thirty_seconds_are_used(tts, tmp_path, caplog, rate):
    wav = np.tile(make_tone(150, 1.0, rate), 33)
    wav[31 * rate :] = 0.9
    long, first = (write(tmp_path / f"{n}.wav", w, rate) for n, w in (("long", wav), ("first", wav[: 30 * rate])))
    first_style = style_of(tts, first)
    assert not caplog.records
    torch.testing.assert_close(style_of(tts, long), first_style, atol=1e-4, rtol=1e-3)
    assert [r.message for r in caplog.records] == [f"{long}: the first 30 s of the reference are used."]


def test_a_silent_recording_gives_a_finite_style(tts, tmp_path):
    assert style_of(tts, write(tmp_path / "silence.wav", np.zeros(16000))).isfinite().all()


def test_a_name_that_is_neither_speaker_nor_file_lists_the_nearest_and_their_number(tts):
    with pytest.raises(SpeakerError, match=r"no speaker and no file 'bo'\. Nearest: bob \(2 speaker\(s\) in all\)"):
        tts.synthesize("Me lo.", style="bo")


def test_what_is_no_audio_is_no_reference(tts, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"not audio")
    for path in (tmp_path / "a.wav", tmp_path):
        with pytest.raises(AudioError, match="is not audio libsndfile can read"):
            tts.synthesize("Me lo.", style=path)

"""Recordings that nobody would choose to convert, and targets that nobody would choose to convert to."""

import numpy as np
import pytest
import soundfile

from tts.errors import AudioError, SpeakerError
from tts.testing import make_tone, speak

RATE = 16000
NOISE = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)


def write(path, wav, rate=RATE):
    soundfile.write(path, wav, rate, subtype="FLOAT")
    return path


def test_silence_is_converted_to_something_finite_and_unvoiced_with_the_corpus_statistics(converter, tmp_path, caplog):
    audio = converter.convert(write(tmp_path / "silence.wav", np.zeros(RATE)), "ada", steps=1)
    assert np.isfinite(audio.wav).all()
    assert audio.f0.max() == 0
    assert "silence.wav: no voiced frame found; the corpus's F0 statistics are used" in caplog.text


def test_unvoiced_speech_stays_unvoiced_and_finite(converter):
    for pitch in ("transpose", "keep", 5):
        audio = converter.convert(NOISE, "ada", pitch=pitch, steps=1)
        assert np.isfinite(audio.wav).all()
        assert np.mean(audio.f0 > 0) < 0.1


@pytest.mark.parametrize("n_samples", [1, 100, 255, 256, 700, 1600])
def test_a_few_samples_are_converted_to_their_frames(converter, n_samples):
    audio = converter.convert(make_tone(150, 1.0)[:n_samples], "ada", steps=1)
    assert audio.mel.shape[1] == n_samples // 256 + 1
    assert np.isfinite(audio.wav).all()


def test_a_source_too_short_for_a_style_of_its_own_says_so(converter):
    short = make_tone(150, 0.4)
    with pytest.raises(AudioError, match=r"0\.40 s of reference, expected 0\.5 s"):
        converter.convert(short, "ada", source_style="source")
    with pytest.raises(AudioError, match=r"0\.40 s of reference"):
        converter.encode(short)


def test_what_cannot_be_read_is_named(converter, tmp_path):
    wav = make_tone(150, 1.0)
    wav[7000] = np.nan
    (tmp_path / "text.wav").write_text("no audio")
    for path, message in (
        (tmp_path / "gone.wav", r"no such file: .*gone\.wav"),
        (tmp_path / "text.wav", "is not audio libsndfile can read"),
        (tmp_path, "is not audio libsndfile can read"),
        (write(tmp_path / "empty.wav", np.zeros(0)), "has no samples"),
        (write(tmp_path / "nan.wav", wav), "is nan"),
        (np.zeros(0, np.float32), "no samples"),
        (wav, "sample 7000 is nan"),
    ):
        with pytest.raises(AudioError, match=message):
            converter.convert(path, "ada")


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_a_stereo_file_of_any_rate_is_its_mono_wave_at_the_models_rate(converter, tmp_path, rate):
    wav = speak("ma ne li", 120.0, rate)
    audio = converter.convert(write(tmp_path / "a.wav", np.stack([wav, wav], 1), rate), "ada", steps=1)
    mono = converter.convert(write(tmp_path / "b.wav", wav, rate), "ada", steps=1)
    np.testing.assert_allclose(audio.mel, mono.mel, atol=1e-3)
    assert audio.mel.shape[1] == round(len(wav) * RATE / rate) // 256 + 1


def test_a_target_is_needed_found_and_long_enough(converter, tmp_path):
    source = make_tone(150, 1.0)
    with pytest.raises(ValueError, match="no target: give one"):
        converter.convert(source)
    with pytest.raises(ValueError, match="no target"):
        converter.convert(source, "ada", blend=(None, 0.5))
    with pytest.raises(ValueError, match="a blend mixes targets"):
        converter.convert(source, "ada", source_style="source", filter_style="bob", blend=("bob", 0.5))
    with pytest.raises(SpeakerError, match=r"no speaker and no file 'bo'\. Nearest: bob"):
        converter.convert(source, "bo")
    with pytest.raises(AudioError, match=r"b\.wav: 0\.30 s of reference, expected 0\.5 s"):
        converter.convert(source, write(tmp_path / "b.wav", make_tone(150, 0.3)))
    with pytest.raises(ValueError, match="list of reference recordings is empty"):
        converter.convert(source, [])


@pytest.mark.parametrize(
    "bad",
    [
        *({"pitch": 99}, {"pitch": "up"}, {"pitch": [1.0, -1.0]}, {"steps": 0}, {"temperature": -1}, {"sampler": "pf"}),
        *({"blend": ("bob", 1.5)}, {"blend": ("bob", float("nan"))}),
    ],
)
def test_options_out_of_range_name_themselves_before_anything_is_read(converter, bad):
    name = next(iter(bad)).replace("blend", "weight")
    with pytest.raises(ValueError, match=name):
        converter.convert("gone.wav", "ada", **bad)
    with pytest.raises(ValueError, match="chunk_seconds must be from 1 to 30"):
        converter.stream("gone.wav", "ada", chunk_seconds=0)


def test_the_voice_of_several_recordings_is_their_mean_with_pooled_f0(converter, tmp_path):
    low, high = make_tone(110, 1.0), make_tone(220, 1.0)
    a, b = (converter.voices.find(w) for w in (low, high))
    both = converter.voices.find([write(tmp_path / "low.wav", low), high])
    np.testing.assert_allclose(both.style, (a.style + b.style) / 2, atol=1e-5)
    assert both.f0.mean == pytest.approx((a.f0.mean + b.f0.mean) / 2, abs=0.02)
    assert both.f0.std == pytest.approx(np.log(2) / 2, abs=0.03)

import importlib
import math

import numpy as np
import pytest
import torch

from tts.audio.pitch import F0Statistics, denormalize_f0, extract_f0, normalize_f0
from tts.config import AUDIO_CONFIGS
from tts.errors import AudioError
from tts.testing import make_tone

AUDIO = AUDIO_CONFIGS["libri16k"]
STATISTICS = F0Statistics(mean=5.0, std=0.2)
METHODS = pytest.mark.parametrize("method", ["dio", "harvest"])


@METHODS
@pytest.mark.parametrize("audio", AUDIO_CONFIGS.values(), ids=AUDIO_CONFIGS.keys())
def test_a_harmonic_tone_gives_its_pitch(method, audio):
    wav = make_tone(180.0, 0.6, audio.sample_rate)
    n_frames = len(wav) // audio.hop_length + 1
    f0 = extract_f0(wav, audio, n_frames, method=method)
    assert f0.shape == (n_frames,) and f0.dtype == np.float32
    inner = f0[3:-3]
    assert (inner > 0).mean() > 0.9
    assert np.median(inner[inner > 0]) == pytest.approx(180.0, rel=0.03)


@METHODS
def test_frames_are_where_the_mels_are(method):
    wav = np.concatenate([np.zeros(AUDIO.hop_length * 20), make_tone(150.0, 0.64)])
    f0 = extract_f0(wav, AUDIO, len(wav) // AUDIO.hop_length + 1, method=method)
    assert abs(int(np.argmax(f0 > 0)) - 20) <= 2
    assert not f0[:17].any()


@METHODS
@pytest.mark.parametrize("n_samples", [0, 1, 100, 256, 4000])
def test_silence_and_no_samples_are_unvoiced(method, n_samples):
    f0 = extract_f0(np.zeros(n_samples, dtype=np.float32), AUDIO, 7, method=method)
    assert np.array_equal(f0, np.zeros(7))


@METHODS
@pytest.mark.parametrize("n_samples", [1, 2, 63, 255, 256, 257, 1000])
def test_a_few_samples_never_crash(method, n_samples):
    f0 = extract_f0(make_tone(200.0, 0.1)[:n_samples], AUDIO, n_samples // 256 + 1, method=method)
    assert f0.shape == (n_samples // 256 + 1,) and np.isfinite(f0).all() and (f0 >= 0).all()


@pytest.mark.parametrize("n_frames", [0, 5, 19, 40])
def test_the_track_is_cut_or_extended_to_the_frames_asked_for(n_frames):
    wav = make_tone(150.0, 0.3)  # 19 frames
    f0 = extract_f0(wav, AUDIO, n_frames)
    full = extract_f0(wav, AUDIO, 19)
    assert f0.shape == (n_frames,)
    assert np.array_equal(f0[:19], full[:n_frames])
    assert not f0[19:].any()


@pytest.mark.parametrize(
    "wav",
    [
        make_tone(150.0, 0.2).astype(np.float64),
        np.repeat(make_tone(150.0, 0.2), 2)[::2],
        make_tone(150.0, 0.2).astype(np.float16),
    ],
    ids=["float64", "non-contiguous", "float16"],
)
def test_the_kind_of_array_does_not_matter(wav):
    assert (extract_f0(wav, AUDIO, 13) > 0).any()


@METHODS
def test_noise_never_gives_a_value_that_is_not_finite(method):
    wav = np.random.default_rng(0).standard_normal(6000).astype(np.float32)
    f0 = extract_f0(wav, AUDIO, 24, method=method)
    z, voiced = normalize_f0(f0, STATISTICS)
    assert np.isfinite(f0).all() and np.isfinite(z).all() and voiced.dtype == bool


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused(value):
    wav = make_tone(150.0, 0.1)
    wav[33] = value
    with pytest.raises(AudioError, match="waveform: sample 33 is"):
        extract_f0(wav, AUDIO, 7)


def test_arguments_out_of_range_are_named():
    wav = make_tone(150.0, 0.1)
    with pytest.raises(ValueError, match=r"'yaapt' is not known\. Use one of dio, harvest"):
        extract_f0(wav, AUDIO, 7, method="yaapt")
    with pytest.raises(ValueError, match=r"\(samples,\), found shape \(1, 1600\)"):
        extract_f0(wav[None], AUDIO, 7)
    with pytest.raises(ValueError, match="f0_min < f0_max"):
        extract_f0(wav, AUDIO, 7, f0_min=500, f0_max=100)
    with pytest.raises(ValueError, match="n_frames must be >= 0"):
        extract_f0(wav, AUDIO, -1)


def test_a_pyworld_that_cannot_be_imported_is_explained(monkeypatch):
    def no_pkg_resources(name, *args):
        raise ModuleNotFoundError("No module named 'pkg_resources'")

    monkeypatch.setattr(importlib, "import_module", no_pkg_resources)
    with pytest.raises(ImportError, match=r"pkg_resources.*setuptools<82.*pyworld-prebuilt"):
        extract_f0(make_tone(150.0, 0.1), AUDIO, 7)


def test_statistics_are_those_of_all_voiced_frames_together():
    rng = np.random.default_rng(0)
    tracks = [np.where(rng.random(n) > 0.4, np.exp(rng.normal(5, 0.3, n)), 0.0) for n in (1, 50, 7, 200)]
    fitted = F0Statistics.fit([*tracks, np.zeros(30)])
    pooled = np.log(np.concatenate([t[t > 0] for t in tracks]))
    assert fitted.mean == pytest.approx(pooled.mean(), abs=1e-12)
    assert fitted.std == pytest.approx(pooled.std(), abs=1e-12)


def test_a_monotone_has_a_small_but_positive_spread():
    assert F0Statistics.fit([np.full(10, 100.0)]) == F0Statistics(mean=pytest.approx(math.log(100)), std=0.01)


def test_a_speaker_without_a_voiced_frame_takes_the_corpus_with_a_warning(caplog):
    assert F0Statistics.fit([np.zeros(10)], name="p225", fallback=STATISTICS) is STATISTICS
    assert "p225: no voiced frame found" in caplog.text and len(caplog.records) == 1
    with pytest.raises(AudioError, match="p225: no voiced frame found"):
        F0Statistics.fit([np.zeros(10)], name="p225")


def test_statistics_survive_the_tensor_they_are_stored_in():
    stored = STATISTICS.to_tensor()
    assert stored.dtype == torch.float32 and stored.shape == (2,)
    again = F0Statistics.from_tensor(stored)
    assert (again.mean, again.std) == (pytest.approx(5.0), pytest.approx(0.2))


def test_z_scores_are_carried_through_gaps_and_held_at_the_ends():
    f0 = np.array([0, np.exp(5.2), 0, 0, 0, np.exp(4.8), 0])
    z, voiced = normalize_f0(f0, STATISTICS)
    np.testing.assert_allclose(z, [1, 1, 0.5, 0, -0.5, -1, -1], atol=1e-6)
    assert voiced.tolist() == [False, True, False, False, False, True, False]
    assert z.dtype == np.float32


@pytest.mark.parametrize("n_frames", [0, 1, 9])
def test_unvoiced_speech_has_zero_z_scores(n_frames):
    z, voiced = normalize_f0(np.zeros(n_frames), STATISTICS)
    assert z.shape == voiced.shape == (n_frames,)
    assert not z.any() and not voiced.any()


def test_denormalizing_gives_the_pitch_back_in_arrays_and_tensors():
    f0 = np.array([0, 110.0, 0, 220.0], dtype=np.float32)
    z, voiced = normalize_f0(f0, STATISTICS)
    back = denormalize_f0(z, voiced, STATISTICS)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, f0, rtol=1e-5)
    tensor = denormalize_f0(torch.from_numpy(z)[None], torch.from_numpy(voiced)[None].float(), STATISTICS)
    assert tensor.shape == (1, 4) and tensor.dtype == torch.float32
    np.testing.assert_allclose(tensor[0].numpy(), f0, rtol=1e-5)


def test_raising_z_by_a_semitone_raises_the_pitch_by_a_semitone():
    z, voiced = normalize_f0(np.full(5, 100.0), STATISTICS)
    shifted = denormalize_f0(z + np.float32(math.log(2) / 12 / STATISTICS.std), voiced, STATISTICS)
    np.testing.assert_allclose(shifted, 100.0 * 2 ** (1 / 12), rtol=1e-5)

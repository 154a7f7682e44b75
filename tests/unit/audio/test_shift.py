import numpy as np
import pytest
import scipy.linalg
import scipy.signal

from tts.audio.shift import frame_hop, shift_formants, shift_pitch, track_f0
from tts.testing import make_tone, speak

RATE = 16000
FORMANTS = np.array([700.0, 1900.0])
RATIOS = pytest.mark.parametrize("ratio", [0.5, 0.75, 1.3, 2.0])


def vowel(f0, seconds=0.6):
    """Pulses, band-limited, through two resonances 80 Hz wide."""
    wav = np.cos(2 * np.pi * f0 * np.arange(1, int(7500 / f0))[:, None] * np.arange(round(seconds * RATE)) / RATE).sum(axis=0)
    for formant in FORMANTS:
        radius, angle = np.exp(-np.pi * 80 / RATE), 2 * np.pi * formant / RATE
        wav = scipy.signal.lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], wav)
    return (0.5 * wav / abs(wav).max()).astype(np.float32)


def formants_of(wav):
    """The two least damped poles of linear prediction over the middle of `wav`, in Hz."""
    middle = wav[len(wav) // 4 : -len(wav) // 4] * np.hanning(len(wav[len(wav) // 4 : -len(wav) // 4]))
    correlation = np.correlate(middle, middle, "full")[len(middle) - 1 :][:9]
    poles = np.roots([1, *-scipy.linalg.solve_toeplitz(correlation[:-1], correlation[1:])])
    poles = poles[poles.imag > 0]
    sharpest = poles[np.argsort(-abs(poles))[:2]]
    return np.sort(np.angle(sharpest)) * RATE / (2 * np.pi)


def median_f0(wav):
    f0 = track_f0(wav, RATE)[5:-5]
    assert (f0 > 0).mean() > 0.9
    return np.median(f0[f0 > 0])


@RATIOS
@pytest.mark.parametrize("f0", [140.0, 210.0])
def test_the_pitch_of_a_tone_moves_by_the_ratio(f0, ratio):
    wav = make_tone(f0, 0.8)
    assert median_f0(shift_pitch(wav, RATE, ratio, track_f0(wav, RATE))) == pytest.approx(ratio * f0, rel=0.02)


@pytest.mark.parametrize("ratio", [0.75, 1.5])
def test_formants_stay_while_the_pitch_moves(ratio):
    wav = vowel(120.0)
    shifted = shift_pitch(wav, RATE, ratio, track_f0(wav, RATE))
    np.testing.assert_allclose(formants_of(wav), FORMANTS, rtol=0.03)
    np.testing.assert_allclose(formants_of(shifted), FORMANTS, rtol=0.05)


@pytest.mark.parametrize("ratio", [1 / 1.4, 0.85, 1.2, 1.4])
@pytest.mark.parametrize("f0", [100.0, 140.0])
def test_formants_move_by_the_ratio_while_the_pitch_stays(f0, ratio):
    wav = vowel(f0)
    shifted = shift_formants(wav, RATE, ratio, track_f0(wav, RATE))
    np.testing.assert_allclose(formants_of(shifted) / formants_of(wav), ratio, rtol=0.05)
    assert median_f0(shifted) == pytest.approx(f0, rel=0.005)


@pytest.mark.parametrize("shift", [shift_formants, shift_pitch])
@pytest.mark.parametrize("rate", [16000, 22050])
def test_a_ratio_of_one_gives_the_wave_back(shift, rate):
    wav = speak("ma ni lo nu.", 130.0, rate)
    out = shift(wav, rate, 1.0, track_f0(wav, rate))
    assert out.shape == wav.shape and out.dtype == np.float32
    np.testing.assert_allclose(out, wav, atol=1e-5)


def test_noise_has_no_pitch_to_move():
    wav = np.random.default_rng(0).uniform(-0.5, 0.5, 8000).astype(np.float32)
    np.testing.assert_allclose(shift_pitch(wav, RATE, 1.7, np.zeros(len(wav) // frame_hop(RATE) + 1)), wav, atol=1e-5)


@RATIOS
def test_power_and_times_stay_while_the_pitch_moves(ratio):
    pulses = np.cos(2 * np.pi * 140.0 * np.arange(1, 50)[:, None] * np.arange(8000) / RATE).sum(axis=0)
    wav = np.pad(pulses / 50, 4000).astype(np.float32)
    out = shift_pitch(wav, RATE, ratio, track_f0(wav, RATE))
    assert np.square(out).mean() == pytest.approx(np.square(wav).mean(), rel=0.1)
    assert np.square(out[4000:12000]).sum() > 0.95 * np.square(out).sum()


def test_noise_keeps_no_tilt_that_a_formant_shift_does_not_give_it():
    """White noise has a flat envelope, and a flat envelope is itself wherever it moves."""
    wav = np.random.default_rng(0).normal(0, 0.1, 64000).astype(np.float32)
    out = shift_formants(wav, RATE, 1.4, np.zeros(len(wav) // frame_hop(RATE) + 1))
    hz, before = scipy.signal.welch(wav, RATE, nperseg=512)
    _, after = scipy.signal.welch(out, RATE, nperseg=512)
    inner = (hz > 200) & (hz < 7800)
    assert abs(10 * np.log10(after / before))[inner].mean() < 1.0


def test_frames_are_eight_milliseconds_apart_with_one_at_each_end():
    assert frame_hop(RATE) == 128
    assert len(track_f0(np.zeros(1280, np.float32), RATE)) == 11

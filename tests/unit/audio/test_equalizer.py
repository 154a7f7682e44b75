import numpy as np
import pytest
import scipy.signal

from tts.audio.equalizer import N_BANDS, band_centres, equalize, equalizer_response

RATE = 16000
GAINS = np.array([9.0, -12, 5, 12, -3, 0, 7, -8, 11, -10])
Q = np.array([2.0, 5, 3, 4.5, 2.2, 3.3, 5, 2, 4, 3])


def cookbook(rate, gains, q):
    """Second-order sections of the ten bands, with the coefficients as Bristow-Johnson prints them."""
    sections = []
    for number, (centre, gain, width) in enumerate(zip(band_centres(rate), gains, q, strict=True)):
        a, w = 10 ** (gain / 40), 2 * np.pi * centre / rate
        cos, alpha = np.cos(w), np.sin(w) / (2 * width)
        if 0 < number < N_BANDS - 1:
            b, d = [1 + alpha * a, -2 * cos, 1 - alpha * a], [1 + alpha / a, -2 * cos, 1 - alpha / a]
        else:
            sign, root = (1 if number == 0 else -1), 2 * np.sqrt(a) * alpha
            b = [
                a * (a + 1 - sign * (a - 1) * cos + root),
                sign * 2 * a * (a - 1 - sign * (a + 1) * cos),
                a * (a + 1 - sign * (a - 1) * cos - root),
            ]
            d = [
                a + 1 + sign * (a - 1) * cos + root,
                -sign * 2 * (a - 1 + sign * (a + 1) * cos),
                a + 1 + sign * (a - 1) * cos - root,
            ]
        sections.append(np.array(b + d) / d[0])
    return np.array(sections)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_the_response_is_that_of_the_cookbooks_biquads(rate):
    hz = np.linspace(0, rate / 2, 501)
    _, expected = scipy.signal.sosfreqz(cookbook(rate, GAINS, Q), hz, fs=rate)
    np.testing.assert_allclose(equalizer_response(hz, rate, GAINS, Q), expected, rtol=1e-6, atol=1e-9)


def test_a_wave_comes_out_as_from_the_running_filter():
    wav = np.random.default_rng(0).uniform(-1, 1, 5000).astype(np.float32)
    expected = scipy.signal.sosfilt(cookbook(RATE, GAINS, Q), wav)
    out = equalize(wav, RATE, GAINS, Q)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, expected, atol=1e-4 * abs(expected).max())


@pytest.mark.parametrize("band", [1, 4, 8])
def test_a_sine_at_the_centre_of_a_peak_is_raised_by_its_gain_without_delay(band):
    gains = np.zeros(N_BANDS)
    gains[band] = -9.0
    sine = np.sin(2 * np.pi * band_centres(RATE)[band] * np.arange(RATE) / RATE).astype(np.float32)
    np.testing.assert_allclose(equalize(sine, RATE, gains, Q)[-4000:], 10 ** (-9 / 20) * sine[-4000:], atol=1e-3)


def test_a_shelf_lifts_its_end_by_the_gain_its_corner_by_half_of_it_and_leaves_the_other_end():
    low, high = np.zeros(N_BANDS), np.zeros(N_BANDS)
    low[0] = high[-1] = 12.0
    hz = np.array([0, band_centres(RATE)[0], band_centres(RATE)[-1], RATE / 2])
    for gains, there in ((low, [12, 6, 0, 0]), (high, [0, 0, 6, 12])):
        np.testing.assert_allclose(20 * np.log10(abs(equalizer_response(hz, RATE, gains, Q))), there, atol=1e-2)


def test_no_gain_changes_nothing():
    wav = np.random.default_rng(0).uniform(-1, 1, 777).astype(np.float32)
    np.testing.assert_allclose(equalize(wav, RATE, np.zeros(N_BANDS), Q), wav, atol=1e-6)


@pytest.mark.parametrize(("rate", "highest"), [(8000, 3800), (16000, 7600), (48000, 7600)])
def test_peaks_lie_at_equal_ratios_below_nyquist_between_the_shelves(rate, highest):
    centres = band_centres(rate)
    assert centres[[0, 1]].tolist() == [60, 60]
    assert centres[[-2, -1]] == pytest.approx(highest)
    np.testing.assert_allclose(centres[2:-1] / centres[1:-2], (highest / 60) ** (1 / 7))

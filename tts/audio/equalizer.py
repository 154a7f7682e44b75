"""A parametric equaliser of biquads, applied as their analytic response."""

import math
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from tts.audio.io import Wav

N_BANDS = 10  # a low shelf, eight peaks, a high shelf
LOWEST_HZ, HIGHEST_HZ = 60.0, 7600.0
_HIGHEST_OF_NYQUIST = 0.95
_TAIL_SECONDS = 0.5  # 60 dB of the longest ringing, 60 Hz boosted by 12 dB at Q = 5, take 0.37 s

Values = NDArray[np.floating[Any]]


def band_centres(rate: int) -> NDArray[np.float64]:
    """Corner of the low shelf, centres of the peaks and corner of the high shelf in Hz, (10,).

    The peaks are spaced by equal ratios from 60 Hz to the lesser of 7600 Hz and 0.95 of Nyquist; the shelves lie at both ends.
    """
    highest = min(HIGHEST_HZ, _HIGHEST_OF_NYQUIST * rate / 2)
    peaks = np.geomspace(LOWEST_HZ, highest, N_BANDS - 2)
    return np.concatenate((peaks[:1], peaks, peaks[-1:]))


def equalizer_response(hz: Values, rate: int, gains_db: Values, q: Values) -> NDArray[np.complex128]:
    """Complex response of the ten bands in series at the frequencies `hz` (F,), 0 to rate / 2.

        peak  (s² + s A/Q + 1) / (s² + s/(AQ) + 1)          low shelf  A (s² + s √A/Q + A) / (A s² + s √A/Q + 1)
        high shelf  A (A s² + s √A/Q + 1) / (s² + s √A/Q + A) ,   s = j tan(ω/2) / tan(ω₀/2) ,   A = 10^(gain / 40)

    These are the biquads of the cookbook, whose coefficients come from the bilinear transform in the second line.

    Args:
        hz: frequencies.
        rate: Hz.
        gains_db: (10,), of the bands in the order of `band_centres`: at the centre of a peak, at the far end of a shelf.
        q: (10,), positive.

    Source: Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients".
    """
    half = np.pi * np.asarray(hz, dtype=np.float64) / rate
    response = np.ones(len(half), dtype=np.complex128)
    centres = band_centres(rate)
    for band, (centre, gain, width) in enumerate(zip(centres, gains_db, q, strict=True)):
        a, half_centre = 10.0 ** (float(gain) / 40.0), math.pi * centre / rate
        # s = j u / v; both sides of each fraction are multiplied by v², so that Nyquist (v = 0) is a point like any other
        u, v = np.sin(half) * math.cos(half_centre), np.cos(half) * math.sin(half_centre)
        u2, v2, juv = u * u, v * v, 1j * u * v
        if band == 0:
            damped = juv * (math.sqrt(a) / width)
            response *= a * (a * v2 - u2 + damped) / (v2 - a * u2 + damped)
        elif band == N_BANDS - 1:
            damped = juv * (math.sqrt(a) / width)
            response *= a * (v2 - a * u2 + damped) / (a * v2 - u2 + damped)
        else:
            response *= (v2 - u2 + juv * (a / width)) / (v2 - u2 + juv / (a * width))
    return response


def equalize(wav: Wav, rate: int, gains_db: Values, q: Values) -> Wav:
    """`wav` (N,) through the ten bands, (N,); what rings on after the last sample is cut.

        out = IFFT(H · FFT(wav, 0 … 0))

    Args:
        wav: at `rate` Hz.
        rate: Hz.
        gains_db: as in `equalizer_response`.
        q: likewise.
    """
    n = scipy.fft.next_fast_len(len(wav) + round(_TAIL_SECONDS * rate), real=True)
    response = equalizer_response(scipy.fft.rfftfreq(n, 1 / rate), rate, gains_db, q)
    spectrum = scipy.fft.rfft(wav, n) * response.astype(np.complex64)
    return scipy.fft.irfft(spectrum, n)[: len(wav)].astype(np.float32)

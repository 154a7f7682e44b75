"""Information perturbation: a voice made another one, at random, so that what is still heard in it is what was said."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.audio.equalizer import N_BANDS, equalize
from tts.audio.io import Wav, require_finite
from tts.audio.shift import shift_formants, shift_pitch, track_f0
from tts.config import check_ranges
from tts.errors import AudioError

_MIN_RATE = 4000  # Hz
_MIN_Q, _MAX_Q = 2.0, 5.0


@dataclass(frozen=True, kw_only=True)
class PerturbConfig:
    """How far a voice is moved; each of the three is switched off by its least value.

    eq_gain_db: gains of the equaliser are U(-eq_gain_db, eq_gain_db).
    max_formant_ratio: formants move by U(1, max_formant_ratio), or, half of the time, by its inverse.
    max_pitch_ratio: so does F0.
    """

    eq_gain_db: float = 12.0  # dB, 0 to 18
    max_formant_ratio: float = 1.4  # 1 to 2
    max_pitch_ratio: float = 2.0  # 1 to 3

    def __post_init__(self) -> None:
        check_ranges(self, "perturb", "eq_gain_db", 0.0, 18.0)
        check_ranges(self, "perturb", "max_formant_ratio", 1.0, 2.0)
        check_ranges(self, "perturb", "max_pitch_ratio", 1.0, 3.0)


@dataclass(frozen=True, eq=False)
class Perturbation:
    """One draw: gains in dB and Q of the bands of the equaliser, (10,) each, and what formants and F0 are multiplied by."""

    gains_db: NDArray[np.float64]
    q: NDArray[np.float64]
    formant_ratio: float
    pitch_ratio: float


def draw_perturbation(config: PerturbConfig, generator: np.random.Generator) -> Perturbation:
    """A perturbation drawn from `generator`; always by the same number of draws, so that switching one off moves no other.

    gain ~ U(-g, g) ,   Q = 2 (5/2)^u ,   ratio = U(1, max)^±1 ,   u ~ U(0, 1)
    """
    gains = config.eq_gain_db * generator.uniform(-1.0, 1.0, N_BANDS)
    q = _MIN_Q * (_MAX_Q / _MIN_Q) ** generator.random(N_BANDS)
    formant, pitch = (
        generator.uniform(1.0, highest) ** generator.choice((-1.0, 1.0))
        for highest in (config.max_formant_ratio, config.max_pitch_ratio)
    )
    return Perturbation(gains, q, float(formant), float(pitch))


def perturb(wav: NDArray[np.floating[Any]], rate: int, config: PerturbConfig, generator: np.random.Generator) -> Wav:
    """`wav` (N,) with formants, F0 and spectral balance moved at random, (N,) float32 of the same RMS.

    Words and their times stay. The peak may pass 1. Silence stays silence; with everything switched off the wave comes back as
    it is.

    Args:
        wav: (N,) at `rate` Hz, N >= 1.
        rate: Hz, at least 4000.
        config: how far.
        generator: of the draws; equal generators give equal waves. Make it of a key such as (seed, epoch, index).

    Raises:
        ValueError: for a rate below 4000 Hz or a waveform that is not 1-D.
        AudioError: for no samples, or naming the first NaN or infinite one.
        ImportError: if pyworld cannot be imported.

    Source: Choi et al. 2021 (NANSY), the functions f and g of information perturbation.
    """
    if rate < _MIN_RATE:
        raise ValueError(f"need a sample rate of at least {_MIN_RATE} Hz, found {rate}.")
    if wav.ndim != 1:
        raise ValueError(f"wav must be (samples,), found shape {wav.shape}.")
    if len(wav) == 0:
        raise AudioError("the waveform has 0 samples; at least 1 is needed to perturb it.")
    require_finite(wav, "waveform")
    drawn = draw_perturbation(config, generator)
    peak = float(np.abs(wav).max())
    if peak == 0:
        return np.zeros(len(wav), dtype=np.float32)
    out = x = np.asarray(wav / np.float64(peak), dtype=np.float32)  # whatever the level, single precision is enough
    if config.max_formant_ratio > 1 or config.max_pitch_ratio > 1:
        f0 = track_f0(x, rate)
        if config.max_formant_ratio > 1:
            out = shift_formants(out, rate, drawn.formant_ratio, f0)
        if config.max_pitch_ratio > 1:
            out = shift_pitch(out, rate, drawn.pitch_ratio, f0)
    if config.eq_gain_db > 0:
        out = equalize(out, rate, drawn.gains_db, drawn.q)
    if out is x:
        return wav.astype(np.float32)
    return (out * (peak * _rms(x) / _rms(out))).astype(np.float32)


def _rms(wav: Wav) -> float:
    return float(np.sqrt(np.square(wav, dtype=np.float64).mean()))

"""Formants moved under a kept F0, and F0 moved under kept formants."""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from tts.audio.io import Wav
from tts.audio.pitch import extract_f0
from tts.config import AudioConfig

F0 = NDArray[np.float32]

_FRAME_SECONDS = 0.008
_HOPS = 4  # of a window: 32 ms, overlapped by three quarters
_UNVOICED_HZ = 500.0  # width of the smoothing where there is no F0, as in WORLD
_FLOOR = 1e-10  # of the greatest power of a wave
_GRAIN_HZ = 200.0  # grains a second where there is no F0
_HALF_CREST = 1.5  # periods on each side over which the crest is sought
_MARGIN_SECONDS = 0.02
_DELAYS = 4  # a grain is placed to a quarter of a sample


def frame_hop(rate: int) -> int:
    """Samples between the frames of `track_f0`: 8 ms."""
    return round(_FRAME_SECONDS * rate)


def track_f0(wav: Wav, rate: int) -> F0:
    """F0 in Hz at sample i · `frame_hop(rate)`, (N // hop + 1,), 0 where unvoiced: what both shifts need to know.

    Raises:
        AudioError: if a sample is NaN or infinite.
        ImportError: if pyworld cannot be imported.
    """
    hop = frame_hop(rate)
    audio = AudioConfig(sample_rate=rate, n_fft=4 * hop, win_length=4 * hop, hop_length=hop, f_max=rate / 2)
    return extract_f0(wav, audio, len(wav) // hop + 1)


def shift_formants(wav: Wav, rate: int, ratio: float, f0: F0) -> Wav:
    """`wav` (N,) with its formants at `ratio` times their frequency, (N,); F0 and the times of events are kept.

        Y(t, f) = X(t, f) · E(t, f / ratio) / E(t, f) ,   E the envelope of |X|; beyond Nyquist its last value

    Args:
        wav: at `rate` Hz.
        rate: Hz.
        ratio: positive; above 1 is a shorter vocal tract.
        f0: as from `track_f0`.
    """
    hop, width = frame_hop(rate), _HOPS * frame_hop(rate)
    f0 = np.pad(f0, (1, 2), mode="edge")  # frames that begin before and end after the wave
    padded = np.pad(wav, (width // 2 + hop, width + 2 * hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[::hop][: len(f0)]  # (T, W)
    window = np.hanning(width + 1)[:-1].astype(np.float32)
    spectrum = scipy.fft.rfft(frames * window, axis=1)  # (T, F)
    log_envelope = _log_envelope(spectrum, width, rate, f0)
    last = spectrum.shape[1] - 1
    bins = np.minimum(np.arange(last + 1) / ratio, last)
    below = np.minimum(bins.astype(np.int64), last - 1)
    part = (bins - below).astype(np.float32)
    moved = (1 - part) * log_envelope[:, below] + part * log_envelope[:, below + 1]
    spectrum *= np.exp(moved - log_envelope)
    frames = scipy.fft.irfft(spectrum, width, axis=1) * window
    out = np.zeros((len(f0) + _HOPS - 1, hop), dtype=np.float32)
    for k in range(_HOPS):
        out[k : k + len(f0)] += frames[:, k * hop : (k + 1) * hop]
    start = width // 2 + hop
    return out.reshape(-1)[start : start + len(wav)] / np.float32(3 * _HOPS / 8)  # Σ window² of the frames on a sample


def _log_envelope(spectrum: NDArray[np.complex64], width: int, rate: int, f0: F0) -> NDArray[np.float32]:
    """ln |X| averaged along frequency over one F0, so that no harmonic is left in it; (T, F).

    ln E = FFT{ sinc(F0 q) · IFFT{ln |X|}(q) } ,   q the quefrency in seconds
    """
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    cepstrum = scipy.fft.irfft(0.5 * np.log(power + _FLOOR * power.max()), width, axis=1)  # (T, W)
    quefrency = np.minimum(np.arange(width), width - np.arange(width)).astype(np.float32) / rate
    cepstrum *= np.sinc(np.where(f0 > 0, f0, np.float32(_UNVOICED_HZ))[:, None] * quefrency)
    return scipy.fft.rfft(cepstrum, axis=1).real


def shift_pitch(wav: Wav, rate: int, ratio: float, f0: F0) -> Wav:
    """`wav` (N,) with F0 at `ratio` times its frequency, (N,); formants, times and unvoiced sounds are kept.

    Pitch-synchronous overlap-add: the wave is cut at marks a_k, once a period, into grains that reach from mark to mark (Hann
    halves that sum to 1), and these are laid down again at marks s_j that are `ratio` times as dense where there is voice.

        φ(a_k) = k ,   ψ(s_j) = j ,   φ' = F0 ,   ψ' = ratio · F0 ;   at s_j the grain of the nearest φ, times ratio^(-1/2)

    which keeps the power. Without voice φ' = ψ' = 200 Hz.

    Args:
        wav: at `rate` Hz.
        rate: Hz.
        ratio: positive.
        f0: as from `track_f0`.

    Source: Moulines and Charpentier 1990, "Pitch-synchronous waveform processing techniques".
    """
    margin = round(_MARGIN_SECONDS * rate)  # so that every sample lies between marks
    x, time = np.pad(wav, margin), np.arange(-margin, len(wav) + margin, dtype=np.float64)
    frame = np.rint(time / frame_hop(rate)).astype(np.int64).clip(0, len(f0) - 1)
    voiced = (f0 > 0)[frame]
    phase = _phase(x, rate, f0, time, voiced)
    new_phase = phase[0] + np.cumsum(np.diff(phase, prepend=phase[0]) * np.where(voiced, ratio, 1.0))
    marks = np.interp(np.arange(np.ceil(phase[0]), phase[-1]), phase, time)
    new_marks = np.interp(np.arange(np.ceil(new_phase[0]), new_phase[-1]), new_phase, time)
    nearest = np.interp(new_marks, time, phase) - np.ceil(phase[0])
    grains = np.floor(nearest + 0.5).astype(np.int64).clip(1, len(marks) - 2)
    gains = np.where(np.interp(new_marks, time, voiced) > 0.5, ratio**-0.5, 1.0)
    return _overlap_add(x, marks + margin, grains, new_marks + margin, gains)[margin : margin + len(wav)]


def _phase(x: Wav, rate: int, f0: F0, time: NDArray[np.float64], voiced: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Cycles passed at every sample, never falling, whole numbers at the crests of the energy of each period.

    φ = φ₀ + arg(c) / 2π ,   φ₀ = ∫ F0 dt ,   c = ∫ x² e^(-2πi φ₀) over three periods around every voiced frame
    """
    known = np.flatnonzero(f0 > 0)
    if not len(known):
        return time * (_GRAIN_HZ / rate)
    frames = known * frame_hop(rate)
    phase = np.cumsum(np.where(voiced, np.interp(time, frames, f0[known]), _GRAIN_HZ)) / rate
    total = np.cumsum(np.square(x) * np.exp(-2j * np.pi * phase))
    here = np.interp(frames, time, phase)
    crest = np.interp(here + _HALF_CREST, phase, total) - np.interp(here - _HALF_CREST, phase, total)
    turns = np.unwrap(np.angle(crest)) / (2 * np.pi)
    return np.maximum.accumulate(phase + np.interp(time, frames, turns))


def _overlap_add(
    x: Wav, marks: NDArray[np.float64], grains: NDArray[np.int64], new_marks: NDArray[np.float64], gains: NDArray[np.float64]
) -> Wav:
    """The grains of `x` around marks[grains] laid down around `new_marks`; all marks in fractional samples."""
    n = len(x)
    shift, delay = np.divmod(np.rint((new_marks - marks[grains]) * _DELAYS).astype(np.int64), _DELAYS)
    first = np.ceil(marks[grains - 1]).astype(np.int64)
    lengths = np.floor(marks[grains + 1]).astype(np.int64) - first + 1
    ends = np.cumsum(lengths)
    number = np.repeat(np.arange(len(grains)), lengths)  # of the grain that each written sample is of
    source = np.arange(ends[-1]) + np.repeat(first - ends + lengths, lengths)
    place = source - np.repeat(marks[grains], lengths)
    left, right = marks[grains] - marks[grains - 1], marks[grains + 1] - marks[grains]
    half = np.where(place < 0, np.repeat(left, lengths), np.repeat(right, lengths))
    values = np.repeat(gains, lengths) * (0.5 + 0.5 * np.cos(np.pi * place / half))
    values *= _delayed(x)[delay[number], source]
    target = source + shift[number]
    inside = (target >= 0) & (target < n)
    return np.bincount(target[inside], values[inside], n).astype(np.float32)


def _delayed(x: Wav) -> NDArray[np.float32]:
    """`x` (N,) later by 0, 1/4, 2/4, 3/4 of a sample, (4, N)."""
    turns = np.arange(_DELAYS)[:, None] / _DELAYS * scipy.fft.rfftfreq(len(x))
    return scipy.fft.irfft(scipy.fft.rfft(x) * np.exp(-2j * np.pi * turns).astype(np.complex64), len(x), axis=1)

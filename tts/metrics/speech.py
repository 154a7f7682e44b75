"""How near generated speech is to a recording: spectrum, pitch, timing. Pure functions of arrays.

Mels are natural-log, (n_mels, T). Frames of two utterances are paired by a path (P, 2): frame path[p, 0] of the reference with
frame path[p, 1] of the generated one. Without a path the two must be equally long, and frame i goes with frame i.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
N_CEPSTRA = 13


def mel_cepstra(mel: Array, n_cepstra: int = N_CEPSTRA, power: float = 1.0) -> Array:
    """Cepstra 1 to `n_cepstra` of a log-mel, (n_cepstra, T); the level c_0 is left out.

        ln A(m) = c_0 / 2 + Σ_k c_k cos(π k (m + 1/2) / n_mels) ,   A = mel^(1 / power) an amplitude

    Args:
        mel: (n_mels, T), natural log.
        n_cepstra: below n_mels.
        power: that of the mel, 1 for magnitudes (`AudioConfig.power`).

    Raises:
        ValueError: if `mel` is not (n_mels, T) with more than `n_cepstra` bands.
    """
    if mel.ndim != 2 or not 0 < n_cepstra < mel.shape[0]:
        raise ValueError(f"need a mel (n_mels, T) with n_mels > {n_cepstra}, found shape {mel.shape}.")
    return scipy.fft.dct(np.asarray(mel, dtype=np.float64) / power, type=2, axis=0)[1 : n_cepstra + 1] / mel.shape[0]


def align(reference: Array, generated: Array) -> NDArray[np.int64]:
    """The path (P, 2) of dynamic time warping between two log-mels, by the Euclidean distance of their mel-cepstra.

    It runs from (0, 0) to (T_reference - 1, T_generated - 1); each step advances one or both by one frame.

    Raises:
        ValueError: as `mel_cepstra`, or if one has no frames.
    """
    from librosa.sequence import dtw  # a second to import

    if 0 in (reference.shape[-1], generated.shape[-1]):
        raise ValueError(f"cannot align {reference.shape[-1]} frames with {generated.shape[-1]}.")
    _, path = dtw(mel_cepstra(reference), mel_cepstra(generated), metric="euclidean")
    return np.ascontiguousarray(path[::-1], dtype=np.int64)


def log_mel_l1(reference: Array, generated: Array, path: Array | None = None) -> float:
    """Mean |difference| of two log-mels over paired frames and bands, in nepers (1 neper = 8.7 dB of amplitude).

    Raises:
        ValueError: if the lengths differ and no path is given, or the path leaves an utterance.
    """
    x, y = _pair(reference, generated, path)
    return float(np.abs(x - y).mean())


def mel_cepstral_distortion(reference: Array, generated: Array, path: Array | None = None, *, power: float = 1.0) -> float:
    """Mel-cepstral distortion in dB over paired frames, from 13 cepstra of the log-mel without the level.

        MCD = 10 / ln 10 · mean_p sqrt(2 Σ_{k=1..13} (c_k - c'_k)²)

    These are DCT cepstra of a log-mel, not WORLD's or SPTK's mel-generalised ones: compare values of this function only with
    each other.

    Raises:
        ValueError: as `log_mel_l1` and `mel_cepstra`.

    Source: Kubichek 1993, "Mel-cepstral distance measure for objective speech quality assessment".
    """
    x, y = _pair(mel_cepstra(reference, power=power), mel_cepstra(generated, power=power), path)
    return float(10 / np.log(10) * np.sqrt(2 * np.square(x - y).sum(axis=0)).mean())


def spectral_detail(mel: Array, std: float = 1.0) -> float:
    """Mean square of the discrete Laplacian of a log-mel divided by `std`, over inner bands and frames.

        L(m, t) = x(m+1, t) + x(m-1, t) + x(m, t+1) + x(m, t-1) - 4 x(m, t)

    A blurred mel has less of it than a recording's, a noisy one more; report it beside the recording's own.

    Args:
        mel: (n_mels, T), natural log, at least 3 x 3.
        std: deviation of the training set's log-mel (`Statistics.mel_std`); no matter for ratios.

    Raises:
        ValueError: if the mel is smaller.
    """
    if mel.ndim != 2 or min(mel.shape) < 3:
        raise ValueError(f"need a mel of at least 3 bands and 3 frames, found shape {mel.shape}.")
    x = np.asarray(mel, dtype=np.float64) / std
    laplacian = x[2:, 1:-1] + x[:-2, 1:-1] + x[1:-1, 2:] + x[1:-1, :-2] - 4 * x[1:-1, 1:-1]
    return float(np.square(laplacian).mean())


def global_variance_ratio(reference: Array, generated: Array) -> float:
    """Mean over bands of (variance over time of the generated log-mel) / (that of the reference); below 1 is over-smoothed.

    Bands in which the reference does not move are left out; NaN if none moves. The lengths may differ.

    Raises:
        ValueError: if the numbers of bands differ.
    """
    if reference.shape[0] != generated.shape[0]:
        raise ValueError(f"found {reference.shape[0]} bands in the reference, {generated.shape[0]} in the generated mel.")
    theirs, ours = (np.asarray(mel, dtype=np.float64).var(axis=1) for mel in (reference, generated))
    moving = theirs > np.finfo(np.float32).eps
    return float((ours[moving] / theirs[moving]).mean()) if moving.any() else float("nan")


@dataclass(frozen=True)
class PitchScores:
    """Errors of an F0 track beside a reference; those of log-F0 are over frames voiced in both, NaN where there are too few."""

    log_f0_rmse: float  # of ln F0; 0.0578 is a semitone
    correlation: float  # Pearson's, of ln F0
    voicing_error: float  # share of frames voiced in one alone
    n_voiced: int  # frames voiced in both
    contour_rmse: float  # of ln F0 less its mean over these frames: a transposition costs nothing


def pitch_scores(reference: Array, generated: Array, path: Array | None = None) -> PitchScores:
    """Scores of a generated F0 track (T',) in Hz, 0 = unvoiced, beside a reference (T,).

    Raises:
        ValueError: if the lengths differ and no path is given, or there is no frame.
    """
    x, y = _pair(np.asarray(reference, dtype=np.float64), np.asarray(generated, dtype=np.float64), path)
    both = (x > 0) & (y > 0)
    log_x, log_y = np.log(x[both]), np.log(y[both])
    rmse = float(np.sqrt(np.square(log_x - log_y).mean())) if both.any() else float("nan")
    varies = len(log_x) > 1 and min(np.ptp(log_x), np.ptp(log_y)) > 0
    correlation = float(np.corrcoef(log_x, log_y)[0, 1]) if varies else float("nan")
    contour_rmse = float(np.std(log_x - log_y)) if both.any() else float("nan")
    return PitchScores(rmse, correlation, float(((x > 0) != (y > 0)).mean()), int(both.sum()), contour_rmse)


def duration_error(reference: ArrayLike, generated: ArrayLike) -> float:
    """Mean |d' - d| / mean d of the durations of the same phones (or utterances), in any one unit.

    Raises:
        ValueError: if the two are not equally many, or the reference sums to 0.
    """
    d, generated = np.asarray(reference, dtype=np.float64), np.asarray(generated, dtype=np.float64)
    if d.shape != generated.shape or not d.sum() > 0:
        raise ValueError(
            f"need as many durations, with a positive sum; found {generated.shape} and {d.shape}, sum {d.sum():g}."
        )
    return float(np.abs(generated - d).sum() / d.sum())


def _pair(x: Array, y: Array, path: Array | None) -> tuple[Array, Array]:
    """The paired frames of two tracks (..., T) and (..., T')."""
    n_x, n_y = x.shape[-1], y.shape[-1]
    if x.shape[:-1] != y.shape[:-1] or 0 in (n_x, n_y):
        raise ValueError(f"cannot compare shapes {x.shape} and {y.shape}; only the number of frames may differ, none 0.")
    if path is None:
        if n_x != n_y:
            raise ValueError(f"the reference has {n_x} frames, the generated utterance {n_y}. Give a path, as from align().")
        return x, y
    if path.ndim != 2 or path.shape[1] != 2 or not len(path) or (path < 0).any() or (path >= (n_x, n_y)).any():
        raise ValueError(f"need a path (P, 2) within {n_x} and {n_y} frames, found shape {path.shape}.")
    return x[..., path[:, 0]], y[..., path[:, 1]]

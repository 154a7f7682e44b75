"""Figures of speaker similarity, from the cosines of a speaker encoder's vectors. Pure functions of arrays."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tts.metrics.intervals import Interval, bootstrap


def cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    """a · b / (|a| |b|) of two vectors (D,), in [-1, 1]; NaN if one is zero."""
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.dot(a, b)) / norms if norms > 0 else float("nan")


def secs(similarities: ArrayLike) -> Interval:
    """Speaker encoder cosine similarity: the mean cosine of the pairs, with its bootstrap interval.

    Its scale is the encoder's own: give the same-speaker and different-speaker figures of real speech beside it.
    """
    return bootstrap(similarities)


def nearer_share(to_target: ArrayLike, to_source: ArrayLike) -> Interval:
    """The share of pairs more similar to the target than to the source, with its bootstrap interval; a tie is not nearer.

    Args:
        to_target: cosine of each converted utterance to its target.
        to_source: that to its source; pairs where either is not finite are left out.

    Raises:
        ValueError: if they are not equally many.
    """
    target, source = _finite_pairs(to_target, to_source)
    return bootstrap((target > source).astype(np.float64))


def equal_error_rate(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """Where as many genuine scores are refused as impostors are accepted; scores ≥ a threshold are accepted.

        FRR(θ) = share of genuine < θ ,   FAR(θ) = share of impostor ≥ θ ,   EER = FRR = FAR

    Between two thresholds both rates are interpolated linearly, as along a polygonal ROC.

    Args:
        genuine: scores of pairs of one speaker; those that are not finite are left out.
        impostor: scores of pairs of two speakers.

    Returns:
        0 where the two are apart, 0.5 where they are alike, 1 where they are apart the wrong way; NaN without scores.
    """
    same, other = (np.sort(np.asarray(s, dtype=np.float64)[np.isfinite(s)]) for s in (genuine, impostor))
    if not (len(same) and len(other)):
        return float("nan")
    thresholds = np.unique(np.concatenate([same, other, [np.inf]]))
    refused = np.searchsorted(same, thresholds, side="left") / len(same)  # FRR
    accepted = 1 - np.searchsorted(other, thresholds, side="left") / len(other)  # FAR
    gap = refused - accepted  # rises from -1, at the least score, to 1
    after = int(np.argmax(gap >= 0))
    before = after - 1
    weight = -gap[before] / (gap[after] - gap[before])
    return float(refused[before] + weight * (refused[after] - refused[before]))


def _finite_pairs(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = (np.asarray(values, dtype=np.float64).reshape(-1) for values in (a, b))
    if x.shape != y.shape:
        raise ValueError(f"need as many similarities to the source as to the target, found {len(y)} and {len(x)}.")
    both = np.isfinite(x) & np.isfinite(y)
    return x[both], y[both]

"""Means with their uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Interval:
    """A figure of merit with its 95 % confidence interval and the number of utterances behind it."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def bootstrap(values: ArrayLike, weights: Sequence[float] | None = None, *, n_resamples: int = 2000, seed: int = 0) -> Interval:
    """The weighted mean Σ w v / Σ w over utterances, with the percentile bootstrap interval of 95 %.

    With v = errors / words and w = words of each sentence this is the corpus word error rate.

    Args:
        values: one figure per utterance; those that are not finite (nothing to measure) are left out, and not counted.
        weights: one non-negative weight per utterance; by default all 1.
        n_resamples: how often the utterances are drawn anew, with replacement.
        seed: of these draws; the global RNG is untouched.

    Returns:
        value, low and high; all NaN with n = 0 when there is nothing to average.

    Raises:
        ValueError: if there is not one weight per value, or one is negative.

    Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", ch. 13.
    """
    v = np.asarray(values, dtype=np.float64).reshape(-1)
    w = np.ones_like(v) if weights is None else np.asarray(weights, dtype=np.float64).reshape(-1)
    if v.shape != w.shape or (w < 0).any():
        raise ValueError(f"need one weight >= 0 for each of {len(v)} values, found {len(w)}, the least {w.min(initial=0):g}.")
    usable = np.isfinite(v) & (w > 0)
    v, w = v[usable], w[usable]
    if len(v) == 0:
        return Interval(np.nan, np.nan, np.nan, 0)
    draws = np.random.default_rng(seed).integers(len(v), size=(n_resamples, len(v)))
    low, high = np.percentile(_mean(v[draws], w[draws]), [2.5, 97.5])
    return Interval(float(_mean(v, w)), float(low), float(high), len(v))


def _mean(v: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    return (v * w).sum(axis=-1) / w.sum(axis=-1)

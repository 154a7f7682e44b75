"""Scores of how well classifiers read factors from codes: SAP from one unit, latent quality from the whole code."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from tts.metrics.codes import flat, labels_of, standardise
from tts.metrics.learners import fit_logistic, fit_svm
from tts.metrics.partition import Partition, partition


class FactorKind(str, Enum):
    """Whether the values of factors are classes or points on a line."""

    DISCRETE = "discrete"
    CONTINUOUS = "continuous"


@dataclass(frozen=True)
class SapScore:
    """Separated attribute predictability: the mean over factors and each, in [0, 1]; scores (N, K) it is the gap of.

    With discrete factors even a perfect code has 1 - (accuracy of guessing) at most, and less for more than two values: a line
    cannot part one in the middle from the rest.
    """

    value: float
    per_factor: tuple[float, ...]
    kind: FactorKind
    n_train: int
    n_test: int
    scores: NDArray[np.float64] = field(compare=False, repr=False)


@dataclass(frozen=True)
class LatentQuality:
    """What linear probes of the whole code know: mean area under the ROC curve (0.5 is chance) and accuracy; of each factor.

    A factor of more than two values has the mean area of each against the rest. The mean area over all factors is the
    explicitness of Ridgeway and Mozer 2018. NaN is that of a factor whose test rows have one value; the mean leaves it out.
    """

    auroc: float
    accuracy: float
    aurocs: tuple[float, ...]
    accuracies: tuple[float, ...]
    n_train: int
    n_test: int


def sap(
    codes: NDArray[Any],
    factors: NDArray[Any],
    parts: Partition | None = None,
    *,
    kind: FactorKind = FactorKind.DISCRETE,
    seed: int = 0,
) -> SapScore:
    """Separated attribute predictability: how far the best single unit is ahead of the next.

        SAP = mean_k ( S_(1)k − S_(2)k )     S_dk = test accuracy of a linear SVM (discrete) or squared correlation (continuous)

    Args:
        codes: (n, N) or (n, N, d).
        factors: integers (n, K).
        parts: rows to fit on and to score on; by default 10,000 and 5,000 at random. Correlations read `parts.unfitted`.
        kind: of the factors.
        seed: of the parts if none are given.

    Raises:
        ValueError, DataError: as `standardise`, `labels_of` and `partition`.
        ImportError: if scikit-learn is not installed (extra `eval`; discrete only).

    Source: Kumar et al. 2018; C = 0.01 of Locatello et al. 2019, here on standardised units.
    """
    units, labels = standardise(codes), labels_of(factors, len(codes))
    parts = partition(factors, seed=seed) if parts is None else parts
    scores = np.zeros((units.values.shape[1], labels.shape[1]))
    for d in np.flatnonzero(units.active):
        for k, y in enumerate(labels.T):
            scores[d, k] = _predictability(units.values[:, d], y, parts, kind)
    ranked = np.sort(scores, axis=0)
    gaps = ranked[-1] - ranked[-2]
    return SapScore(float(gaps.mean()), tuple(gaps.tolist()), kind, len(parts.train), len(parts.test), scores)


def latent_quality(
    codes: NDArray[Any], factors: NDArray[Any], parts: Partition | None = None, *, seed: int = 0
) -> LatentQuality:
    """How well logistic regression on the whole code names each factor (or binary attribute) of rows it was not fitted on.

    Args:
        codes: (n, N) or (n, N, d); all N d numbers are read, standardised, without PCA.
        factors: integers or bool (n, K).
        parts: rows to fit on and to score on; by default 10,000 and 5,000 at random.
        seed: of the parts if none are given.

    Raises:
        ValueError, DataError: as `standardise`, `labels_of` and `partition`.
        ImportError: if scikit-learn is not installed (extra `eval`).

    Source: Ridgeway and Mozer 2018 (explicitness); Wang et al. 2023 (latent quality of InfoDiffusion).
    """
    x, labels = flat(codes), labels_of(factors, len(codes))
    parts = partition(factors, seed=seed) if parts is None else parts
    aurocs, accuracies = [], []
    for y in labels.T:
        probe = fit_logistic(x[parts.train], y[parts.train])
        chances, truth = probe.predict_proba(x[parts.test]), y[parts.test]
        accuracies.append(float((probe.classes_[chances.argmax(axis=1)] == truth).mean()))
        areas = [auroc(chance[:, None], truth == value)[0] for value, chance in zip(probe.classes_, chances.T, strict=True)]
        known = [area for area in areas if np.isfinite(area)]
        aurocs.append(float(np.mean(known)) if known else np.nan)
    return LatentQuality(
        auroc=float(np.nanmean(aurocs)),
        accuracy=float(np.mean(accuracies)),
        aurocs=tuple(aurocs),
        accuracies=tuple(accuracies),
        n_train=len(parts.train),
        n_test=len(parts.test),
    )


def auroc(scores: NDArray[Any], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Area under the ROC curve of every column of scores (n, D), (D,): how often a positive row is above a negative one.

        AUROC = ( Σ_positive rank − P (P + 1) / 2 ) / ( P (n − P) )     equal scores share their mean rank

    NaN where all rows are of one kind.

    Source: Hanley and McNeil 1982.
    """
    p = int(positive.sum())
    if p in (0, len(positive)):
        return np.full(scores.shape[1], np.nan)
    ranks = rankdata(scores, axis=0)
    return (ranks[positive].sum(axis=0) - p * (p + 1) / 2) / (p * (len(positive) - p))


def _predictability(unit: NDArray[np.float64], y: NDArray[np.int64], parts: Partition, kind: FactorKind) -> float:
    """S of one unit and one factor."""
    if kind is FactorKind.CONTINUOUS:
        rows = parts.unfitted
        deviations = unit[rows] - unit[rows].mean(), y[rows] - y[rows].mean()
        spread = float((deviations[0] ** 2).sum() * (deviations[1] ** 2).sum())
        return float((deviations[0] * deviations[1]).sum() ** 2) / spread if spread > 0 else 0.0
    classifier = fit_svm(unit[parts.train, None], y[parts.train])
    return float((classifier.predict(unit[parts.test, None]) == y[parts.test]).mean())

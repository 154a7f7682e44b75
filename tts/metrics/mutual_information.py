"""Scores that read the mutual information of binned units: MIG, modularity and self-MIG."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.metrics.codes import labels_of, standardise
from tts.metrics.learners import cluster

BINS = 20


@dataclass(frozen=True)
class MigScore:
    """Mutual information gap: its mean and that of each factor, in [0, 1]; the information in nats (N, K); rows read."""

    value: float
    per_factor: tuple[float, ...]
    n: int
    information: NDArray[np.float64] = field(compare=False, repr=False)


@dataclass(frozen=True)
class ModularityScore:
    """How much every unit knows of one factor only: mean over all units and that of each, in [0, 1]; rows read."""

    value: float
    per_unit: tuple[float, ...]
    n: int


@dataclass(frozen=True)
class SelfMigScore:
    """How little the units tell of each other: mean over units, the best of them, and each, in [0, 1]; rows read."""

    mean: float
    best: float
    per_unit: tuple[float, ...]
    n: int


def mig(codes: NDArray[Any], factors: NDArray[Any]) -> MigScore:
    """Mutual information gap: how far the unit that knows most of a factor is ahead of the next.

        MIG = mean_k ( I(u_(1); y_k) − I(u_(2); y_k) ) / H(y_k)

    u is a unit in 20 bins of equal width, y_k the labels of factor k; plug-in estimates in nats, no correction of their bias.

    Args:
        codes: (n, N) or (n, N, d).
        factors: integers (n, K).

    Raises:
        ValueError, DataError: as `standardise` and `labels_of`.

    Source: Chen et al. 2018 (beta-TCVAE); bins of Locatello et al. 2019.
    """
    information, entropies = factor_information(codes, factors)
    ranked = np.sort(information, axis=0)
    gaps = (ranked[-1] - ranked[-2]) / entropies
    return MigScore(value=float(gaps.mean()), per_factor=tuple(gaps.tolist()), n=len(codes), information=information)


def modularity(codes: NDArray[Any], factors: NDArray[Any]) -> ModularityScore:
    """Modularity: 1 where every unit has information on one factor at most, 0 where on all alike.

        m_dk = I(u_d; y_k) ,   modularity_d = 1 − ( Σ_k m_dk² − max_k m_dk² ) / ( (K − 1) max_k m_dk² ) ,   0 for a dead unit

    Args:
        codes: (n, N) or (n, N, d).
        factors: integers (n, K), K at least 2.

    Raises:
        ValueError: also for K = 1.
        DataError: as `standardise` and `labels_of`.

    Source: Ridgeway and Mozer 2018, as in Locatello et al. 2019.
    """
    if factors.ndim != 2 or factors.shape[1] < 2:
        raise ValueError(f"modularity compares factors, so it needs (n, K) with K >= 2, found {factors.shape}.")
    squares = factor_information(codes, factors)[0] ** 2
    largest = squares.max(axis=1)
    alive = largest > 0
    others = (squares.sum(axis=1) - largest) / (np.where(alive, largest, 1.0) * (squares.shape[1] - 1))
    scores = np.where(alive, 1 - others, 0.0)
    return ModularityScore(value=float(scores.mean()), per_unit=tuple(scores.tolist()), n=len(codes))


def self_mig(codes: NDArray[Any], *, seed: int = 0) -> SelfMigScore:
    """How much of a unit no other unit tells; needs no labels and picks the number of units.

        self-MIG_i = ( H(q_i) − max_{j≠i} I(q_i; q_j) ) / H(q_i) ,   0 for a dead unit

    q_i is the cluster of unit i among 20 of k-means; units of several numbers are clustered as they are, without PCA.

    Args:
        codes: (n, N) or (n, N, d).
        seed: of k-means.

    Raises:
        ValueError, DataError: as `standardise`.
        ImportError: if scikit-learn is not installed (extra `eval`).

    Source: Wu et al. 2024 (FDAE), which takes the largest over the units: `best`.
    """
    standardise(codes)  # refuses what is no code
    units = codes.reshape(*codes.shape[:2], -1).astype(np.float64)
    clusters = np.stack([cluster(unit, BINS, seed) for unit in units.transpose(1, 0, 2)], axis=1)
    information = mutual_information(clusters, clusters)
    entropies = np.diag(information).copy()
    np.fill_diagonal(information, 0.0)
    alive = entropies > 0
    scores = np.where(alive, 1 - information.max(axis=1) / np.where(alive, entropies, 1.0), 0.0)
    return SelfMigScore(mean=float(scores.mean()), best=float(scores.max()), per_unit=tuple(scores.tolist()), n=len(codes))


def factor_information(codes: NDArray[Any], factors: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """I(u_d; y_k) of the binned units and the factors in nats, (N, K), and H(y_k), (K,).

    Raises:
        ValueError, DataError: as `standardise` and `labels_of`.
    """
    labels = labels_of(factors, len(codes))
    entropies = np.array([_entropy(np.bincount(column)) for column in labels.T])
    return mutual_information(_binned(standardise(codes).values), labels), entropies


def mutual_information(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """I(a_i; b_j) = H(a_i) + H(b_j) − H(a_i, b_j) of the columns of two tables of labels >= 0, in nats, at least 0."""
    pairs = np.zeros((a.shape[1], b.shape[1]))
    for i, first in enumerate(a.T):
        for j, second in enumerate(b.T):
            width = int(second.max()) + 1
            table = np.bincount(first * width + second, minlength=(int(first.max()) + 1) * width).reshape(-1, width)
            pairs[i, j] = _entropy(table.sum(axis=1)) + _entropy(table.sum(axis=0)) - _entropy(table)
    return pairs.clip(min=0.0)


def _binned(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each value among 20 of equal width between the least and the largest of its column, from 0."""
    least = values.min(axis=0)
    width = (values.max(axis=0) - least) / BINS
    return ((values - least) / np.where(width > 0, width, 1.0)).astype(np.int64).clip(max=BINS - 1)


def _entropy(counts: NDArray[np.int64]) -> float:
    """Of the distribution that the counts are of, in nats."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())

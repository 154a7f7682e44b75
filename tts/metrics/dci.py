"""Disentanglement, completeness and informativeness."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.metrics.codes import labels_of, standardise
from tts.metrics.learners import Trees, fit_trees
from tts.metrics.partition import Partition, partition

_FLOOR = 1e-11


@dataclass(frozen=True)
class DciScore:
    """Disentanglement, completeness (of the importance) and informativeness (mean test accuracy), each in [0, 1].

    `per_unit` is the disentanglement of each unit, `per_factor` the completeness of each factor, `accuracies` the
    informativeness of each; `importance` (N, K) has a column of sum 1 per factor; `trees` are those that gave it. Never show
    one of the three alone: a code of many units may have the first without the second, a blind one the third by chance.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    per_unit: tuple[float, ...]
    per_factor: tuple[float, ...]
    accuracies: tuple[float, ...]
    trees: Trees
    n_train: int
    n_test: int
    importance: NDArray[np.float64] = field(compare=False, repr=False)


def dci(
    codes: NDArray[Any],
    factors: NDArray[Any],
    parts: Partition | None = None,
    *,
    trees: Trees = Trees.EXACT,
    seed: int = 0,
) -> DciScore:
    """Disentanglement, completeness and informativeness from the importance R_dk of unit d to boosted trees for factor k.

        D = Σ_d ρ_d ( 1 − H_K(R_d·) ) ,   ρ_d = Σ_k R_dk / Σ R
        C = Σ_k ρ_k ( 1 − H_N(R_·k) ) ,   ρ_k = Σ_d R_dk / Σ R ,     I = mean_k accuracy_k

    H_K is the entropy in base K of the row made a distribution, H_N that of the column in base N.

    Args:
        codes: (n, N) or (n, N, d).
        factors: integers (n, K), K at least 2.
        parts: rows to fit on and to score on; by default 10,000 and 5,000 at random.
        trees: exact (published; minutes) or histogram (seconds; not to be compared with the former).
        seed: of the trees, and of the parts if none are given.

    Raises:
        ValueError: also for K = 1.
        DataError: as `standardise`, `labels_of` and `partition`.
        ImportError: if scikit-learn is not installed (extra `eval`).

    Source: Eastwood and Williams 2018; the trees of Locatello et al. 2019.
    """
    if factors.ndim != 2 or factors.shape[1] < 2:
        raise ValueError(f"DCI compares factors, so it needs (n, K) with K >= 2, found {factors.shape}.")
    units, labels = standardise(codes).values, labels_of(factors, len(codes))
    parts = partition(factors, seed=seed) if parts is None else parts
    importance = np.zeros((units.shape[1], labels.shape[1]))
    accuracies = []
    for k, y in enumerate(labels.T):
        model, importance[:, k] = fit_trees(units[parts.train], y[parts.train], trees, seed)
        accuracies.append(float((model.predict(units[parts.test]) == y[parts.test]).mean()))
    d, per_unit = _weighted(importance)
    c, per_factor = _weighted(importance.T)
    return DciScore(
        disentanglement=d,
        completeness=c,
        informativeness=float(np.mean(accuracies)),
        per_unit=per_unit,
        per_factor=per_factor,
        accuracies=tuple(accuracies),
        trees=trees,
        n_train=len(parts.train),
        n_test=len(parts.test),
        importance=importance,
    )


def _weighted(importance: NDArray[np.float64]) -> tuple[float, tuple[float, ...]]:
    """Σ_r ρ_r (1 − H(row r)) with entropies in base of the row's length, and the terms 1 − H; 0 if nothing is important."""
    p = importance + _FLOOR
    p = p / p.sum(axis=1, keepdims=True)
    purity = 1 + (p * np.log(p)).sum(axis=1) / np.log(p.shape[1])
    total = importance.sum()
    rho = importance.sum(axis=1) / total if total > 0 else np.zeros(len(importance))
    return float((rho * purity).sum()), tuple(purity.tolist())

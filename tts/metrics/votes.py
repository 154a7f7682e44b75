"""FactorVAE and BetaVAE scores: which factor a batch of codes was held fixed in."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tts.metrics.code_table import CodeTable, Draws
from tts.metrics.codes import labels_of, standardise
from tts.metrics.learners import fit_logistic
from tts.metrics.partition import Partition

_CHUNK = 1000  # votes drawn at once


@dataclass(frozen=True)
class VoteScore:
    """Share of batches whose fixed factor was named rightly, in test and in training; 1 / K is chance.

    `active` of the `units` vary at all; the others win no vote. `votes` (N, K) counts for FactorVAE how often unit d varied
    least while factor k was held, in training; None for BetaVAE.
    """

    value: float
    train: float
    chance: float
    active: int
    units: int
    votes: NDArray[np.int64] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class VoteSettings:
    """Batches to learn from and to score on, codes in a batch, and the seed of their draws; the defaults are published.

    Raises:
        ValueError: for fewer than 1 batch, or fewer than 2 codes in one.
    """

    n_train: int = 10_000
    n_test: int = 5_000
    batch: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_train < 1 or self.n_test < 1 or self.batch < 2:
            raise ValueError(f"need n_train and n_test of at least 1 and a batch of at least 2, found {self}.")


PUBLISHED = VoteSettings()


def factor_vae_score(table: CodeTable, parts: Partition | None = None, *, settings: VoteSettings = PUBLISHED) -> VoteScore:
    """FactorVAE score: does the unit that varies least tell which factor was held?

        d* = argmin_d Var_batch(z_d) / Var_all(z_d)     of a batch with one value of factor k

    The factor named for d* is the one it was found for most often in training. Units are counted by their own number, constant
    ones never win, and the variance over all is that of the table.

    Args:
        table: the codes.
        parts: rows that the batches to learn from and to score on are drawn from; by default all for both (published).
        settings: numbers of batches, their size, seed.

    Returns:
        the accuracy; 0 of no active unit.

    Raises:
        ValueError, DataError: as `standardise` and `labels_of`.
        DataError: for a value of a factor with one row in a part: nothing varies there.

    Source: Kim and Mnih 2018; sizes of Locatello et al. 2019.
    """
    units = standardise(table.codes)
    alive = units.active
    draws = _draws(table, parts, settings.seed)
    k = len(table.sizes)
    if not alive.any():
        return VoteScore(0.0, 0.0, 1 / k, 0, len(alive), np.zeros((len(alive), k), dtype=np.int64))
    votes = []
    for draw, n in zip(draws, (settings.n_train, settings.n_test), strict=True):
        counts = np.zeros((len(alive), k), dtype=np.int64)
        for size in _chunks(n):
            held, rows = draw.batches(size, settings.batch)
            variances = np.where(alive, units.values[rows].var(axis=1, ddof=1), np.inf)
            np.add.at(counts, (variances.argmin(axis=1), held), 1)
        votes.append(counts)
    train, test = votes
    named = train.argmax(axis=1)  # the majority's factor of each unit
    every = np.arange(len(alive))
    return VoteScore(
        value=float(test[every, named].sum() / settings.n_test),
        train=float(train[every, named].sum() / settings.n_train),
        chance=1 / k,
        active=int(alive.sum()),
        units=len(alive),
        votes=train,
    )


def beta_vae_score(table: CodeTable, parts: Partition | None = None, *, settings: VoteSettings = PUBLISHED) -> VoteScore:
    """BetaVAE score: does a linear classifier tell from mean differences of pairs which factor they share?

        feature = mean over the batch of | u(x₁) − u(x₂) | ,   x₁ and x₂ alike in factor k, pair by pair

    u are the standardised units, the classifier is a logistic regression.

    Args:
        table: the codes.
        parts: rows that the batches to learn from and to score on are drawn from; by default all for both (published).
        settings: numbers of batches, pairs in one, seed.

    Raises:
        ValueError, DataError: as `factor_vae_score`.
        ImportError: if scikit-learn is not installed (extra `eval`).

    Source: Higgins et al. 2017; sizes of Locatello et al. 2019.
    """
    units = standardise(table.codes)
    features, held = [], []
    for draw, n in zip(_draws(table, parts, settings.seed), (settings.n_train, settings.n_test), strict=True):
        parted = [draw.differences(units.values, size, settings.batch) for size in _chunks(n)]
        held.append(np.concatenate([k for k, _ in parted]))
        features.append(np.concatenate([feature for _, feature in parted]))
    classifier = fit_logistic(features[0], held[0])
    train, test = (float((classifier.predict(x) == y).mean()) for x, y in zip(features, held, strict=True))
    alive = units.active
    return VoteScore(value=test, train=train, chance=1 / len(table.sizes), active=int(alive.sum()), units=len(alive))


def _chunks(n: int) -> list[int]:
    return [min(_CHUNK, n - start) for start in range(0, n, _CHUNK)]


def _draws(table: CodeTable, parts: Partition | None, seed: int) -> tuple[Draws, Draws]:
    """Where batches to learn from and to score on come from."""
    labels = labels_of(table.factors, len(table.codes))
    every = np.arange(len(labels))
    train, test = (every, every) if parts is None else (parts.train, parts.test)
    first, second = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    return Draws(labels, train, first), Draws(labels, test, second)

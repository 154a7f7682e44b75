"""Rows that classifiers and votes are fitted on, and rows they are scored on."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.errors import DataError

_MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # splitmix64


class Split(str, Enum):
    """What is fitted is scored on other rows (`iid`) or on other combinations of factor values (`compositional`).

    With `held_out` these are the combinations that the encoder, too, was trained without.
    """

    IID = "iid"
    COMPOSITIONAL = "compositional"
    HELD_OUT = "held_out"


def held_out(factors: NDArray[Any], share: float = 0.2, seed: int = 0) -> NDArray[np.bool_]:
    """Which rows belong to the combinations of factor values that are held out, (n,); about `share` of all combinations.

    It depends on the combination and the seed only, never on the other rows, so training and evaluation agree on it.

    Raises:
        ValueError: if share is not within (0, 1), or factors are not integers (n, K).
    """
    if not 0 < share < 1:
        raise ValueError(f"the share held out lies within 0 and 1, found {share}.")
    if factors.ndim != 2 or factors.dtype.kind not in "iub":
        raise ValueError(f"factors are integers (n, K), found {factors.dtype} of shape {factors.shape}.")
    increment, first, second = (np.uint64(number) for number in _MIX)
    state = np.full(len(factors), seed, dtype=np.uint64)
    for column in factors.T:
        state = state + column.astype(np.uint64) + increment
        state = (state ^ (state >> np.uint64(30))) * first
        state = (state ^ (state >> np.uint64(27))) * second
        state = state ^ (state >> np.uint64(31))
    return state < np.uint64(share * 2.0**64)


@dataclass(frozen=True, eq=False)
class Partition:
    """Rows that classifiers and votes are fitted on, rows they are scored on (index arrays), and the rule that parted them."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    split: Split

    @property
    def unfitted(self) -> NDArray[np.int64]:
        """The rows of scores that fit nothing: those fitted on under `iid`, as published, otherwise those held out."""
        return self.train if self.split is Split.IID else self.test


def partition(
    factors: NDArray[Any],
    *,
    split: Split = Split.IID,
    n_train: int = 10_000,
    n_test: int = 5_000,
    share: float = 0.2,
    seed: int = 0,
) -> Partition:
    """Rows to fit on and rows to score on, drawn without repetition.

    `iid` parts the rows at random, in the proportion n_train : n_test if they do not suffice for both. `compositional` and
    `held_out` give the combinations of `held_out(factors, share, seed)` to the test; an encoder trained without them is
    measured on what it has not seen. (The published protocol draws both from all images, which are also those trained on.)

    Raises:
        ValueError: if a number is below 1 or the share is not within (0, 1).
        DataError: if one of the two parts would have fewer than 2 rows.
    """
    if n_train < 1 or n_test < 1:
        raise ValueError(f"need n_train and n_test of at least 1, found {n_train} and {n_test}.")
    order = np.random.default_rng(seed).permutation(len(factors))
    if split is not Split.IID:
        out = held_out(factors, share, seed)[order]
        train, test = order[~out][:n_train], order[out][:n_test]
    else:
        n = min(n_test, round(len(order) * n_test / (n_train + n_test)))
        test, train = order[:n], order[n : n + n_train]
    if min(len(train), len(test)) < 2:
        raise DataError(f"{len(factors)} rows part into {len(train)} to fit on and {len(test)} to score on. Give more codes.")
    return Partition(train=train, test=test, split=split)

"""Codes made once, and batches of them that are alike in one factor."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.errors import DataError


@dataclass(frozen=True, eq=False)
class CodeTable:
    """Codes made once, of every combination of factor values or of a sample of them, that batches are drawn from.

    Made once and by an encoder in eval mode: codes of every batch normalised by that batch hide what was held fixed.

    Args:
        codes: (n, N) or (n, N, d).
        factors: integers (n, K), each from 0 to the factor's size - 1.
        sizes: the number of values of each factor, (K,).

    Raises:
        ValueError: if the shapes do not fit or a factor is out of its range.
    """

    codes: NDArray[Any]
    factors: NDArray[Any]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.factors.shape != (len(self.codes), len(self.sizes)):
            raise ValueError(f"need factors ({len(self.codes)}, {len(self.sizes)}), found {self.factors.shape}.")
        if (self.factors < 0).any() or (self.factors >= np.array(self.sizes)).any():
            raise ValueError(f"a factor is out of its range: sizes {self.sizes}, largest {self.factors.max(axis=0).tolist()}.")

    @classmethod
    def whole(cls, codes: NDArray[Any], sizes: tuple[int, ...]) -> "CodeTable":
        """The table of codes of all combinations in row-major order, the last factor fastest.

        Raises:
            ValueError: if there are not as many codes as combinations.
        """
        if len(codes) != np.prod(sizes):
            raise ValueError(f"sizes {sizes} have {np.prod(sizes)} combinations, found {len(codes)} codes.")
        return cls(codes, np.stack(np.unravel_index(np.arange(len(codes)), sizes), axis=1), tuple(sizes))


class Draws:
    """Random rows of a part of a table that are alike in one factor."""

    def __init__(self, labels: NDArray[np.int64], rows: NDArray[np.int64], generator: np.random.Generator) -> None:
        self.labels, self.rows, self.generator = labels[rows], rows, generator
        self.order = [np.argsort(column, kind="stable") for column in self.labels.T]
        self.counts = [np.bincount(column) for column in self.labels.T]
        self.starts = [np.cumsum(counts) - counts for counts in self.counts]
        for k, counts in enumerate(self.counts):
            if (counts == 1).any() or (counts > 0).sum() < 2:
                raise DataError(
                    f"factor {k} has a value with one row, or one value, among the {len(rows)} rows of a part; nothing varies "
                    "there. Give codes of more combinations."
                )

    def batches(self, n: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The factor held in each of n batches, (n,), and their rows, (n, size), all with one value of it."""
        held = self.generator.integers(len(self.order), size=n)
        rows = np.empty((n, size), dtype=np.int64)
        for k in range(len(self.order)):
            mine = np.flatnonzero(held == k)
            present = np.flatnonzero(self.counts[k])
            values = self.generator.choice(present, size=len(mine))
            rows[mine] = self._alike(k, np.repeat(values[:, None], size, axis=1))
        return held, self.rows[rows]

    def differences(self, values: NDArray[np.float64], n: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The factor shared in each of n batches of pairs, (n,), and their mean absolute differences, (n, N)."""
        held = self.generator.integers(len(self.order), size=n)
        features = np.empty((n, values.shape[1]))
        for k in range(len(self.order)):
            mine = np.flatnonzero(held == k)
            first = self.generator.integers(len(self.rows), size=(len(mine), size))
            second = self._alike(k, self.labels[first, k])
            features[mine] = np.abs(values[self.rows[first]] - values[self.rows[second]]).mean(axis=1)
        return held, features

    def _alike(self, k: int, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each value of factor k a random row (within the part) that has it."""
        offsets = (self.generator.random(values.shape) * self.counts[k][values]).astype(np.int64)
        return self.order[k][self.starts[k][values] + offsets]

"""The grid of ground-truth factors: every combination has an index, in row-major order."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class FactorSpace:
    """All combinations of K factors with finitely many values each; `len` is how many there are.

        index = Σ_k f_k · Π_{j > k} n_j        (row-major: the last factor is the fastest)

    Source: Locatello et al. 2019 (disentanglement_lib), the order of all published factor grids.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]  # n_k: factor k takes the values 0 … n_k − 1

    def __post_init__(self) -> None:
        if not self.sizes or len(self.names) != len(self.sizes) or len({*self.names}) != len(self.names):
            raise ValueError(f"need one name of its own for each of at least one size, found {self.names} and {self.sizes}.")
        if min(self.sizes) < 1:
            raise ValueError(f"a factor has at least one value, found sizes {self.sizes}.")

    def __len__(self) -> int:
        return prod(self.sizes)

    def index(self, factors: ArrayLike) -> NDArray[np.int64]:
        """The index (n,) of each combination in `factors` (n, K).

        Raises:
            ValueError: if the shape is another, or a value is no integer or out of its factor's range.
        """
        values = _integers(factors, "factors")
        if values.ndim != 2 or values.shape[1] != len(self.sizes):
            raise ValueError(f"need factors (n, {len(self.sizes)}), found shape {values.shape}.")
        wrong = (values < 0) | (values >= np.array(self.sizes))
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            found, name, size = values[row, column], self.names[column], self.sizes[column]
            raise ValueError(f"need {name} in 0 … {size - 1}, found {found} in row {row}.")
        return np.ravel_multi_index(tuple(values.T), self.sizes).astype(np.int64)

    def factors(self, index: ArrayLike) -> NDArray[np.int64]:
        """The combination (n, K) at each index (n,).

        Raises:
            ValueError: if an index is no integer or outside 0 … len − 1.
        """
        return np.stack(np.unravel_index(checked_index(index, len(self)), self.sizes), axis=1).astype(np.int64)


def checked_index(index: ArrayLike, count: int) -> NDArray[np.int64]:
    """`index` as an array (n,) of integers in 0 … count − 1.

    Raises:
        ValueError: if it has other axes, is not of integers, or one is out of range.
    """
    values = _integers(index, "index")
    if values.ndim != 1:
        raise ValueError(f"need an index (n,), found shape {values.shape}.")
    if len(values) and (values.min() < 0 or values.max() >= count):
        raise ValueError(f"need an index in 0 … {count - 1}, found {values.min()} … {values.max()}.")
    return values


def _integers(values: ArrayLike, name: str) -> NDArray[np.int64]:
    array: NDArray[Any] = np.asarray(values)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"need {name} of integers, found {array.dtype}.")
    return array.astype(np.int64)

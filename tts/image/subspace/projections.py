"""Orthonormal projections of images: the pyramid of average pooling, and principal components."""

from abc import ABC, abstractmethod
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

_ORTHONORMAL = 1e-4  # largest entry of U^T U - I that is taken for rounding


class Projection(ABC):
    """x -> y = U^T x with orthonormal columns U, U^T U = I: unit noise stays unit noise, and every alpha and sigma are kept.

    Data are projected as they are, and never rescaled afterwards.
    """

    @abstractmethod
    def down(self, x: Tensor) -> Tensor:
        """U^T x: states (B, ...) of the full space to those of the subspace."""

    @abstractmethod
    def up(self, y: Tensor) -> Tensor:
        """U y: states of the subspace to the full space."""

    def complement(self, x: Tensor) -> Tensor:
        """(I - U U^T) x, the shape of x: what the subspace leaves out."""
        return x - self.up(self.down(x))

    def complement_dims(self, x: Tensor) -> int:
        """d - n: the dimensions that the subspace leaves out of one state of x (B, ...)."""
        return x[0].numel() - self.down(x[:1]).numel()


class AveragePool(Projection):
    """Down: mean over squares of 2^levels pixels along a side, times 2^levels. Up: each pixel to its square, divided by that.

    Args:
        levels: halvings of the side, 1 or more.

    Raises:
        ValueError: if levels is below 1.

    Source: Jing et al. 2022, the subspaces of all experiments.
    """

    def __init__(self, levels: int = 1) -> None:
        if levels < 1:
            raise ValueError(f"levels must be at least 1, found {levels}.")
        self.levels, self.side = levels, 2**levels

    def down(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H / 2^levels, W / 2^levels).

        Raises:
            ValueError: if H or W is no multiple of 2^levels.
        """
        if x.ndim != 4 or x.shape[2] % self.side or x.shape[3] % self.side:
            raise ValueError(f"images must be (B, C, H, W) with H and W multiples of {self.side}, found {tuple(x.shape)}.")
        # U^T x = 2^levels mean,  U U^T = mean over each square
        return self.side * F.avg_pool2d(x, self.side)

    def up(self, y: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2^levels H, 2^levels W)."""
        return F.interpolate(y, scale_factor=float(self.side), mode="nearest") / self.side


class LinearProjection(Projection):
    """y = U^T x of flattened images, for any orthonormal basis.

    Args:
        basis: U, (d, n) with d = product of `shape`.
        shape: of one image, e.g. (C, H, W).

    Raises:
        ValueError: if the basis is not orthonormal or does not fit the shape.
    """

    def __init__(self, basis: Tensor, shape: tuple[int, ...]) -> None:
        if basis.ndim != 2 or len(basis) != prod(shape) or not 1 <= basis.shape[1] <= len(basis):
            raise ValueError(f"the basis of images {shape} must be ({prod(shape)}, n), found {tuple(basis.shape)}.")
        error = (basis.T @ basis - torch.eye(basis.shape[1], dtype=basis.dtype, device=basis.device)).abs().max().item()
        if not error <= _ORTHONORMAL:
            raise ValueError(f"the basis must have orthonormal columns, U^T U differs from I by {error:.2g}.")
        self.basis, self.shape = basis, shape

    def down(self, x: Tensor) -> Tensor:
        """(B, *shape) -> (B, n)."""
        return x.flatten(1) @ self.basis.to(x)

    def up(self, y: Tensor) -> Tensor:
        """(B, n) -> (B, *shape)."""
        return (y @ self.basis.to(y).T).unflatten(1, self.shape)


def principal_components(x: Tensor, n: int) -> LinearProjection:
    """The n directions of largest variance of images x (N, ...), in float64.

    They leave less out than pooling, but the states of the subspace are vectors, which no convolutional network can read.

    Raises:
        ValueError: if n is not 1 to the smaller of N - 1 and the numbers in an image.
    """
    largest = min(len(x) - 1, x[0].numel())
    if not 1 <= n <= largest:
        raise ValueError(f"n must be 1 to {largest} for {len(x)} images of {x[0].numel()} numbers, found {n}.")
    _, vectors = torch.linalg.eigh(torch.cov(x.flatten(1).double().T))  # of rising variance
    return LinearProjection(vectors[:, -n:].flip(1), tuple(x.shape[1:]))

"""How far two samples are from one distribution: kernel mean discrepancies and sliced transport, at every dimension."""

from collections.abc import Callable
from enum import Enum

import torch
from torch import Tensor

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)

Kernel = Callable[[Tensor, int], Tensor]


class DivergenceKind(str, Enum):
    """`mmd_rbf`, `mmd_imq` (kernel mean discrepancies) or `sliced` (Wasserstein)."""

    mmd_rbf = "mmd_rbf"
    mmd_imq = "mmd_imq"
    sliced = "sliced"


def rbf(squared_distance: Tensor, dim: int) -> Tensor:
    """mean over scales of exp(-r^2 / (2 d scale)); 2 d is the mean squared distance of two draws of N(0, I).

    So it tells distributions apart at every dimension, where the one bandwidth d^2 of InfoDiffusion's code sees ever less.
    """
    return torch.stack([(-squared_distance / (2 * dim * scale)).exp() for scale in SCALES]).mean(0)


def imq(squared_distance: Tensor, dim: int) -> Tensor:
    """mean over scales of c / (c + r^2), c = 2 d scale: heavy tails, so that even far codes are pulled.

    Source: Tolstikhin et al. 2018 (Wasserstein autoencoders).
    """
    return torch.stack([1 / (1 + squared_distance / (2 * dim * scale)) for scale in SCALES]).mean(0)


def mmd(x: Tensor, y: Tensor, kernel: Kernel = rbf) -> Tensor:
    """Squared maximum mean discrepancy, unbiased: a scalar, 0 on average (and so at times below) for equal distributions.

        mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

    Args:
        x: codes, (n, ...), at least 2; flattened to vectors.
        y: codes of the other distribution, (m, ...), at least 2.
        kernel: (squared distances, dimension of the vectors) -> values of the same shape.

    Raises:
        ValueError: if a sample has less than two vectors or the widths differ.

    Source: Gretton et al. 2012, eq. 3.
    """
    x, y = _vectors(x, y)
    dim = x.shape[1]
    within = sum(_off_diagonal_mean(kernel(_squared_distance(a, a), dim)) for a in (x, y))
    return within - 2 * kernel(_squared_distance(x, y), dim).mean()


def sliced_wasserstein(x: Tensor, y: Tensor, generator: torch.Generator, n_projections: int = 64) -> Tensor:
    """Squared 2-Wasserstein distance along random directions, their mean: a scalar, 0 or more.

    Args:
        x: codes, (n, ...).
        y: as many of the other distribution.
        generator: of the directions.
        n_projections: how many.

    Raises:
        ValueError: if the samples differ in size or width, or have less than two vectors.

    Source: Kolouri et al. 2019.
    """
    x, y = _vectors(x, y)
    if len(x) != len(y):
        raise ValueError(f"sliced transport needs samples of one size, found {len(x)} and {len(y)}.")
    directions = torch.randn(x.shape[1], n_projections, generator=generator).to(x)
    directions = directions / directions.norm(dim=0)
    # in one dimension the optimal transport joins equal ranks
    ranked = [(a[:, :, None] * directions).sum(1).sort(0).values for a in (x, y)]  # no matmul: autocast would round it
    return (ranked[0] - ranked[1]).square().mean()


def divergence(kind: DivergenceKind, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """The divergence of this kind between samples of one size; the generator is that of the directions of `sliced`."""
    if kind is DivergenceKind.sliced:
        return sliced_wasserstein(x, y, generator)
    return mmd(x, y, rbf if kind is DivergenceKind.mmd_rbf else imq)


def _vectors(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    x, y = x.flatten(1), y.flatten(1)
    if min(len(x), len(y)) < 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"need two samples of at least 2 vectors of one width, found {tuple(x.shape)} and {tuple(y.shape)}.")
    return x, y


def _squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """(n, m), without the root of `cdist`, whose gradient at 0 is not finite."""
    return (x[:, None] - y[None]).square().sum(-1)


def _off_diagonal_mean(k: Tensor) -> Tensor:
    n = len(k)
    return (k.sum() - k.diagonal().sum()) / (n * (n - 1))

"""D_LSBD: how far codes of a grid are from being moved linearly by a circle for each factor."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.errors import DataError

_DEAD = 1e-9  # share of the largest standard deviation of the codes below which a component is rounding


@dataclass(frozen=True)
class Lsbd:
    """The score, its parts for each factor, and the winding number of each that explains most."""

    score: float
    parts: tuple[float, ...]
    omegas: tuple[int, ...]


def d_lsbd(grid: NDArray[Any], omegas: Iterable[int] = range(-10, 11)) -> Lsbd:
    """D_LSBD of codes on a regular grid of K cyclic factors: 0 for a torus, about 1 for codes that no rotation explains.

        for each factor k: z' = z - mean of z over axis k, whitened in its 2 first principal components to deviation 1 / sqrt 2
        part k = min over whole omega of mean |R(omega g_k)^-1 z' - M|^2 ,   g_k = 2 pi i / n_k ,   M the mean of R^-1 z'
        score = mean over k

    The minimum is taken for each factor by itself, which gives that of all together. Any invertible linear map of the codes
    leaves the score as it is: it says nothing about axes or blocks, so report the leakage of blocks beside it. Where a factor
    moves the codes along a line, or not at all, the missing components count as unexplained, 1/2 each.

    Args:
        grid: codes (n_1, …, n_K, D), D at least 2; every factor at least 3 values, in cyclic order.
        omegas: the winding numbers that are tried.

    Raises:
        ValueError: for another shape, or without winding numbers.
        DataError: for codes that are not finite.

    Source: Tonnaer, Perez Rey et al. 2022, "Quantifying and Learning Linear Symmetry-Based Disentanglement", for SO(2)^K.
    """
    winding = np.array(sorted(omegas, key=lambda omega: (abs(omega), omega)))
    if grid.ndim < 2 or grid.shape[-1] < 2 or min(grid.shape[:-1]) < 3 or not len(winding):
        raise ValueError(f"need codes (n_1, …, n_K, D) with n_k >= 3 and D >= 2 and winding numbers, found {grid.shape}.")
    if not np.isfinite(grid).all():
        raise DataError("the codes have values that are not finite. Encode again, with an encoder that did not diverge.")
    wide = grid.astype(np.float64)
    spread = np.sqrt(wide.reshape(-1, wide.shape[-1]).var(axis=0).sum())
    found = [_part(wide, k, winding, spread) for k in range(grid.ndim - 1)]
    parts, best = zip(*found, strict=True)
    return Lsbd(float(np.mean(parts)), parts, best)


def _part(grid: NDArray[np.float64], k: int, omegas: NDArray[np.int64], spread: float) -> tuple[float, int]:
    """The part of factor k and its winding number."""
    n = grid.shape[k]
    plane = _whitened(grid - grid.mean(axis=k, keepdims=True), spread).reshape(*grid.shape[:-1], 2)
    z = plane[..., 0] + 1j * plane[..., 1]
    angles = 2 * np.pi * np.arange(n) / n
    phases = np.exp(-1j * np.multiply.outer(omegas, angles))
    # mean |w - M|^2 = mean |z|^2 - |M|^2 ,  w = exp(-i omega g) z
    means = phases @ np.moveaxis(z, k, 0).reshape(n, -1).mean(axis=1) / n
    missing = 1 / 2 * (2 - np.any(plane.reshape(-1, 2) != 0, axis=0).sum())
    best = int(np.abs(means).argmax())
    turned = np.moveaxis(z, k, -1) * phases[best]
    return float(np.mean(np.abs(turned - turned.mean()) ** 2) + missing), int(omegas[best])


def _whitened(codes: NDArray[np.float64], spread: float) -> NDArray[np.float64]:
    """The 2 first principal components, (n, 2), each with the unbiased deviation 1 / sqrt 2; 0 where there is none."""
    flat = codes.reshape(-1, codes.shape[-1])
    centred = flat - flat.mean(axis=0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    std = singular[:2] / np.sqrt(len(flat) - 1)
    alive = std > _DEAD * spread
    return centred @ directions[:2].T * np.where(alive, 1 / np.where(alive, std, 1.0), 0.0) / np.sqrt(2)

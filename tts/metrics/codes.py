"""Codes and factors as every disentanglement score reads them: one standardised number per unit, labels from 0."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.errors import DataError

_ROUNDING = 1e-6  # a unit that varies less than this, relative to its largest value, is a constant in float32


@dataclass(frozen=True, eq=False)
class Units:
    """Standardised codes: `values` (n, N) of mean 0 and variance 1, 0 where a unit is constant; `std` (N,) before that.

    `pca` says whether units of several numbers were reduced to one.
    """

    values: NDArray[np.float64]
    std: NDArray[np.float64]
    pca: bool

    @property
    def active(self) -> NDArray[np.bool_]:
        """Which units vary at all, (N,)."""
        return np.any(self.values != 0, axis=0)


def standardise(codes: NDArray[Any]) -> Units:
    """The units of codes, each with mean 0 and variance 1 over the rows, so that no score depends on their scale.

        u_d = (z_d − mean z_d) / std z_d

    A unit of several numbers is first reduced to its first principal component over the rows (the published protocol; its sign
    makes the largest weight positive). Only a unit that is constant up to the rounding of float32 counts as dead: an absolute
    threshold on the standard deviation, as in the published FactorVAE score (0.05), kills every code of another scale.

    Args:
        codes: (n, N), or (n, N, d) for N units of d numbers; n and N at least 2.

    Raises:
        ValueError: for another shape.
        DataError: for values that are not finite.
    """
    if codes.ndim not in (2, 3) or codes.shape[0] < 2 or codes.shape[1] < 2 or 0 in codes.shape:
        raise ValueError(f"codes are (n, N) or (n, N, d) with n >= 2 and N >= 2, found {codes.shape}.")
    if not np.isfinite(codes).all():
        raise DataError("the codes have values that are not finite. Encode again, with an encoder that did not diverge.")
    wide = codes.astype(np.float64)
    pca = codes.ndim == 3 and codes.shape[2] > 1
    scalars = _first_components(wide) if pca else wide.reshape(codes.shape[:2])
    centred, std, dead = _centred(scalars)
    values = np.where(dead, 0.0, centred / np.where(dead, 1.0, std))
    return Units(values=values, std=std, pca=pca)


def flat(codes: NDArray[Any]) -> NDArray[np.float64]:
    """All numbers of a code side by side and standardised, (n, N d): what a probe of the whole code reads.

    Raises:
        ValueError: for codes that are not (n, N) or (n, N, d).
        DataError: for values that are not finite.
    """
    return standardise(codes.reshape(len(codes), -1)).values


def labels_of(factors: NDArray[Any], n: int) -> NDArray[np.int64]:
    """The values of every factor numbered from 0 in their order, (n, K).

    Raises:
        ValueError: unless factors are integers (or bool) of shape (n, K).
        DataError: for a factor with one value only, which no score can speak of.
    """
    if factors.ndim != 2 or factors.shape[0] != n or factors.shape[1] < 1 or factors.dtype.kind not in "iub":
        raise ValueError(f"factors are integers ({n}, K), found {factors.dtype} of shape {factors.shape}.")
    columns = [np.unique(column, return_inverse=True)[1] for column in factors.T]
    constant = [k for k, column in enumerate(columns) if column.max() == 0]
    if constant:
        raise DataError(f"factor(s) {constant} have one value in all {n} rows. Leave them out, or give rows where they vary.")
    return np.stack(columns, axis=1).astype(np.int64)


def active_units(codes: NDArray[Any], threshold: float = 0.05) -> int:
    """How many units have at least `threshold` of the largest standard deviation: a collapsed unit of a VAE has not.

    A diagnosis of the scale before standardising, which is why no score leaves a unit out for it.

    Raises:
        ValueError, DataError: as `standardise`; ValueError also if the threshold is not within (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold lies within 0 and 1, found {threshold}.")
    units = standardise(codes)
    return int((units.active & (units.std >= threshold * units.std.max())).sum())


def pca_codes(images: NDArray[Any], n: int) -> NDArray[np.float32]:
    """The first n principal components of pixels, (m, n): the baseline that a learnt code must beat.

    Args:
        images: (m, C, H, W), or anything with m first; m and the number of pixels above n.
        n: how many, at least 1. The sign makes the largest weight of a component positive.

    Raises:
        ValueError: if n is out of range.
    """
    from scipy.sparse.linalg import svds

    pixels = images.reshape(len(images), -1).astype(np.float32)
    if not 1 <= n < min(pixels.shape):
        raise ValueError(
            f"{pixels.shape[0]} images of {pixels.shape[1]} pixels have 1 to {min(pixels.shape) - 1} components, found {n}."
        )
    pixels -= pixels.mean(axis=0)
    start = np.random.default_rng(0).normal(size=min(pixels.shape)).astype(np.float32)
    weights = svds(pixels, k=n, v0=start, return_singular_vectors="vh")[2][::-1]  # svds gives the least first
    return pixels @ (_signs(weights)[:, None] * weights).T


def _centred(columns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Columns without their means, their standard deviations, and which of them are constant."""
    centred = columns - columns.mean(axis=0)
    std = centred.std(axis=0)
    return centred, std, std <= _ROUNDING * np.abs(columns).max(axis=0)


def _first_components(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first principal component of every unit over the rows, (n, N)."""
    centred = codes - codes.mean(axis=0)
    covariance = np.einsum("nud,nue->ude", centred, centred)
    directions = np.linalg.eigh(covariance)[1][:, :, -1]  # (N, d), eigenvalues rise
    return np.einsum("nud,ud->nu", codes, _signs(directions)[:, None] * directions)


def _signs(directions: NDArray[Any]) -> NDArray[Any]:
    """±1 for each row, the sign of its largest entry."""
    largest = np.abs(directions).argmax(axis=1)
    return np.sign(directions[np.arange(len(directions)), largest])

"""How alike two batches of images, or the features of two sets, are: MSE, PSNR, SSIM and the Fréchet distance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tts.errors import DataError

_WINDOW = 11
_WINDOW_STD = 1.5
_C1, _C2 = 0.01**2, 0.03**2


@dataclass(frozen=True)
class FrechetDistance:
    """The distance, its part of the means and its part of the covariances; images on both sides; numbers in a feature.

    It falls with the number of images, the more the wider the features: compare at equal n only, and print n.
    """

    value: float
    means: float
    covariances: float
    n_a: int
    n_b: int
    width: int


def mse(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared error of images taken to [0, 1], (B,): a quarter of that on [-1, 1].

    Args:
        a: (B, C, H, W) in [-1, 1].
        b: as a.

    Raises:
        ValueError: if the shapes differ or are not of four axes.
    """
    _require_pair(a, b)
    return ((a - b) / 2).square().mean(dim=(1, 2, 3))


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio −10 log10 MSE in dB, (B,); infinite for equal images.

    Args:
        a: (B, C, H, W) in [-1, 1].
        b: as a.

    Raises:
        ValueError: as `mse`.
    """
    return -10 * mse(a, b).log10()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity, (B,), in [-1, 1]; 1 for equal images.

        SSIM = ( (2 μ_a μ_b + c₁) (2 s_ab + c₂) ) / ( (μ_a² + μ_b² + c₁) (s_a² + s_b² + c₂) ) ,   c₁ = 0.01², c₂ = 0.03²

    μ, s² and s_ab are weighted by a Gaussian window of 11 × 11 and standard deviation 1.5 on images taken to [0, 1], in every
    place where it lies inside the image; the mean is over places and channels. Differentiable.

    Args:
        a: (B, C, H, W) in [-1, 1], H and W at least 11.
        b: as a.

    Raises:
        ValueError: if the shapes differ, are not of four axes, or an image is smaller than the window.

    Source: Wang et al. 2004.
    """
    _require_pair(a, b)
    if min(a.shape[-2:]) < _WINDOW:
        raise ValueError(f"SSIM has a window of {_WINDOW} x {_WINDOW}, found images of {tuple(a.shape[-2:])}.")
    x, y = ((image + 1) / 2 for image in (a, b))
    mean_x, mean_y, xx, yy, xy = (_windowed(image) for image in (x, y, x * x, y * y, x * y))
    var_x, var_y, cov = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    # SSIM = ( (2 μ_a μ_b + c₁) (2 s_ab + c₂) ) / ( (μ_a² + μ_b² + c₁) (s_a² + s_b² + c₂) )
    alike = ((2 * mean_x * mean_y + _C1) * (2 * cov + _C2)) / ((mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2))
    return alike.mean(dim=(1, 2, 3))


def frechet(features_a: NDArray[Any], features_b: NDArray[Any]) -> FrechetDistance:
    """Fréchet distance of the Gaussians that two sets of features have the moments of: FID, on any features.

        d² = |μ_a − μ_b|² + tr Σ_a + tr Σ_b − 2 tr (Σ_a Σ_b)^½ ,     tr (Σ_a Σ_b)^½ = ‖ Σ_a^½ Σ_b^½ ‖_*

    The last is a sum of singular values, so it is real and finite for covariances of any rank.

    Args:
        features_a: (n, D), n at least 2; covariances have n − 1 in the denominator.
        features_b: (m, D), m at least 2.

    Returns:
        `value` = d² >= 0 (up to rounding), the quantity that the field calls FID.

    Raises:
        ValueError: if they are not such.
        DataError: for features that are not finite.

    Source: Dowson and Landau 1982; Heusel et al. 2017.
    """
    if features_a.ndim != 2 or features_b.ndim != 2 or features_a.shape[1] != features_b.shape[1]:
        raise ValueError(f"features are (n, D) and (m, D), found {features_a.shape} and {features_b.shape}.")
    if min(len(features_a), len(features_b)) < 2:
        raise ValueError(f"a covariance takes at least 2 images, found {len(features_a)} and {len(features_b)}.")
    if not (np.isfinite(features_a).all() and np.isfinite(features_b).all()):
        raise DataError("the features have values that are not finite. Look at the images and the extractor.")
    a, b = (features.astype(np.float64) for features in (features_a, features_b))
    means = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
    cov_a, cov_b = (np.atleast_2d(np.cov(features, rowvar=False)) for features in (a, b))
    overlap = np.linalg.svd(_root(cov_a) @ _root(cov_b), compute_uv=False).sum()
    covariances = float(np.trace(cov_a) + np.trace(cov_b) - 2 * overlap)
    return FrechetDistance(means + covariances, means, covariances, len(a), len(b), a.shape[1])


def _require_pair(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(f"need two batches (B, C, H, W) of one shape, found {tuple(a.shape)} and {tuple(b.shape)}.")


def _windowed(images: Tensor) -> Tensor:
    """The Gaussian mean around every place where the window fits, (B, C, H - 10, W - 10)."""
    offsets = torch.arange(_WINDOW, dtype=images.dtype, device=images.device) - _WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * _WINDOW_STD**2))
    weights = weights / weights.sum()
    flat = images.flatten(0, 1)[:, None]  # (B C, 1, H, W)
    rows = functional.conv2d(flat, weights[None, None, :, None])
    return functional.conv2d(rows, weights[None, None, None, :]).unflatten(0, images.shape[:2])[:, :, 0]


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric square root; eigenvalues that rounding made negative are 0."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T

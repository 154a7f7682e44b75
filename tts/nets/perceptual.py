"""A perceptual distance on the feature maps of any network."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

_EPS = 1e-10


class FeatureMaps(Protocol):
    """A network that gives feature maps of several depths."""

    def __call__(self, x: Tensor) -> Sequence[Tensor]:
        """Maps (B, C_l, H_l, W_l) of images (B, C, H, W) in [-1, 1], each image by itself."""
        ...


class FeatureDistance:
    """Perceptual distance: how far the directions of feature vectors are apart, place by place.

        d(a, b) = mean_l mean_hw | f̂_l(a) − f̂_l(b) |² ,     f̂ = f / |f| over channels

    In [0, 4] (2 for features that are never negative); 0 for equal images. It is LPIPS without the learnt channel weights, on
    whatever network is given: figures of two networks are not comparable, and none is LPIPS. Differentiable.

    Args:
        maps: the feature maps.

    Source: Zhang et al. 2018 (LPIPS), the uncalibrated form.
    """

    def __init__(self, maps: FeatureMaps) -> None:
        self.maps = maps

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """The distance of each pair, (B,).

        Raises:
            ValueError: if the shapes differ.
        """
        if a.shape != b.shape:
            raise ValueError(f"need two batches of one shape, found {tuple(a.shape)} and {tuple(b.shape)}.")
        pairs = zip(self.maps(a), self.maps(b), strict=True)
        return torch.stack([(_directions(f) - _directions(g)).square().sum(dim=1).mean(dim=(1, 2)) for f, g in pairs]).mean(
            dim=0
        )


def _directions(maps: Tensor) -> Tensor:
    """Feature vectors of length 1, over channels; a vector of zeros stays one."""
    return maps / (maps.square().sum(dim=1, keepdim=True) + _EPS).sqrt()

"""How far two images are apart, and features of images, by the name that a command line gives them."""

from collections.abc import Callable
from enum import Enum

import torch
from torch import Tensor

from tts.errors import ModelError
from tts.image.edit_times import Distance
from tts.metrics.efficientnet import Lite0Features, load_efficientnet_lite0
from tts.nets.perceptual import FeatureDistance


class DistanceKind(str, Enum):
    """`pixels`: mean squared difference, always at hand; `features`: of an ImageNet network's maps (extra `features`)."""

    pixels = "pixels"
    features = "features"


def image_distance(kind: DistanceKind, device: torch.device) -> Distance:
    """Images (B, C, H, W) in [-1, 1], twice -> (B,), quadratic in small differences.

    Raises:
        ModelError: if the features are not installed.
    """
    if kind is DistanceKind.pixels:
        return lambda a, b: (a - b).flatten(1).square().mean(dim=1)
    return FeatureDistance(imagenet_features().to(device))


def imagenet_features() -> Lite0Features:
    """The ImageNet network that the extra `features` brings.

    Raises:
        ModelError: if it is not installed.
    """
    try:
        return load_efficientnet_lite0()
    except ImportError as err:
        raise ModelError(str(err)) from err


def decoded(distance: Distance, pixels: Callable[[Tensor], Tensor]) -> Distance:
    """The distance of states (B, …) at t = 0 by that of their images."""
    return lambda a, b: distance(pixels(a), pixels(b))

"""What every model of images is measured beside: codes that nothing was learnt for, and features that are always at hand."""

from collections.abc import Callable
from enum import Enum
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.image.datasets import to_model
from tts.inference.image_distance import imagenet_features
from tts.inference.image_runner import Images
from tts.metrics.codes import pca_codes
from tts.nets.image_encoder import ImageEncoder

FeatureExtractor = Callable[[Images], NDArray[np.float32]]

BASELINES = ("random encoder", "PCA of pixels")
UNITS = 10
FEATURES = 64  # of the random network that the Fréchet distance is measured on
CHUNK = 256  # images at once


def baseline_codes(pixels: Images, seed: int) -> dict[str, NDArray[np.float32]]:
    """Codes (n, 10) that every method must beat: of an encoder as it was before training, and of PCA."""
    network = _untrained(pixels.shape[1], pixels.shape[2], UNITS, seed)
    return dict(zip(BASELINES, (_outputs(network, pixels), pca_codes(pixels, UNITS)), strict=True))


def random_features(pixels: Images) -> NDArray[np.float32]:
    """Features (n, 64) of images (n, C, H, W) by a fixed untrained network."""
    return _outputs(_untrained(pixels.shape[1], pixels.shape[2], FEATURES, 0), pixels)


class FrechetFeatures(str, Enum):
    """Which network the Fréchet distance is measured on."""

    random = "random"
    lite0 = "lite0"

    @property
    def described(self) -> str:
        """Its name in a sentence."""
        return "a random network" if self is FrechetFeatures.random else "efficientnet-lite0, which is no FID"

    def extractor(self) -> FeatureExtractor:
        """Images (n, C, H, W) -> features (n, F).

        Raises:
            ModelError: if the network is not installed (extra `features`).
        """
        return random_features if self is FrechetFeatures.random else partial(_outputs, imagenet_features().vectors)


def _untrained(channels: int, size: int, outputs: int, seed: int) -> ImageEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # noqa: TID251  initial weights know no generator
        return ImageEncoder(channels, 32, size, outputs).eval()


@torch.no_grad()
def _outputs(network: Callable[[Tensor], Tensor], pixels: Images) -> NDArray[np.float32]:
    parts: list[NDArray[np.float32]] = [network(to_model(pixels[i : i + CHUNK])).numpy() for i in range(0, len(pixels), CHUNK)]
    return np.concatenate(parts)

"""What every set of images offers, and the one door to all of them."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tts.image.factors import FactorSpace
from tts.image.shapes import Shapes
from tts.image.sprites import Sprites


class ImageSet(Protocol):
    """Square images of one size, by index; where the ground truth is known, its labels too."""

    @property
    def name(self) -> str:
        """What the set is called in reports."""

    @property
    def size(self) -> int:
        """Pixels along a side: H = W."""

    @property
    def channels(self) -> int:
        """1 for grey, 3 for red, green, blue."""

    @property
    def factors(self) -> FactorSpace | None:
        """The grid that the indices count through, where there is one: then `labels` are its combinations."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the K columns of `labels`; empty where nothing is known."""

    def __len__(self) -> int: ...

    def images(self, index: ArrayLike) -> NDArray[np.uint8]:
        """The images (n, C, H, W) at `index` (n,), in 0 … 255; ValueError if an index is out of range."""

    def labels(self, index: ArrayLike) -> NDArray[np.int64] | None:
        """What is known of the images at `index` (n,), (n, K) of numbers from 0 up; None where nothing is."""


def open_images(name_or_path: str, *, size: int = 32) -> ImageSet:
    """A set of images by its name.

    Raises:
        ValueError: if `size` is outside [8, 256].
    """
    if name_or_path == Sprites.name:
        return Sprites(size)
    return Shapes(size)


def to_model(images: NDArray[np.uint8]) -> Tensor:
    """Pixels in 0 … 255 as what models see: x = p / 127.5 − 1 in [-1, 1], float32, of the same shape."""
    return torch.from_numpy(images.astype(np.float32)) / 127.5 - 1


def to_uint8(x: Tensor) -> NDArray[np.uint8]:
    """Images of a model as pixels: p = round(127.5 (x + 1)), clipped to 0 … 255, of the same shape.

    Raises:
        ValueError: if a value is not finite.
    """
    if not torch.isfinite(x).all():
        raise ValueError("images hold values that are not finite.")
    return (127.5 * (x.detach().float() + 1)).round().clamp(0, 255).to("cpu", torch.uint8).numpy()

"""Sets of images that hold every combination of a factor space once."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tts.image.factors import FactorSpace

_BLOCK = 256  # images rendered at once
MIN_SIZE, MAX_SIZE = 8, 256  # pixels along a side


class FactorGrid(ABC):
    """An `ImageSet` whose image i shows combination i of `factors`; its labels are the factors themselves."""

    name: str
    size: int
    channels: int
    factors: FactorSpace

    def __len__(self) -> int:
        return len(self.factors)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the factors."""
        return self.factors.names

    def labels(self, index: ArrayLike) -> NDArray[np.int64]:
        """The factors (n, K) of the images at `index` (n,)."""
        return self.factors.factors(index)

    @abstractmethod
    def images(self, index: ArrayLike) -> NDArray[np.uint8]:
        """The images (n, C, H, W) at `index` (n,), in 0 … 255."""


class RenderedGrid(FactorGrid):
    """A grid whose images are computed when they are asked for, some hundred at a time to spare memory."""

    def images(self, index: ArrayLike) -> NDArray[np.uint8]:
        """The images (n, C, H, W) at `index` (n,), in 0 … 255."""
        factors = self.factors.factors(index)
        images = np.empty((len(factors), self.channels, self.size, self.size), dtype=np.uint8)
        for start in range(0, len(factors), _BLOCK):
            pixels = self.render(factors[start : start + _BLOCK])
            images[start : start + _BLOCK] = np.rint(255 * pixels).reshape(-1, *images.shape[1:])
        return images

    @abstractmethod
    def render(self, factors: NDArray[np.int64]) -> NDArray[np.float32]:
        """The images of combinations (n, K), as many values in [0, 1] as (n, C, H, W) holds."""


def check_size(size: int) -> None:
    """Raise ValueError unless images can have this many pixels along a side."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"size must be in [{MIN_SIZE}, {MAX_SIZE}] pixels, found {size}.")

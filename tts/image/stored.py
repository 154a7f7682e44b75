"""A factor grid whose images lie in files: shrunk to one size once, then read through a memory map."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from tts.errors import DataError
from tts.image.factors import FactorSpace
from tts.image.grid import FactorGrid, check_size
from tts.image.pixel_store import read_pixels, store_path, write_pixels

Blocks = Callable[[], Iterator[NDArray[np.uint8]]]
"""Gives the images of a source in order, in pieces (k, H, W, C)."""


class StoredGrid(FactorGrid):
    """Images of a published grid at one size; pixels are averaged over the areas that become one."""

    def __init__(self, name: str, key: str, size: int, factors: FactorSpace, native: tuple[int, int], blocks: Blocks) -> None:
        """Shrink and keep the images, unless that was done before.

        Args:
            name: what the set is called.
            key: describes the source, so that another or a changed one is read anew.
            size: pixels along a side, at most the source's.
            factors: the grid, in whose order the images lie.
            native: pixels along a side, and channels, of the source.
            blocks: the source's images.

        Raises:
            ValueError: if `size` is out of range.
            DataError: if the source cannot be read, or its pixels cannot be kept.
        """
        side, channels = native
        check_size(size)
        if size > side:
            raise ValueError(f"{name} has images of {side} pixels along a side, size must not be larger, found {size}.")
        self.name, self.size, self.channels, self.factors = name, size, channels, factors
        path = store_path(f"{name} {key} {size}")
        if not path.exists():
            write_pixels(path, (_shrunk(block, size) for block in blocks()))
        self._pixels = read_pixels(path, (len(factors), channels, size, size))

    def images(self, index: ArrayLike) -> NDArray[np.uint8]:
        """The images (n, C, H, W) at `index` (n,)."""
        return self._pixels[self.rows(self.factors.factors(index))]

    def rows(self, factors: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the images of combinations (n, K) lie in the source."""
        return self.factors.index(factors)


def grid_of(path: Path, names: tuple[str, ...], classes: NDArray[np.int64]) -> FactorSpace:
    """The grid whose combinations are the rows of `classes` (n, K), in row-major order.

    Raises:
        DataError: if the rows are no such grid.
    """
    if classes.ndim != 2 or classes.shape[1] != len(names) or not len(classes):
        raise DataError(f"{path}: found labels of shape {classes.shape}, expected (n, {len(names)}).")
    space = FactorSpace(names, tuple(int(n) for n in classes.max(axis=0) + 1))
    if len(space) != len(classes) or not np.array_equal(space.factors(np.arange(len(space))), classes):
        raise DataError(
            f"{path}: {len(classes)} labels do not count through all combinations of {space.sizes} in order, the last factor "
            "fastest. Expected the published file, whole."
        )
    return space


def square_side(path: Path, shape: tuple[int, ...], expected: int, channels: int) -> int:
    """Pixels along a side of images (n, H, W[, C]), if there are `expected` and they are square with `channels` channels.

    Raises:
        DataError: if they are not.
    """
    wanted = (expected, "H", "H") if channels == 1 else (expected, "H", "H", channels)
    fits = len(shape) == len(wanted) and shape[0] == expected and shape[1] == shape[2] and shape[3:] == wanted[3:]
    if not fits:
        raise DataError(f"{path}: found images of shape {shape}, expected {wanted}.")
    return shape[1]


def _shrunk(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Images (k, H, H, C) as (k, C, size, size)."""
    if images.shape[1] != size:
        grey = images.shape[3] == 1
        small = [
            np.asarray(Image.fromarray(image[..., 0] if grey else image).resize((size, size), Image.Resampling.BOX))
            for image in images
        ]
        images = np.stack(small).reshape(len(images), size, size, -1)
    return images.transpose(0, 3, 1, 2)

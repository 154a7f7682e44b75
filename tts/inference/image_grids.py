"""Images side by side in one PNG."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tts.data.files import atomic_path

GAP = 2  # pixels between images, before enlarging
SHADE = 96  # of the gaps
SMALLEST = 64  # pixels: images are enlarged by a whole factor until a side is as long as this


def grid(rows: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Rows of images, each uint8 (n, C, H, W), as one picture (height, width, 3); shorter rows end in gaps.

    Raises:
        ValueError: if there is no row, or images of two shapes.
    """
    shapes = {row.shape[1:] for row in rows}
    if len(shapes) != 1:
        raise ValueError(f"a grid takes images of one shape, found {sorted(shapes)}.")
    channels, height, width = shapes.pop()
    columns = max(len(row) for row in rows)
    picture = np.full((len(rows) * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), SHADE, dtype=np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            y, x = GAP + i * (height + GAP), GAP + j * (width + GAP)
            picture[y : y + height, x : x + width] = image.transpose(1, 2, 0) if channels == 3 else image[0, :, :, None]
    factor = max(1, -(-SMALLEST // height))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def with_edits(images: NDArray[np.uint8], edited: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """A row for each image (n, C, H, W): itself and what was made of it, of k edits each in (n k, C, H, W), by image."""
    return [np.concatenate((image[None], made)) for image, made in zip(images, np.split(edited, len(images)), strict=True)]


def in_rows(images: NDArray[np.uint8], columns: int) -> list[NDArray[np.uint8]]:
    """Images (n, C, H, W) as rows of so many; the last may be shorter."""
    return [images[i : i + columns] for i in range(0, len(images), columns)]


def above(first: NDArray[np.uint8], second: NDArray[np.uint8], columns: int) -> list[NDArray[np.uint8]]:
    """Rows of so many images of the first (n, C, H, W), each above those of the second."""
    return [row for pair in zip(in_rows(first, columns), in_rows(second, columns), strict=True) for row in pair]


def save_grid(path: Path, rows: Sequence[NDArray[np.uint8]]) -> None:
    """Write `grid(rows)` as a PNG, atomically."""
    with atomic_path(path) as temporary:
        Image.fromarray(grid(rows)).save(temporary, format="png")

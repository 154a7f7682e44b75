"""Image files of people: any folder of them, and CelebA with its attributes."""

import json
import logging
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps

from tts.data.files import read_json, some, write_json
from tts.errors import DataError
from tts.image.factors import checked_index
from tts.image.grid import check_size
from tts.image.pixel_store import read_pixels, stamp, store_path, write_pixels

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff")
_GREY_MODES = ("1", "L", "LA")
_DEEP = ("I", "F")  # beginnings of the modes of more than 8 bits a channel
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
_BLOCK = 256  # images in memory at a time

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


class ImageFolder:
    """All images below a folder, in the order of their paths, as squares of one size; nothing is known of them.

    Each is turned as its EXIF entry says, its alpha is dropped, the largest square of its centre is cut out and shrunk with
    antialiasing. If all are grey there is one channel, else three, unless a number is asked for. What cannot be read, or
    would have to be enlarged, is left out with a warning that names it. This is done once; later the pixels come through a
    memory map, made anew when a file changes, comes or goes.
    """

    factors = None
    label_names: tuple[str, ...] = ()

    def __init__(
        self,
        root: Path,
        size: int,
        *,
        files: Sequence[Path] | None = None,
        box: Box | None = None,
        channels: int | None = None,
    ) -> None:
        """Read a folder.

        Args:
            root: the folder.
            size: pixels along a side.
            files: the images, instead of all below `root`.
            box: what to cut out, a square, instead of the largest at the centre.
            channels: 1 or 3, whatever the files have.

        Raises:
            ValueError: if `size` is out of range.
            DataError: if there is no such folder, no image in it, or none that can be read and is large enough.
        """
        check_size(size)
        if files is None and not root.is_dir():
            raise DataError(f"{root}: no such folder.")
        self.name, self.size = root.resolve().name, size
        found = image_files(root) if files is None else list(files)
        if not found:
            raise DataError(f"{root}: holds no image, expected files ending in {' '.join(IMAGE_SUFFIXES)}.")
        store = store_path(json.dumps(["folder", size, box, *map(stamp, found)]))
        report = store.with_suffix(".json")  # written last: with it, the pixels are whole
        if not (report.exists() and store.exists()):
            write_json(report, _decode(found, size, box, store))
        told = read_json(report)
        self.channels: int = channels or told["channels"]
        self.skipped = {found[int(number)]: why for number, why in told["skipped"].items()}  # why each was left out
        self.files = tuple(path for path in found if path not in self.skipped)
        if self.skipped:
            reasons = some([f"{path} ({why})" for path, why in self.skipped.items()])
            logger.warning("%s: %d of %d images left out: %s", root, len(self.skipped), len(found), reasons)
        if not self.files:
            raise DataError(f"{root}: no image of at least {size} × {size} pixels that can be read.")
        self._pixels = read_pixels(store, (len(self.files), told["channels"], size, size))

    def __len__(self) -> int:
        return len(self.files)

    def images(self, index: ArrayLike) -> NDArray[np.uint8]:
        """The images (n, C, H, W) at `index` (n,), in 0 … 255."""
        return with_channels(self._pixels[checked_index(index, len(self))], self.channels)

    def labels(self, index: ArrayLike) -> NDArray[np.int64] | None:
        """None: nothing is known."""
        checked_index(index, len(self))
        return None


def square_image(path: Path, size: int, channels: int, box: Box | None) -> NDArray[np.uint8]:
    """One image file as (channels, size, size).

    Raises:
        ValueError: if it is too small or has more than 8 bits a channel.
        OSError, SyntaxError and what else decoders raise: if it is damaged.
    """
    with Image.open(path) as file:
        if file.mode.startswith(_DEEP):
            raise ValueError(f"pixels of kind {file.mode}, expected 8 bits a channel")
        image = ImageOps.exif_transpose(file)
        width, height = image.size
        side = min(image.size)
        left, top = (width - side) // 2, (height - side) // 2
        left, top, right, bottom = box or (left, top, left + side, top + side)
        if min(right - left, bottom - top) < size or right > width or bottom > height:
            raise ValueError(f"{width} × {height} pixels, too small")
        image = image.convert("L" if channels == 1 else "RGB").crop((left, top, right, bottom))
        pixels = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    return pixels.reshape(size, size, channels).transpose(2, 0, 1)


def with_channels(images: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Images (n, C, H, W) with 3 channels for C = 1, all of them the one there is, or 1 for C = 3, its luma.

    Source: ITU-R BT.601.
    """
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.repeat(3, axis=1)
    # Y = 0.299 R + 0.587 G + 0.114 B
    luma = np.einsum("nchw,c->nhw", images, [0.299, 0.587, 0.114])
    return luma.round().astype(np.uint8)[:, None]


def image_files(root: Path) -> list[Path]:
    """Images at any depth in the order of their relative paths; hidden files and what lies in hidden folders aside."""
    files = (path for path in root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    named = sorted((path.relative_to(root).as_posix(), path) for path in files)
    return [path for name, path in named if not any(part.startswith(".") for part in name.split("/"))]


def _decode(files: list[Path], size: int, box: Box | None, store: Path) -> dict[str, object]:
    """Write the pixels of all images that can be used; what there is to know about them."""
    channels = 1 if all(_is_grey(path, size) for path in files) else 3
    skipped: dict[str, str] = {}

    def blocks() -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(files), _BLOCK):
            images = []
            for number, path in enumerate(files[start : start + _BLOCK], start):
                try:
                    images.append(square_image(path, size, channels, box))
                except _BROKEN as err:
                    skipped[str(number)] = str(err)
            if images:
                yield np.stack(images)

    write_pixels(store, blocks())
    return {"channels": channels, "skipped": skipped}


def _is_grey(path: Path, size: int) -> bool:
    """Whether a file says that it has one channel, or a palette of greys; what will be left out does not count against it."""
    try:
        with Image.open(path) as image:
            if image.mode in _GREY_MODES or image.mode.startswith(_DEEP) or min(image.size) < size:
                return True
            palette = np.reshape(image.getpalette("RGB") or [0, 0, 1], (-1, 3))  # of a file without one: no greys
            return bool((palette == palette[:, :1]).all())
    except _BROKEN:
        return True

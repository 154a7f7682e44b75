"""Decoded pixels on disk, made once per source and size, and read through a memory map ever after."""

import hashlib
import os
from collections.abc import Iterable
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tts.data.files import atomic_path
from tts.errors import DataError


def store_path(key: str) -> Path:
    """Where the pixels of the source that `key` describes lie: `glottis/images` of XDG_CACHE_HOME or ~/.cache.

    A key that names the source's path, length and time of change makes the pixels anew when the source changes.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "glottis" / "images" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.u8"


def stamp(path: Path) -> str:
    """Path, length and time of change of a file, for a key."""
    status = path.stat()
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"


def write_pixels(path: Path, blocks: Iterable[NDArray[np.uint8]]) -> None:
    """Write blocks of images one after the other, atomically; one block is in memory at a time.

    Raises:
        DataError: if the disk is full or the folder cannot be written.
    """
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            for block in blocks:
                file.write(np.ascontiguousarray(block).data)
    except OSError as err:
        raise DataError(
            f"{path.parent}: cannot keep decoded images there ({err}). Free some room, or set XDG_CACHE_HOME to another folder."
        ) from err


def read_pixels(path: Path, shape: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """The images (n, C, H, W) of a file, as a memory map: only what is looked at is read.

    Raises:
        DataError: if the file has another length.
    """
    found, expected = path.stat().st_size, prod(shape)
    if found != expected:
        raise DataError(f"{path}: found {found} bytes, expected {expected}. Remove it; it will be made again.")
    return np.memmap(path, dtype=np.uint8, mode="r", shape=shape)

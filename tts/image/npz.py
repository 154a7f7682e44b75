"""Arrays of bytes in .npz archives, read block by block and without pickle."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tts.errors import DataError

_BROKEN = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)
_BLOCK_BYTES = 32 * 2**20


def npz_keys(path: Path) -> set[str]:
    """The names of the arrays in an archive.

    Raises:
        DataError: if it is no archive.
    """
    with _explained(path), zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}


def npz_array(path: Path, key: str) -> NDArray[Any]:
    """One whole array of an archive.

    Raises:
        DataError: if it is missing, damaged or of Python objects.
    """
    with _explained(path), np.load(path, allow_pickle=False) as archive:
        if key not in archive:
            raise DataError(f"{path}: has no array {key!r}, found {', '.join(archive)}.")
        return np.asarray(archive[key])


def npz_shape(path: Path, key: str) -> tuple[int, ...]:
    """The shape of an array of bytes.

    Raises:
        DataError: if it is missing, damaged or of another type.
    """
    with _explained(path), _member(path, key) as file:
        return _header(path, key, file)


def npz_blocks(path: Path, key: str) -> Iterator[NDArray[np.uint8]]:
    """An array of bytes in pieces of its first axis, about 32 MB each.

    Raises:
        DataError: if it is missing, damaged, cut short or of another type.
    """
    with _explained(path), _member(path, key) as file:
        count, *row = _header(path, key, file)
        row_bytes = int(np.prod(row))
        rows = max(1, _BLOCK_BYTES // max(1, row_bytes))
        for start in range(0, count, rows):
            length = min(rows, count - start) * row_bytes
            data = file.read(length)
            if len(data) != length:
                raise EOFError(f"{key} ends after {start * row_bytes + len(data)} of {count * row_bytes} bytes")
            yield np.frombuffer(data, dtype=np.uint8).reshape(-1, *row)


@contextmanager
def _member(path: Path, key: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(path) as archive:
        if f"{key}.npy" not in archive.namelist():
            found = ", ".join(name.removesuffix(".npy") for name in archive.namelist())
            raise DataError(f"{path}: has no array {key!r}, found {found}.")
        with archive.open(f"{key}.npy") as file:
            yield file


def _header(path: Path, key: str, file: IO[bytes]) -> tuple[int, ...]:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise ValueError(f"{key} is of version {version} of the npy format")
    shape, fortran_order, dtype = readers[version](file)
    if dtype != np.uint8 or fortran_order or not shape:
        order = "Fortran" if fortran_order else "C"
        raise DataError(f"{path}: {key} is {dtype} {shape} in {order} order, expected images of uint8 in C order.")
    return shape


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as err:
        raise DataError(f"{path}: not a complete .npz archive ({err}). Fetch it again.") from err

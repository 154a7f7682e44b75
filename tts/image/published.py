"""The published sets with known factors, from their own files: dSprites, 3D Shapes, MPI3D and Cars3D."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.errors import DataError
from tts.image.factors import FactorSpace
from tts.image.npz import npz_array, npz_blocks, npz_shape
from tts.image.pixel_store import stamp
from tts.image.stored import StoredGrid, grid_of, square_side

MPI3D_NAMES = ("colour", "shape", "size", "camera_height", "background", "joint_1", "joint_2")
MPI3D_SIZES = {
    460_800: (4, 4, 2, 3, 3, 40, 40),  # toy, realistic, real-complex
    1_036_800: (6, 6, 2, 3, 3, 40, 40),  # real
}
_ROWS = 4096  # of an HDF5 file at a time, rounded up to whole chunks
_BROKEN_MAT = (OSError, ValueError, TypeError, KeyError, EOFError, NotImplementedError, zlib.error)


def open_dsprites(path: Path, size: int) -> StoredGrid:
    """dSprites' .npz: `imgs` (n, H, H) of 0 and 1, `latents_classes` (n, 6). The colour, which has one value, is left out.

    Its `metadata` is a pickle and is not read.

    Raises:
        ValueError: if `size` is out of range.
        DataError: if the file is damaged or no such file.
    """
    classes = npz_array(path, "latents_classes")
    if not np.issubdtype(classes.dtype, np.integer):
        raise DataError(f"{path}: latents_classes is {classes.dtype}, expected integers.")
    full = grid_of(path, ("colour", "shape", "scale", "orientation", "x", "y"), classes)
    if full.sizes[0] != 1:
        raise DataError(f"{path}: found {full.sizes[0]} colours, expected dSprites' one.")
    space = FactorSpace(full.names[1:], full.sizes[1:])
    side = square_side(path, npz_shape(path, "imgs"), len(space), channels=1)

    def blocks() -> Iterator[NDArray[np.uint8]]:
        for block in npz_blocks(path, "imgs"):
            if block.max(initial=0) > 1:
                raise DataError(f"{path}: found a pixel {block.max()} in imgs, expected 0 and 1.")
            yield 255 * block[..., None]

    return StoredGrid("dsprites", stamp(path), size, space, (side, 1), blocks)


def open_mpi3d(path: Path, size: int) -> StoredGrid:
    """MPI3D's .npz: `images` (n, H, H, 3), whose number tells the grid.

    Raises:
        ValueError: if `size` is out of range.
        DataError: if the file is damaged or no such file.
    """
    shape = npz_shape(path, "images")
    if shape[0] not in MPI3D_SIZES:
        raise DataError(f"{path}: found {shape[0]} images, expected MPI3D's {' or '.join(map(str, MPI3D_SIZES))}.")
    space = FactorSpace(MPI3D_NAMES, MPI3D_SIZES[shape[0]])
    side = square_side(path, shape, len(space), channels=3)
    return StoredGrid("mpi3d", stamp(path), size, space, (side, 3), lambda: npz_blocks(path, "images"))


def open_shapes3d(path: Path, size: int) -> StoredGrid:
    """3D Shapes' HDF5 file: `images` (n, H, H, 3), `labels` (n, 6) of the factors' values.

    Raises:
        ValueError: if `size` is out of range.
        DataError: if the file is damaged or no such file, or h5py is not installed (extra `image`).
    """
    try:
        import h5py
    except ImportError as err:
        raise DataError(f"{path}: reading it needs h5py ({err}): pip install 'glottis[image]'.") from err

    def read(key: str, rows: slice | None = None) -> Any:
        try:
            with h5py.File(path, "r") as file:
                if not isinstance(file.get(key), h5py.Dataset):
                    raise DataError(f"{path}: has no data set {key!r}, found {', '.join(file)}.")
                data = file[key]
                return (data.shape, data.dtype, data.chunks) if rows is None else data[rows]
        except OSError as err:
            raise DataError(f"{path}: not a complete HDF5 file ({err}). Fetch it again.") from err

    labels = read("labels", slice(None))
    if labels.ndim != 2:
        raise DataError(f"{path}: found labels of shape {labels.shape}, expected (n, 6).")
    classes = np.stack([np.unique(column, return_inverse=True)[1] for column in labels.T], axis=1)
    space = grid_of(path, ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "azimuth"), classes)
    shape, dtype, chunks = read("images")
    if dtype != np.uint8:
        raise DataError(f"{path}: images are {dtype}, expected uint8.")
    side = square_side(path, shape, len(space), channels=3)
    chunk = chunks[0] if chunks else 1
    rows = chunk * -(-_ROWS // chunk)  # whole chunks, so that each is unpacked once

    def blocks() -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(space), rows):
            yield read("images", slice(start, start + rows))

    return StoredGrid("shapes3d", stamp(path), size, space, (side, 3), blocks)


class Cars3D(StoredGrid):
    """Cars3D's folder of one .mat per car, in the order of their names: `im` (H, H, 3, 24 azimuths, 4 elevations)."""

    def __init__(self, folder: Path, size: int) -> None:
        """Read the cars of a folder.

        Raises:
            ValueError: if `size` is out of range.
            DataError: if there is no car, or one is damaged or shaped otherwise.
        """
        files = sorted(folder.glob("*.mat"))
        if not files:
            raise DataError(f"{folder}: holds no .mat file, expected one per car.")
        space = FactorSpace(("elevation", "azimuth", "car"), (4, 24, len(files)))
        side = _car(files[0]).shape[2]
        super().__init__("cars3d", "\n".join(map(stamp, files)), size, space, (side, 3), lambda: _cars(files, side))

    def rows(self, factors: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the images of combinations (n, 3) lie: car by car, then azimuth, then elevation."""
        elevation, azimuth, car = factors.T
        return (car * 24 + azimuth) * 4 + elevation


def _cars(files: list[Path], side: int) -> Iterator[NDArray[np.uint8]]:
    for path in files:
        images = _car(path)
        if images.shape[2] != side:
            raise DataError(f"{path}: found images {images.shape[2]} pixels wide, expected {side} as in {files[0].name}.")
        yield images.reshape(-1, side, side, 3)


def _car(path: Path) -> NDArray[np.uint8]:
    """The images of one car, (24, 4, H, H, 3)."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        images = np.asarray(loadmat(path, variable_names=["im"])["im"])
    except (*_BROKEN_MAT, MatReadError) as err:
        raise DataError(f"{path}: not a complete MATLAB file with an array 'im' ({err}). Fetch it again.") from err
    height = images.shape[0] if images.ndim else 0
    if images.dtype != np.uint8 or images.shape != (height, height, 3, 24, 4):
        raise DataError(f"{path}: found im {images.dtype} {images.shape}, expected uint8 (H, H, 3, 24, 4).")
    return images.transpose(3, 4, 0, 1, 2)

"""What every set of images offers, and the one door to all of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tts.data.files import some
from tts.errors import DataError
from tts.image.celeba import CelebA, attributes_file
from tts.image.factors import FactorSpace
from tts.image.folder import ImageFolder, image_files
from tts.image.npz import npz_keys
from tts.image.published import Cars3D, open_dsprites, open_mpi3d, open_shapes3d
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


def labels_of(images: ImageSet, index: ArrayLike, names: Sequence[str]) -> NDArray[np.int64]:
    """The labels with these names of the images at `index` (n,), (n, names).

    Raises:
        DataError: if the images do not have them.
    """
    missing = [name for name in names if name not in images.label_names]
    labels = None if missing else images.labels(index)
    if labels is None:
        raise DataError(
            f"{images.name}: has no label {', '.join(missing or names)}. Known labels: "
            f"{', '.join(images.label_names) or 'none'}."
        )
    return labels[:, [images.label_names.index(name) for name in names]]


def open_images(name_or_path: str, *, size: int = 32, channels: int | None = None) -> ImageSet:
    """A set of images by its name, or from its published files, at size × size pixels.

    | given | set |
    |---|---|
    | `sprites`, `shapes` | rendered on the fly: `Sprites`, `Shapes` |
    | .npz with `imgs` and `latents_classes` | dSprites |
    | .npz with `images` | MPI3D |
    | .h5, .hdf5 | 3D Shapes (needs the extra `image`) |
    | folder with `list_attr_celeba.txt` | CelebA with its attributes |
    | folder with .mat files | Cars3D |
    | any other folder | its images, at any depth |

    A name comes before a path: a folder of the name `shapes` is `./shapes`. Files are decoded once and kept at this size in
    `~/.cache/glottis/images` (XDG_CACHE_HOME); after that only the images that are asked for are read.

    With `channels` a folder of any other images has that number, 1 or 3; else it has one if all its images are grey.

    Raises:
        ValueError: if `size` is outside [8, 256], or larger than the images of a published grid.
        DataError: if there is no such thing, or it cannot be read.
    """
    rendered = {Sprites.name: Sprites, Shapes.name: Shapes}
    if name_or_path in rendered:
        return rendered[name_or_path](size)
    path = Path(name_or_path)
    if path.is_dir():
        return _open_folder(path, size, channels)
    if not path.is_file():
        raise DataError(f"{name_or_path}: no such file or folder, and no set of that name. Known: {', '.join(rendered)}.")
    if path.suffix.lower() in (".h5", ".hdf5"):
        return open_shapes3d(path, size)
    if path.suffix.lower() == ".npz":
        return _open_npz(path, size)
    raise DataError(f"{path}: not a set of images. Expected a folder, an .npz (dSprites, MPI3D) or an .h5 (3D Shapes).")


def _open_npz(path: Path, size: int) -> ImageSet:
    keys = npz_keys(path)
    if {"imgs", "latents_classes"} <= keys:
        return open_dsprites(path, size)
    if "images" in keys:
        return open_mpi3d(path, size)
    raise DataError(f"{path}: found {some(sorted(keys))}, expected imgs and latents_classes (dSprites) or images (MPI3D).")


def _open_folder(path: Path, size: int, channels: int | None) -> ImageSet:
    if attributes_file(path).is_file():
        return CelebA(path, size)
    if next(path.glob("*.mat"), None) and not image_files(path):
        return Cars3D(path, size)
    return ImageFolder(path, size, channels=channels)


def to_model(images: NDArray[np.uint8]) -> Tensor:
    """Pixels in 0 … 255 as what models see: x = p / 127.5 − 1 in [-1, 1], float32, of the same shape.

    Raises:
        ValueError: if they are not uint8, so that an image is never scaled twice.
    """
    if images.dtype != np.uint8:
        raise ValueError(f"need pixels of uint8 in 0 … 255, found {images.dtype}.")
    return torch.from_numpy(images.astype(np.float32)) / 127.5 - 1


def to_uint8(x: Tensor) -> NDArray[np.uint8]:
    """Images of a model as pixels: p = round(127.5 (x + 1)), clipped to 0 … 255, of the same shape.

    Raises:
        ValueError: if they are not floating point, so that pixels are never scaled twice, or a value is not finite.
    """
    if not x.is_floating_point():
        raise ValueError(f"need images of floating point in [-1, 1], found {x.dtype}.")
    if not torch.isfinite(x).all():
        raise ValueError("images hold values that are not finite.")
    return (127.5 * (x.detach().float() + 1)).round().clamp(0, 255).to("cpu", torch.uint8).numpy()

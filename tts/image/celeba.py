"""CelebA: aligned faces with 40 attributes each."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tts.data.files import read_lines, some
from tts.errors import DataError
from tts.image.factors import checked_index
from tts.image.folder import ImageFolder

ATTRIBUTES = "list_attr_celeba.txt"
FACE = (25, 57, 153, 185)  # of an aligned image of 178 × 218 pixels: 128 × 128 around column 89, row 121
_PLACES = ("img_align_celeba", "Img/img_align_celeba", ".")


class CelebA(ImageFolder):
    """The images that `list_attr_celeba.txt` lists, in its order, with its attributes as labels: 1 has it, 0 has it not.

    The file lies in the folder or in its `Anno/`; the images in `img_align_celeba/`, `Img/img_align_celeba/` or the folder
    itself. The face is cut out as Diff-AE and PDAE do (`FACE`), and shrunk with antialiasing.

    Source: Liu et al. 2015; the crop: Sinha et al. 2021 (D2C), as in the code of Diff-AE.
    """

    def __init__(self, root: Path, size: int) -> None:
        """Read the list and the images.

        Raises:
            ValueError: if `size` is out of range.
            DataError: if the list cannot be read, an image of it is missing, or none can be used.
        """
        self.label_names, table = _read_attributes(attributes_file(root))
        folder = next((root / place for place in _PLACES if (root / place / next(iter(table))).is_file()), root / _PLACES[0])
        paths = {folder / name: row for name, row in table.items()}
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise DataError(f"{folder}: {len(missing)} images of {ATTRIBUTES} are not there: {some(missing)}.")
        super().__init__(root, size, files=list(paths), box=FACE)
        self._labels = np.stack([paths[path] for path in self.files])

    def labels(self, index: ArrayLike) -> NDArray[np.int64]:
        """The attributes (n, K) of the images at `index` (n,), 1 or 0."""
        return self._labels[checked_index(index, len(self))]


def attributes_file(root: Path) -> Path:
    """Where the list of attributes lies, or would lie."""
    inner = root / "Anno" / ATTRIBUTES
    return inner if inner.is_file() else root / ATTRIBUTES


def _read_attributes(path: Path) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """The attributes' names, and each image's row of 0 and 1."""
    lines = read_lines(path)
    if len(lines) < 3:
        raise DataError(f"{path}: found {len(lines)} line(s), expected a count, the attributes' names and one line per image.")
    names = tuple(lines[1][1].split())
    table: dict[str, NDArray[np.int64]] = {}
    for number, line in lines[2:]:
        name, *values = line.split()
        if len(values) != len(names) or not {*values} <= {"1", "-1"}:
            raise DataError(f"{path}:{number}: found {line[:60]!r}, expected an image's name and {len(names)} times 1 or -1.")
        if name in table or name != Path(name).name:
            raise DataError(f"{path}:{number}: {name[:80]!r} comes twice or is no name of a file.")
        table[name] = np.array([int(value == "1") for value in values])
    if lines[0][1].strip() != str(len(table)):
        raise DataError(f"{path}: says {lines[0][1].strip()[:20]!r} images and lists {len(table)}. The file is cut short.")
    return names, table

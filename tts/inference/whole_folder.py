"""What model folders of every kind share: they appear whole, are found in an experiment, are built unread, and are zipped."""

import hashlib
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import torch
from safetensors.torch import save_file
from torch import nn

from tts.data.files import atomic_path, read_json, some
from tts.errors import ModelError
from tts.nets.weights import load_weights

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
PACKED = "model"  # where an experiment keeps its model folder

T = TypeVar("T", bound=nn.Module)


@contextmanager
def whole_folder(folder: Path, others: Sequence[str]) -> Iterator[Path]:
    """A folder to write into, which takes the place of `folder` when the block ends, and never does if it fails.

    Args:
        folder: the model folder to write.
        others: names in it that are of no model.

    Raises:
        ModelError: if there are any.
    """
    if others:
        raise ModelError(f"{folder}: holds {some(others)}, no part of a model; nothing was written. Give a new folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.part")
    part.mkdir()
    try:
        yield part
        retired = part.with_suffix(".old")
        if folder.exists():
            folder.rename(retired)
        part.rename(folder)
        shutil.rmtree(retired, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def others_in(folder: Path, files: Collection[str]) -> list[str]:
    """The names in a folder that are none of `files`, sorted; none where there is no folder."""
    return sorted(path.name for path in folder.iterdir() if path.name not in files) if folder.exists() else []


def fingerprint(network: nn.Module, described: str = "") -> str:
    """Twelve hex digits that differ whenever `described`, or a name or number of the network's weights, does."""
    digest = hashlib.sha256(described.encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def save_weights(path: Path, network: nn.Module) -> None:
    """Write the weights of a network, safetensors, whole or not at all."""
    with atomic_path(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, temporary)


def read_head(folder: Path, expected: tuple[str, int], command: str, key: str = "format") -> dict[str, Any]:
    """The values of a folder's config.json, which must be of the expected format and version.

    Args:
        folder: of the model.
        expected: format and version.
        command: what writes such folders, for the message.
        key: under which the format stands.

    Raises:
        DataError: if config.json is missing or not JSON.
        ModelError: if it is that of something else.
    """
    values = read_json(folder / CONFIG)
    found = (values.get(key), values.get("version")) if isinstance(values, dict) else type(values).__name__
    if not isinstance(values, dict) or found != expected:
        raise ModelError(
            f"{folder / CONFIG}: found {key} and version {found}, expected {expected}. Give the folder that `{command}` wrote."
        )
    return values


def find_folder(folder: Path, command: str) -> Path:
    """The folder itself, or the `model/` of an experiment.

    Args:
        folder: where to look.
        command: what writes such folders, for the message.

    Raises:
        ModelError: if neither holds a model.
    """
    if not (folder / WEIGHTS).exists() and (folder / PACKED / CONFIG).is_file():
        folder = folder / PACKED
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{folder}: no model folder, there is no {CONFIG}. Give the folder that `{command}` wrote.")
    return folder


def build_of_weights(build: Callable[[], T], weights: Path) -> T:
    """The network that `build` makes, with these weights, in eval mode; it takes no memory before names and shapes agree.

    Raises:
        ModelError: if the configuration beside the weights makes no network, or another.
    """
    try:
        with torch.device("meta"):
            network = build()
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as err:  # the words of whoever met the size
        raise ModelError(f"{weights.parent / CONFIG}: these sizes make no model ({str(err).splitlines()[0]}).") from err
    load_weights(network, weights)
    return network.eval()


def zip_folder(folder: Path) -> Path:
    """Write `folder`.zip beside the folder; its path."""
    archive = folder.with_name(folder.name + ".zip")
    with atomic_path(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as pack:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            pack.write(path, f"{folder.name}/{path.relative_to(folder)}")
    return archive

"""The model folder of an image model: config.json, model.safetensors, codes.safetensors, README.md.

Its weights are the moving average of those in training, frozen parts (base, first stage) among them.
"""

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import torch
from safetensors.torch import save_file

from tts.config import check_ranges, from_dict, to_dict
from tts.data.files import atomic_path, read_json, some, write_json
from tts.errors import ConfigError, DataError, ModelError
from tts.image.model import RepresentationModel
from tts.image.registry import build_model, config_from_dict
from tts.inference.image_codes import CodeStatistics
from tts.nets.weights import load_weights

CONFIG, WEIGHTS, CODES, CARD = "config.json", "model.safetensors", "codes.safetensors", "README.md"
FILES = (CONFIG, WEIGHTS, CODES, CARD)
PACKED = "model"  # where a run leaves the model folder in its experiment
FORMAT, VERSION = "image", 1


@dataclass(frozen=True, kw_only=True)
class TrainedOn:
    """What a model was trained on, and for how long."""

    data: str
    size: int  # height = width, pixels
    steps: int
    images: int  # seen, repeated ones counted again
    seed: int

    def __post_init__(self) -> None:
        check_ranges(self, "trained", "size steps images seed", 0, 1e18)


@dataclass(frozen=True, kw_only=True)
class LoadedImageModel:
    """An image model, in eval mode, with the statistics of its codes; `codes` is None where it has none."""

    model: RepresentationModel
    trained: TrainedOn
    codes: CodeStatistics | None


def save_image_folder(folder: Path, loaded: LoadedImageModel, card: str) -> None:
    """Write a model folder; it appears whole or not at all, and takes the place of an older one.

    Raises:
        ModelError: if `folder` holds anything but such a model folder.
    """
    others = sorted(path.name for path in folder.iterdir() if path.name not in FILES) if folder.exists() else []
    if others:
        raise ModelError(f"{folder}: holds {some(others)}, no part of a model; nothing was written. Give a new folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.part")
    part.mkdir()
    try:
        head = {"format": FORMAT, "version": VERSION}
        write_json(part / CONFIG, head | {"trained": to_dict(loaded.trained), "model": to_dict(loaded.model.config)})
        with atomic_path(part / WEIGHTS) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in loaded.model.state_dict().items()}, temporary)
        if loaded.codes is not None:
            loaded.codes.save(part / CODES)
        (part / CARD).write_text(card, encoding="utf-8")
        retired = part.with_suffix(".old")
        if folder.exists():
            folder.rename(retired)
        part.rename(folder)
        shutil.rmtree(retired, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load_image_folder(folder: Path) -> LoadedImageModel:
    """The model in a folder, checked before anything is computed; of an experiment, the one in its `model/`.

    Raises:
        ModelError: if a file is missing, or its content is not what the others say; nothing is loaded in part.
    """
    if not (folder / WEIGHTS).exists() and (folder / PACKED / CONFIG).is_file():
        folder = folder / PACKED
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{folder}: no model folder, there is no {CONFIG}. Give the folder that `glottis image train` wrote.")
    try:
        values = read_json(folder / CONFIG)
        found = (values.get("format"), values.get("version")) if isinstance(values, dict) else type(values).__name__
        if found != (FORMAT, VERSION):
            raise ModelError(
                f"{folder / CONFIG}: found format and version {found}, expected {(FORMAT, VERSION)}. Give the folder that "
                "`glottis image train` wrote."
            )
        if unknown := sorted(values.keys() - {"format", "version", "trained", "model"}):
            raise ModelError(f"{folder / CONFIG}: unknown key(s) {some(unknown)}. Copy the model folder again.")
        trained = from_dict(TrainedOn, values.get("trained"), "trained")
        config = config_from_dict(values.get("model"))
    except (ConfigError, DataError, ValueError) as err:
        raise ModelError(f"{folder}: {err}") from err
    try:
        with torch.device("meta"):
            model = build_model(config)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as err:  # the words of whoever met the size
        raise ModelError(f"{folder / CONFIG}: these sizes make no model ({str(err).splitlines()[0]}).") from err
    load_weights(model, folder / WEIGHTS)
    codes = None
    if (folder / CODES).exists():
        codes = CodeStatistics.load(folder / CODES, config.n_units, config.unit_dim)
    return LoadedImageModel(model=model.requires_grad_(False).eval(), trained=trained, codes=codes)


def pack_image_model(source: Path, out: Path, card: str) -> Path:
    """Copy a model folder to `out` with a full card, and write `out`.zip beside it; the path of the zip.

    Raises:
        ModelError: if `source` is no whole model folder, or `out` holds something else.
    """
    save_image_folder(out, load_image_folder(source), card)
    archive = out.with_name(out.name + ".zip")
    with atomic_path(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as pack:
        for path in sorted(p for p in out.rglob("*") if p.is_file()):
            pack.write(path, f"{out.name}/{path.relative_to(out)}")
    return archive

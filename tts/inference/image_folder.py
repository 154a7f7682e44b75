"""The model folder of an image model: config.json, model.safetensors, codes.safetensors, prior.safetensors, README.md.

Its weights are the moving average of those in training, frozen parts (base, first stage) among them.
"""

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import torch
from safetensors.torch import save_file
from torch import nn

from tts.config import check_ranges, from_dict, to_dict
from tts.data.files import atomic_path, read_json, some, write_json
from tts.errors import ConfigError, DataError, ModelError
from tts.image.latent_prior import LatentPrior, LatentPriorConfig
from tts.image.model import RepresentationModel
from tts.image.registry import build_model, config_from_dict
from tts.inference.image_codes import CodeStatistics
from tts.nets.weights import load_weights

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
CODES, PRIOR = "codes.safetensors", "prior.safetensors"
FILES = (CONFIG, WEIGHTS, CODES, PRIOR, CARD)
PACKED = "model"  # where a run leaves the model folder in its experiment
T = TypeVar("T", bound=nn.Module)

FORMAT, VERSION = "image", 1


@dataclass(frozen=True, kw_only=True)
class TrainedOn:
    """What a model was trained on, and for how long."""

    data: str
    size: int  # height = width, pixels
    steps: int
    images: int  # seen, repeated ones counted again
    seed: int
    cpu_seconds: float  # of computing the steps, all threads together; drawing images and figures aside

    def __post_init__(self) -> None:
        check_ranges(self, "trained", "size steps images seed cpu_seconds", 0, 1e18)


@dataclass(frozen=True, kw_only=True)
class FolderConfig:
    """What config.json holds beside `model`, whose reader its `kind` chooses; nothing in it names code."""

    format: str
    version: int
    trained: TrainedOn
    prior: LatentPriorConfig | None = None


@dataclass(frozen=True, kw_only=True)
class LoadedImageModel:
    """An image model in eval mode with what goes with it.

    codes: the statistics of its codes; None where it has none.
    prior: a diffusion model of its codes, where one was trained.
    """

    model: RepresentationModel
    trained: TrainedOn
    codes: CodeStatistics | None
    prior: LatentPrior | None = None


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
        prior = None if loaded.prior is None else loaded.prior.config
        head = FolderConfig(format=FORMAT, version=VERSION, trained=loaded.trained, prior=prior)
        write_json(part / CONFIG, to_dict(head) | {"model": to_dict(loaded.model.config)})
        _save_weights(part / WEIGHTS, loaded.model)
        if loaded.codes is not None:
            loaded.codes.save(part / CODES)
        if loaded.prior is not None:
            _save_weights(part / PRIOR, loaded.prior)
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
    folder = find_image_folder(folder)
    try:
        values = read_json(folder / CONFIG)
        found = (values.get("format"), values.get("version")) if isinstance(values, dict) else type(values).__name__
        if found != (FORMAT, VERSION):
            raise ModelError(
                f"{folder / CONFIG}: found format and version {found}, expected {(FORMAT, VERSION)}. Give the folder that "
                "`glottis image train` wrote."
            )
        config = config_from_dict(values.pop("model", None))
        head = from_dict(FolderConfig, values)
        if head.prior is not None and (head.prior.n_units, head.prior.unit_dim) != (config.n_units, config.unit_dim):
            raise ConfigError("the prior is of codes of another size than those of the model.")
    except (ConfigError, DataError, ValueError) as err:
        raise ModelError(f"{folder}: {err}") from err
    model = _built(lambda: build_model(config), folder / WEIGHTS)
    prior_config = head.prior
    prior = None if prior_config is None else _built(lambda: LatentPrior(prior_config), folder / PRIOR)
    codes = None
    if config.n_units:
        codes = CodeStatistics.load(folder / CODES, config.n_units, config.unit_dim)
    return LoadedImageModel(model=model, trained=head.trained, codes=codes, prior=prior)


def find_image_folder(folder: Path) -> Path:
    """The folder itself, or the `model/` of an experiment.

    Raises:
        ModelError: if neither holds a model.
    """
    if not (folder / WEIGHTS).exists() and (folder / PACKED / CONFIG).is_file():
        folder = folder / PACKED
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{folder}: no model folder, there is no {CONFIG}. Give the folder that `glottis image train` wrote.")
    return folder


def _built(build: Callable[[], T], weights: Path) -> T:
    """A network of these weights, frozen and in eval mode; it takes no memory before names and shapes were compared."""
    try:
        with torch.device("meta"):
            network = build()
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as err:  # the words of whoever met the size
        raise ModelError(f"{weights.parent / CONFIG}: these sizes make no model ({str(err).splitlines()[0]}).") from err
    load_weights(network, weights)
    return network.requires_grad_(False).eval()


def _save_weights(path: Path, network: nn.Module) -> None:
    with atomic_path(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, temporary)


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

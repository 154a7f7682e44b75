"""The model folder of an image model: config.json, model.safetensors, codes.safetensors, prior.safetensors, README.md.

Its weights are the moving average of those in training, frozen parts (base, first stage) among them.
"""

from dataclasses import dataclass
from pathlib import Path

from tts.config import check_ranges, from_dict, to_dict
from tts.data.files import write_json
from tts.errors import ConfigError, DataError, ModelError
from tts.image.latent_prior import LatentPrior, LatentPriorConfig
from tts.image.model import RepresentationModel
from tts.image.registry import build_model, config_from_dict
from tts.inference.image_codes import CodeStatistics
from tts.inference.whole_folder import (
    CARD,
    CONFIG,
    WEIGHTS,
    build_of_weights,
    find_folder,
    others_in,
    read_head,
    save_weights,
    whole_folder,
    zip_folder,
)

CODES, PRIOR = "codes.safetensors", "prior.safetensors"
FILES = (CONFIG, WEIGHTS, CODES, PRIOR, CARD)

FORMAT, VERSION = "image", 2
COMMAND = "glottis image train"  # what writes such folders


@dataclass(frozen=True, kw_only=True)
class TrainedOn:
    """What a model was trained on, and for how long."""

    data: str
    size: int  # height = width, pixels
    steps: int
    images: int  # seen, repeated ones counted again
    seed: int
    cpu_seconds: float  # of computing the steps, all threads together; drawing images and figures aside
    held_out: float = 0.0  # share of the data it was trained without

    def __post_init__(self) -> None:
        check_ranges(self, "trained", "size steps images seed cpu_seconds", 0, 1e18)
        check_ranges(self, "trained", "held_out", 0, 0.9)


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
    with whole_folder(folder, others_in(folder, FILES)) as part:
        prior = None if loaded.prior is None else loaded.prior.config
        head = FolderConfig(format=FORMAT, version=VERSION, trained=loaded.trained, prior=prior)
        write_json(part / CONFIG, to_dict(head) | {"model": to_dict(loaded.model.config)})
        save_weights(part / WEIGHTS, loaded.model)
        if loaded.codes is not None:
            loaded.codes.save(part / CODES)
        if loaded.prior is not None:
            save_weights(part / PRIOR, loaded.prior)
        (part / CARD).write_text(card, encoding="utf-8")


def load_image_folder(folder: Path) -> LoadedImageModel:
    """The model in a folder, checked before anything is computed; of an experiment, the one in its `model/`.

    Raises:
        ModelError: if a file is missing, or its content is not what the others say; nothing is loaded in part.
    """
    folder = find_folder(folder, COMMAND)
    try:
        values = read_head(folder, (FORMAT, VERSION), COMMAND)
        config = config_from_dict(values.pop("model", None))
        head = from_dict(FolderConfig, values)
        if head.prior is not None and (head.prior.n_units, head.prior.unit_dim) != (config.n_units, config.unit_dim):
            raise ConfigError("the prior is of codes of another size than those of the model.")
    except (ConfigError, DataError, ValueError) as err:
        raise ModelError(f"{folder}: {err}") from err
    model = build_of_weights(lambda: build_model(config), folder / WEIGHTS).requires_grad_(False)
    prior_config = head.prior
    prior = None
    if prior_config is not None:
        prior = build_of_weights(lambda: LatentPrior(prior_config), folder / PRIOR).requires_grad_(False)
    codes = None
    if config.n_units:
        codes = CodeStatistics.load(folder / CODES, config.n_units, config.unit_dim)
    return LoadedImageModel(model=model, trained=head.trained, codes=codes, prior=prior)


def pack_image_model(source: Path, out: Path, card: str) -> Path:
    """Copy a model folder to `out` with a full card, and write `out`.zip beside it; the path of the zip.

    Raises:
        ModelError: if `source` is no whole model folder, or `out` holds something else.
    """
    save_image_folder(out, load_image_folder(source), card)
    return zip_folder(out)

"""What a training run of an image model needs beside the model; presets in conf/image/ override it."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import OmegaConf

from tts.config import check_ranges, from_dict
from tts.device import Precision
from tts.errors import ConfigError
from tts.image.config import ModelConfig
from tts.image.registry import MODELS, config_from_dict
from tts.training.compose import compose_preset, defaults_of, preset_folder

FOLDER = "image"  # of conf/


@dataclass(frozen=True, kw_only=True)
class ImageOptimizer:
    """AdamW with linear warm-up and cosine decay."""

    lr: float = 1e-3
    final_lr: float = 0.1  # of lr, at the last step
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0
    warmup: int = 200  # steps
    clip: float = 1.0  # global gradient norm

    def __post_init__(self) -> None:
        check_ranges(self, "train.optimizer", "lr final_lr weight_decay", 0, 1)
        check_ranges(self, "train.optimizer", "beta1 beta2", 0, 0.9999999)
        check_ranges(self, "train.optimizer", "warmup", 0, 1e9)
        check_ranges(self, "train.optimizer", "clip", 1e-9, 1e9)


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """One training run, without its model.

    A run of `z_usage_after` steps or more ends with an error if its denoiser or decoder ignores the code: if codes of other
    images cost less than 1 % of the loss.
    """

    data: str = "shapes"  # sprites, shapes, or the path of a data set
    size: int = 32  # height and width in pixels
    pool: int = 0  # halvings of the side by averaging: the images of a subspace of those of `size`
    held_out: float = 0.0  # share of the images kept from training, for `glottis image evaluate --split held_out`
    flips: bool = False  # half of the images mirrored, where left and right mean the same
    optimizer: ImageOptimizer = field(default_factory=ImageOptimizer)
    adversary: ImageOptimizer = field(default_factory=lambda: ImageOptimizer(lr=1e-4, beta1=0.5, beta2=0.9, warmup=0))
    ema_decay: float = 0.999
    steps: int = 10000
    batch_size: int = 64
    checkpoint_every: int = 500  # steps
    figures_every: int = 1000
    log_every: int = 20
    z_usage_after: int = 2000
    device: str = "auto"
    precision: Precision = Precision.fp32
    threads: int = 2
    workers: int = 0  # processes that draw images; 0 = this one
    max_bad_steps: int = 10  # consecutive non-finite steps before the run stops
    seed: int = 0

    def __post_init__(self) -> None:
        counts = "steps batch_size checkpoint_every figures_every log_every threads max_bad_steps"
        check_ranges(self, "train", counts, 1, 1e9)
        check_ranges(self, "train", "size", 8, 1024)
        check_ranges(self, "train", "pool", 0, 6)
        check_ranges(self, "train", "workers seed z_usage_after", 0, 1e18)
        check_ranges(self, "train", "ema_decay", 0, 1)
        check_ranges(self, "train", "held_out", 0, 0.9)


@dataclass(frozen=True, kw_only=True)
class ImageTrainConfig(ImageSettings):
    """One training run; `model` is the configuration of a method of `tts.image.registry`."""

    model: ModelConfig


def image_train_config(values: Any, where: str = "config") -> ImageTrainConfig:
    """The configuration in plain values; `model.kind` says what the rest of `model` is.

    Raises:
        ConfigError: naming the path of the key, what was found and what was expected.
    """
    if not isinstance(values, dict) or "model" not in values:
        raise ConfigError(f"{where}: expected a table of keys, among them model.")
    settings = from_dict(ImageSettings, {key: value for key, value in values.items() if key != "model"}, where=where)
    return ImageTrainConfig(**vars(settings), model=config_from_dict(values["model"], f"{where}.model"))


def load_image_config(name: str, overrides: list[str] | None = None) -> ImageTrainConfig:
    """The configuration `name` ("encdiff_mini", or a path to a YAML file) with overrides such as "steps=100".

    A preset builds on the schema of its method: `defaults: [encdiff_schema, _self_]`.

    Raises:
        ConfigError: for an unknown preset, key or type, or a value out of range.
    """
    settings = defaults_of(ImageSettings)
    schemas = {
        f"{kind.value}_schema": OmegaConf.create(settings | {"model": defaults_of(method.config)})
        for kind, method in MODELS.items()
    }
    return image_train_config(compose_preset(name, overrides or [], preset_folder() / FOLDER, schemas), where=name)

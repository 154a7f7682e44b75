"""What a training run of an image model begins with: the parts trained before it, and what data and parts decide."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from tts.errors import ConfigError, ModelError
from tts.image.base import BaseConfig, BaseModel
from tts.image.clip_guided import ClipGuided, ClipGuidedConfig
from tts.image.config import DiffusionModelConfig, ModelConfig
from tts.image.contrastive import ContrastiveConfig, ContrastiveModel
from tts.image.datasets import ImageSet
from tts.image.guided import GuidedModel
from tts.image.labelled import LabelledConfig
from tts.image.model import DiffusionModelBase, RepresentationModel
from tts.image.registry import MODELS, build_model
from tts.image.stage_model import FirstStageConfig, FirstStageModel
from tts.image.vae_config import GuidedVaeConfig
from tts.inference.image_folder import load_image_folder
from tts.metrics.efficientnet import load_efficientnet_lite0
from tts.nets.perceptual import FeatureMaps

T = TypeVar("T", bound=RepresentationModel)


@dataclass(frozen=True)
class Parts:
    """Model folders of what was trained before: what stays frozen, and `init`.

    base: the unconditional diffusion model that PDAE, DisDiff and CLIP-guided DisDiff stand on; with its own first stage.
    first_stage: whose latents the others diffuse in place of pixels.
    encoder: the image-text encoder of CLIP-guided DisDiff; without one it takes that of open_clip.
    init: the unconditional model whose weights, sizes and spread of the data a run of another one begins with.
    """

    base: Path | None = None
    first_stage: Path | None = None
    encoder: Path | None = None
    init: Path | None = None

    def check(self, config: ModelConfig) -> None:
        """Raises ConfigError if the method needs a part that is not given, or takes none."""
        kind, method = config.kind.value, MODELS[config.kind].model
        guided = issubclass(method, GuidedModel)
        if guided and self.base is None:
            raise ConfigError(f"model.kind: {kind} needs --base: the folder of a trained ddpm; none was given.")
        if isinstance(config, BaseConfig) and config.isometry.balance and self.init is None:
            raise ConfigError(
                "model.isometry.balance: it weighs the term by the gradients of a trained model. Give one to go on from "
                "(--init), or model.isometry.weight and a balance of 0."
            )
        takes = {
            "base": guided,
            "first stage": issubclass(method, DiffusionModelBase) and not guided and self.init is None,
            "encoder": issubclass(method, ClipGuided),
            "model to go on from": issubclass(method, BaseModel),
        }
        for (name, does), found in zip(takes.items(), (self.base, self.first_stage, self.encoder, self.init), strict=True):
            if found is not None and not does:
                raise ConfigError(f"model.kind: {kind} takes no {name}, found {found}.")


NONE = Parts()


def complete_model(config: ModelConfig, images: ImageSet, parts: Parts) -> ModelConfig:
    """The configuration of a model with what data and parts decide: channels, size; the base's network; the first stage.

    Raises:
        ConfigError: if the method needs a part that is not given, takes none, or it is of another kind; if factors
            are to be told by texts and there are none; if it learns from labels and the images have none; if the images
            are of a size that its networks cannot take.
        ModelError: if a part is no whole model folder, or the model to go on from is for images of another size.
    """
    parts.check(config)
    config = dataclasses.replace(config, channels=images.channels, size=images.size)
    carrier = parts.base or parts.init
    if carrier is not None and isinstance(config, DiffusionModelConfig):
        theirs, mine = _load(carrier, BaseModel).config, config.diffusion
        if parts.init is not None and (theirs.channels, theirs.size) != (images.channels, images.size):
            raise ModelError(
                f"{parts.init}: made for images of {theirs.channels} channels and {theirs.size} pixels, found "
                f"{images.channels} and {images.size}. Give train.size={theirs.size}, or other images."
            )
        # where and how the loss is measured is the method's own
        diffusion = dataclasses.replace(theirs.diffusion, weighting=mine.weighting, times=mine.times, t_min=mine.t_min)
        config = dataclasses.replace(config, unet=theirs.unet, diffusion=diffusion, vq=theirs.vq, kl=theirs.kl)
    if parts.first_stage is not None and isinstance(config, DiffusionModelConfig):
        stage = _load(parts.first_stage, FirstStageModel).config
        # the first level has the size that it would have with pixels
        unet = dataclasses.replace(config.unet, unshuffle=max(1, config.unet.unshuffle // stage.stage.factor))
        config = dataclasses.replace(config, vq=stage.vq, kl=stage.kl, unet=unet)
    if isinstance(config, ClipGuidedConfig):
        if parts.encoder is not None:
            config = dataclasses.replace(config, contrastive=_load(parts.encoder, ContrastiveModel).config)
        config.check_texts()
    if isinstance(config, DiffusionModelConfig):
        config.check_size()
    return _told_labels(config, images)


def check_networks(method: str, config: ModelConfig, size: int) -> None:
    """Refuse a method whose networks cannot take images of this size, before what it stands on is trained.

    Raises:
        ConfigError: if so.
    """
    config = dataclasses.replace(config, size=size)
    try:
        if isinstance(config, DiffusionModelConfig):
            config.check_size()
        if not isinstance(config, ClipGuidedConfig):  # its encoder is yet to be trained
            with torch.device("meta"):
                build_model(config)
    except ValueError as err:
        raise ConfigError(f"{method}: {err}") from err


def _told_labels(config: ModelConfig, images: ImageSet) -> ModelConfig:
    """The configuration of a method that learns from labels with those of the images; labels that are no factors are 0 or 1.

    Raises:
        ConfigError: if the images have none.
    """
    if not isinstance(config, ContrastiveConfig | LabelledConfig | GuidedVaeConfig):
        return config
    names = images.label_names
    if not names:
        raise ConfigError(f"model.kind: {config.kind.value} learns from labels, and {images.name} has none. Give other images.")
    sizes = images.factors.sizes if images.factors is not None else (2,) * len(names)
    if not isinstance(config, GuidedVaeConfig):
        return dataclasses.replace(config, factor_names=names, factor_sizes=sizes)
    if config.attributes:
        return config
    chosen = [column for column, size in enumerate(sizes) if size > 1][: config.n_units - 1]
    return dataclasses.replace(config, attributes=tuple(chosen), classes=tuple(sizes[column] for column in chosen))


def new_model(config: ModelConfig, parts: Parts, x: torch.Tensor, seed: int) -> RepresentationModel:
    """The model before step 0: weights drawn from the seed, the parts in their places, the spread of images x measured.

    Raises:
        ModelError: if a part does not fit.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # noqa: TID251  initial weights know no generator
        model = build_model(config)
    if parts.init is not None:
        model.load_state_dict(_load(parts.init, BaseModel).state_dict())
        return model
    if isinstance(model, GuidedModel) and parts.base is not None:
        model.take_base(_load(parts.base, BaseModel))
    if isinstance(model, ClipGuided):
        if parts.encoder is None:
            model.take_open_clip()
        else:
            model.take_image_text(_load(parts.encoder, ContrastiveModel))
    if isinstance(model, DiffusionModelBase):
        if parts.first_stage is not None:
            model.take_first_stage(_load(parts.first_stage, FirstStageModel).stage)
        model.measure(x)
    return model


def perceptual_features(config: ModelConfig, device: torch.device) -> FeatureMaps | None:
    """The frozen feature maps that a first stage with a perceptual term is trained by; None for all other models.

    Raises:
        ConfigError: if the network is not installed.
    """
    if not isinstance(config, FirstStageConfig) or not config.stage.perceptual:
        return None
    try:
        return load_efficientnet_lite0().to(device)
    except ImportError as err:
        where = f"model.{config.stage.kind.value}.perceptual"
        raise ConfigError(f"{where}: found {config.stage.perceptual:g}, but {err} Or set it to 0.") from err


def _load(folder: Path, kind: type[T]) -> T:
    """The model in a folder.

    Raises:
        ConfigError: if it is of another kind.
    """
    model = load_image_folder(folder).model
    if not isinstance(model, kind):
        raise ConfigError(
            f"{folder}: a model of kind {model.config.kind.value} cannot stand there. Give the folder of another."
        )
    return model

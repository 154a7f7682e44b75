"""The one list of image methods: kind to configuration and model."""

from dataclasses import dataclass
from typing import Any

from tts.config import from_dict
from tts.errors import ConfigError
from tts.image.base import BaseConfig, BaseModel
from tts.image.clip_guided import ClipGuided, ClipGuidedConfig
from tts.image.config import Kind, ModelConfig
from tts.image.contrastive import ContrastiveConfig, ContrastiveModel
from tts.image.deformable_vae import DeformableVae
from tts.image.diffae import DiffAe, DiffAeConfig
from tts.image.disdiff import DisDiff, DisDiffConfig
from tts.image.encdiff import EncDiff, EncDiffConfig
from tts.image.factor_vae import FactorVae
from tts.image.guided_vae import GuidedVae
from tts.image.info_vae import InfoVae
from tts.image.infodiffusion import InfoDiffusion, InfoDiffusionConfig
from tts.image.labelled import LabelledConfig, LabelledModel
from tts.image.model import RepresentationModel
from tts.image.pdae import Pdae, PdaeConfig
from tts.image.stage_model import FirstStageConfig, FirstStageModel
from tts.image.vae import AnnealedVae, BetaVae, DipVae, TcVae, Vae
from tts.image.vae_config import (
    AnnealedVaeConfig,
    BetaVaeConfig,
    DeformableVaeConfig,
    DipVaeConfig,
    FactorVaeConfig,
    GuidedVaeConfig,
    InfoVaeConfig,
    TcVaeConfig,
    VaeConfig,
)


@dataclass(frozen=True)
class Method:
    """What a kind is built of; the model takes its configuration alone."""

    config: type[ModelConfig]
    model: type[RepresentationModel]


MODELS: dict[Kind, Method] = {
    Kind.first_stage: Method(FirstStageConfig, FirstStageModel),
    Kind.ddpm: Method(BaseConfig, BaseModel),
    Kind.labelled: Method(LabelledConfig, LabelledModel),
    Kind.pdae: Method(PdaeConfig, Pdae),
    Kind.disdiff: Method(DisDiffConfig, DisDiff),
    Kind.clip_guided: Method(ClipGuidedConfig, ClipGuided),
    Kind.contrastive: Method(ContrastiveConfig, ContrastiveModel),
    Kind.vae: Method(VaeConfig, Vae),
    Kind.betavae: Method(BetaVaeConfig, BetaVae),
    Kind.annealedvae: Method(AnnealedVaeConfig, AnnealedVae),
    Kind.factorvae: Method(FactorVaeConfig, FactorVae),
    Kind.tcvae: Method(TcVaeConfig, TcVae),
    Kind.infovae: Method(InfoVaeConfig, InfoVae),
    Kind.dipvae: Method(DipVaeConfig, DipVae),
    Kind.guidedvae: Method(GuidedVaeConfig, GuidedVae),
    Kind.deformablevae: Method(DeformableVaeConfig, DeformableVae),
    Kind.diffae: Method(DiffAeConfig, DiffAe),
    Kind.encdiff: Method(EncDiffConfig, EncDiff),
    Kind.infodiffusion: Method(InfoDiffusionConfig, InfoDiffusion),
}


def config_from_dict(values: Any, where: str = "model") -> ModelConfig:
    """The configuration of the method that `values["kind"]` names, from plain values.

    Raises:
        ConfigError: if the kind is missing or unknown, or a key does not fit the method.
    """
    kind = values.get("kind") if isinstance(values, dict) else None
    known = {kind.value: method for kind, method in MODELS.items()}
    if kind not in known:
        raise ConfigError(f"{where}.kind: found {kind!r}, expected one of {', '.join(known)}.")
    return from_dict(known[kind].config, values, where)


def build_model(config: ModelConfig) -> RepresentationModel:
    """The untrained model of a configuration.

    Raises:
        ConfigError: if the configuration is not that of its kind.
    """
    method = MODELS.get(config.kind)
    if method is None or type(config) is not method.config:
        raise ConfigError(f"model.kind: {config.kind.value} is not configured by {type(config).__name__}.")
    return method.model(config)

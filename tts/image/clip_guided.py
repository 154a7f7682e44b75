"""DisDiff with a frozen image-text encoder as the source of its factors."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from torch import Tensor, nn

from tts.config import check_ranges
from tts.errors import ConfigError, ModelError
from tts.image.config import Kind
from tts.image.contrastive import ContrastiveConfig, ContrastiveModel
from tts.image.disdiff import FactorGuided, FactorGuidedConfig
from tts.image.factor_provider import FactorEncoder, FeatureExtractor, FeatureHeads, TextBank
from tts.image.open_clip_features import OpenClipFeatures


class FactorSource(str, Enum):
    """`heads`: learned orthonormal linear heads on the image features; `texts`: the texts of each factor, nothing learned."""

    heads = "heads"
    texts = "texts"


@dataclass(frozen=True, kw_only=True)
class OpenClipConfig:
    """A network of open_clip, and what can be said of each factor."""

    name: str = "ViT-B-32"
    pretrained: str = "laion2b_s34b_b79k"
    texts: tuple[tuple[str, ...], ...] = ()  # for `texts`: the sentences of each factor


@dataclass(frozen=True, kw_only=True)
class ClipGuidedConfig(FactorGuidedConfig):
    """CLIP-guided DisDiff. With `texts` the model sets n_units and unit_dim: as many as factors, as long as the features."""

    kind: Kind = Kind.clip_guided
    source: FactorSource = FactorSource.heads
    contrastive: ContrastiveConfig | None = None  # of the house's own image-text encoder; None takes that of open_clip
    open_clip: OpenClipConfig = field(default_factory=OpenClipConfig)
    sharpness: float = 20.0  # inverse temperature of `texts`

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "sharpness", 1e-3, 1e4)
        if self.contrastive and (self.contrastive.channels, self.contrastive.size) != (self.channels, self.size):
            raise ConfigError(
                f"model.contrastive: found images of {self.contrastive.channels} channels and size {self.contrastive.size}, "
                f"expected {self.channels} and {self.size} as in model."
            )

    def check_texts(self) -> None:
        """Refuse factors by the texts of open_clip where there are none, or but one of a factor; once the encoder is known.

        Raises:
            ConfigError: if so.
        """
        texts = self.open_clip.texts
        if self.contrastive is None and self.source is FactorSource.texts and (not texts or min(map(len, texts)) < 2):
            raise ConfigError(
                f"model.open_clip.texts: found {texts}, expected two sentences or more for each factor; or give --encoder, the "
                "folder of an image-text encoder, which knows its own, or model.source=heads, which needs none."
            )


class ContrastiveFeatures(FeatureExtractor):
    """The frozen image tower of the house's own image-text encoder."""

    def __init__(self, model: ContrastiveModel) -> None:
        super().__init__()
        self.model, self.features = model, model.config.n_units

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) in [-1, 1] -> (B, D), of length 1."""
        return self.model.encode(x).flatten(1)


class ClipGuided(FactorGuided):
    """A frozen diffusion model guided by the factors that a frozen image-text encoder tells apart.

    The same encoder reads the codes of the one-step estimates in DisDiff's losses, so their gradient comes from what the
    image-text encoder sees. It is random until `take_image_text` or `take_open_clip` fills it, before training.

    Raises:
        ConfigError: as `ClipGuidedConfig.check_texts`.

    Source: DisDiff's proposal of a vision-language model as its encoder, in the general form of two providers.
    """

    config: ClipGuidedConfig

    def __init__(self, config: ClipGuidedConfig) -> None:
        factors = _provider(config)
        super().__init__(dataclasses.replace(config, n_units=factors.n_units, unit_dim=factors.unit_dim), factors)

    def take_image_text(self, model: ContrastiveModel) -> None:
        """Copy a trained image-text encoder into this model, and with `texts` the features of its phrases.

        Raises:
            ModelError: if its configuration is not `config.contrastive`.
        """
        if model.config != self.config.contrastive:
            raise ModelError(
                f"the image-text encoder is {model.config}, this model expects {self.config.contrastive}. Configure the model "
                "with that of the encoder's folder."
            )
        self._take(model, model.phrases())

    def take_open_clip(self) -> None:
        """Load the published weights of `config.open_clip`, and with `texts` the features of its texts.

        Raises:
            ModelError: if open_clip or the weights are not to be had, or this model has an encoder of the house's own.
        """
        if self.config.contrastive is not None:
            raise ModelError("this model has model.contrastive as its image-text encoder: fill it from that model's folder.")
        settings = self.config.open_clip
        clip = OpenClipFeatures(settings.name, settings.pretrained)
        self._take(clip.model, [clip.encode_text(texts) for texts in settings.texts])

    def _take(self, network: nn.Module, texts: Sequence[Tensor]) -> None:
        """Copy the weights of the extractor's network, and the bank of texts where there is one."""
        self.factors.get_submodule("extractor.model").load_state_dict(network.state_dict())
        if isinstance(self.factors, TextBank):
            self.factors.fill(texts)


def _provider(config: ClipGuidedConfig) -> FactorEncoder:
    """The factor encoder of a configuration, not filled yet."""
    config.check_texts()
    extractor: FeatureExtractor
    if config.contrastive is None:
        extractor, counts = OpenClipFeatures(config.open_clip.name, ""), [len(texts) for texts in config.open_clip.texts]
    else:
        extractor, counts = ContrastiveFeatures(ContrastiveModel(config.contrastive)), list(config.contrastive.factor_sizes)
    if config.source is FactorSource.heads:
        return FeatureHeads(extractor, config.n_units, config.unit_dim)
    return TextBank(extractor, counts, config.sharpness)

"""A first stage as a model to be trained by itself: images in, latents, images out."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tts.errors import ConfigError
from tts.image.config import Kind, ModelConfig
from tts.image.first_stage import KlStage, VqStage
from tts.image.model import RepresentationModel
from tts.image.stage_config import KlConfig, VqConfig


@dataclass(frozen=True, kw_only=True)
class FirstStageConfig(ModelConfig):
    """A first stage, `vq` or `kl`; it has no code, its latents are what others diffuse."""

    kind: Kind = Kind.first_stage
    n_units: int = 0
    vq: VqConfig | None = None
    kl: KlConfig | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.vq is None) == (self.kl is None):
            raise ConfigError("model: a first stage is either vq or kl, found both or none.")
        if self.stage.channels != self.channels:
            raise ConfigError(f"model: the first stage has {self.stage.channels} channels, the images have {self.channels}.")

    @property
    def stage(self) -> VqConfig | KlConfig:
        """The one that is there."""
        stage = self.vq or self.kl
        if stage is None:
            raise RuntimeError("the configuration lets none without a stage through.")
        return stage


class FirstStageModel(RepresentationModel):
    """Training and reconstruction of a first stage; see `tts.image.first_stage`.

    Attributes:
        stage: what the latents come from.
    """

    config: FirstStageConfig

    def __init__(self, config: FirstStageConfig) -> None:
        super().__init__(config)
        stage = config.stage
        self.stage = VqStage(stage) if isinstance(stage, VqConfig) else KlStage(stage)
        self.phases = self.stage.phases

    def encode(self, x: Tensor) -> Tensor:
        """There are no units: (B, 0, d)."""
        return x.new_zeros(len(x), 0, self.config.unit_dim)

    def reconstruct(self, x: Tensor) -> Tensor:
        """The images through the latents, (B, C, H, W), not clamped."""
        return self.stage.finish(self.stage.encode(x))

    def measure(self, x: Tensor) -> None:
        """Bring the latents of the images x (n, C, H, W) to unit spread, once the stage is trained."""
        self.stage.measure(x)

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """See `RepresentationModel.parameters_of`."""
        return self.stage.parameters_of(phase)

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """See `AutoencoderStage.losses`."""
        return self.stage.losses(x, labels, generator, phase=phase)

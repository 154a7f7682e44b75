"""Diffusion autoencoders: an image encoder and one denoiser that is told its code."""

from abc import abstractmethod
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from tts.diffusion import Composite, Term
from tts.image.code_norm import CodeNorm
from tts.image.config import EncodedModelConfig
from tts.image.model import DiffusionModelBase
from tts.nets.image_encoder import ImageEncoder
from tts.nets.image_unet import ImageUNet


class ConditionedModel(DiffusionModelBase):
    """F(U, t, condition) of one U-Net, whose condition comes from a code, trained together with the encoder.

    Attributes:
        encoder: images to `encoder_outputs` numbers.
        unet: F.
    """

    config: EncodedModelConfig

    def __init__(self, config: EncodedModelConfig, *, condition: str, condition_dim: int, encoder_outputs: int) -> None:
        super().__init__(config)
        self.encoder = ImageEncoder(config.channels, config.encoder_width, config.size, encoder_outputs)
        sizes = asdict(config.unet)
        self.unet = ImageUNet(channels=config.state_channels, condition=condition, condition_dim=condition_dim, **sizes)

    @abstractmethod
    def condition(self, z: Tensor) -> Tensor:
        """What the U-Net is told: z (B, N, d) -> (B, condition_dim) or tokens (B, n, condition_dim)."""

    def composite(self, z: Tensor | None) -> Composite:
        """The denoiser given the codes z (B, N, d).

        Raises:
            ValueError: if z is None; there is no unconditional denoiser here.
        """
        return self.composite_of(self.told(z))

    def told(self, z: Tensor | None) -> Tensor:
        """`condition` of the codes z (B, N, d), or of none of them.

        Raises:
            ValueError: if z is None; there is no unconditional denoiser here.
        """
        if z is None:
            raise ValueError(f"{self.config.kind.value} has no unconditional denoiser. Give codes.")
        return self.condition(z)

    def composite_of(self, condition: Tensor) -> Composite:
        """The denoiser given what the U-Net is told."""
        return Composite(self.schedule, [self.term(condition)], self.parametrization)

    def term(self, condition: Tensor) -> Term:
        """F(U, t, condition); a condition of one row serves every state."""
        return Term(lambda u, t: self.unet(u, t, condition.expand(len(u), *condition.shape[1:])))


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(EncodedModelConfig):
    """A diffusion autoencoder whose code is a function of the image."""

    code_norm: bool = True  # zero mean and unit variance for every number of the code; raw codes shrink to nothing


class DiffusionAutoencoder(ConditionedModel):
    """z = E(x0), normed or raw: nothing but the bottleneck shapes the code, for what the noise hides must come through it.

    Attributes:
        norm: of the code.
    """

    config: AutoencoderConfig

    def __init__(self, config: AutoencoderConfig, *, condition: str, condition_dim: int) -> None:
        super().__init__(config, condition=condition, condition_dim=condition_dim, encoder_outputs=config.code_dim)
        if config.code_norm:
            self.norm = CodeNorm(config.n_units, config.unit_dim)

    def raw_code(self, x: Tensor) -> Tensor:
        """The code before its norm, (B, N, d)."""
        return self.encoder(x).unflatten(1, (self.config.n_units, self.config.unit_dim))

    def encode(self, x: Tensor) -> Tensor:
        """The code of each image, (B, N, d), by the running statistics of the norm."""
        z = self.raw_code(x)
        return self.norm.standardize(z) if self.config.code_norm else z

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """See `RepresentationModel.losses`: `denoising`, and what `code_losses` adds."""
        self.check_phase(phase)
        y, z = self.state(x), self.raw_code(x)
        if self.config.code_norm:
            z = self.norm(z)
        losses = {"denoising": self.denoising(self.composite(z), y, *self.draw(y, generator)).mean()}
        return losses | self.code_losses(z, generator)

    def code_losses(self, z: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Weighted losses of the codes (B, N, d) alone; none by default."""
        return {}

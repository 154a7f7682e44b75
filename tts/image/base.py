"""The unconditional diffusion model of images: the frozen base of PDAE and DisDiff, and a generator by itself."""

from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from tts.diffusion import Composite, Term, add_noise, expand_like
from tts.errors import ConfigError
from tts.image.config import DiffusionModelConfig, Kind
from tts.image.isometric import IsometryConfig, isometry_term
from tts.image.model import DiffusionModelBase
from tts.nets.image_unet import ImageUNet


@dataclass(frozen=True, kw_only=True)
class BaseConfig(DiffusionModelConfig):
    """A diffusion model without codes; with an isometry term it is Isometric Diffusion."""

    kind: Kind = Kind.ddpm
    n_units: int = 0
    isometry: IsometryConfig = field(default_factory=IsometryConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.isometry.weight or self.isometry.balance) and self.unet.dropout > 0:
            raise ConfigError(
                f"model.unet.dropout: found {self.unet.dropout:g} with an isometry term, which needs one encoder for all its "
                "derivatives. Set dropout to 0, or isometry.weight and isometry.balance."
            )


class BaseModel(DiffusionModelBase):
    """eps_hat(U, t) of a U-Net that knows nothing but the noisy image.

    Source: Ho et al. 2020; with the isometry term Hahm et al. 2024.
    """

    config: BaseConfig

    def __init__(self, config: BaseConfig) -> None:
        super().__init__(config)
        self.unet = ImageUNet(channels=config.state_channels, **asdict(config.unet))

    def encode(self, x: Tensor) -> Tensor:
        """There are no units: (B, 0, d)."""
        return x.new_zeros(len(x), 0, self.config.unit_dim)

    def told(self, z: Tensor | None) -> None:
        """The network is told nothing; codes are refused.

        Raises:
            ValueError: if z has units.
        """
        if z is not None and z.shape[1] > 0:
            raise ValueError(f"this model has no codes, found {tuple(z.shape)}.")

    def composite(self, z: Tensor | None) -> Composite:
        """The denoiser; see `told` for codes."""
        self.told(z)
        return Composite(self.schedule, [Term(self.unet)], self.parametrization)

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """See `RepresentationModel.losses`: `denoising`, and `isometry` in those batches that have it.

        The draws of `denoising` come first: with and without the term, runs of one seed see the same times and noise.
        """
        self.check_phase(phase)
        y = self.state(x)
        t, eps = self.draw(y, generator)
        losses = {"denoising": self.denoising(self.composite(None), y, t, eps).mean()}
        if self.config.isometry.weight > 0:
            alpha, sigma = (expand_like(c(t), y).to(y.dtype) for c in (self.schedule.alpha, self.schedule.sigma))
            term = isometry_term(self.unet, add_noise(y, eps, alpha, sigma), t, self.config.isometry, generator)
            if term is not None:
                losses["isometry"] = term
        return losses

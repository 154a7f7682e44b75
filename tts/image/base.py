"""The unconditional diffusion model of images: the frozen base of PDAE and DisDiff, and a generator by itself."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from tts.diffusion import Composite, Term
from tts.image.config import DiffusionModelConfig, Kind
from tts.image.model import DiffusionModelBase
from tts.nets.image_unet import ImageUNet


@dataclass(frozen=True, kw_only=True)
class BaseConfig(DiffusionModelConfig):
    """A diffusion model without codes."""

    kind: Kind = Kind.ddpm
    n_units: int = 0


class BaseModel(DiffusionModelBase):
    """eps_hat(U, t) of a U-Net that knows nothing but the noisy image.

    Source: Ho et al. 2020.
    """

    def __init__(self, config: BaseConfig) -> None:
        super().__init__(config)
        self.unet = ImageUNet(channels=config.state_channels, **asdict(config.unet))

    def encode(self, x: Tensor) -> Tensor:
        """There are no units: (B, 0, d)."""
        return x.new_zeros(len(x), 0, self.config.unit_dim)

    def composite(self, z: Tensor | None) -> Composite:
        """The denoiser; codes have nothing to say to it.

        Raises:
            ValueError: if z has units.
        """
        if z is not None and z.shape[1] > 0:
            raise ValueError(f"this model has no codes, found {tuple(z.shape)}.")
        return Composite(self.schedule, [Term(self.unet)], self.parametrization)

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """See `RepresentationModel.losses`: `denoising`."""
        self.check_phase(phase)
        y = self.state(x)
        return {"denoising": self.denoising(self.composite(None), y, *self.draw(y, generator)).mean()}

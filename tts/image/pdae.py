"""PDAE: a frozen diffusion model whose posterior-mean gap is filled by a gradient that knows the image's code."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from tts.image.config import DiffusionConfig, EncodedModelConfig, Kind, Weighting
from tts.image.factor_provider import LearnedFactors
from tts.image.guided import GuidedModel

TAIL = 0.3  # times up to this are the tail of a sample


@dataclass(frozen=True, kw_only=True)
class PdaeConfig(EncodedModelConfig):
    """PDAE; `pdae` weighting is the published one, `v` that for flat images, whose gap lies near t = 1.

    With `pdae` the gradient is in noise units, and its errors count sigma / alpha times in the sample: hold x0_hat in [-1, 1]
    (`clip_to_pixels`), as the paper does, or start at `first_time`, as all sampling of images does.
    """

    kind: Kind = Kind.pdae
    n_units: int = 32
    diffusion: DiffusionConfig = field(default_factory=lambda: DiffusionConfig(weighting=Weighting.pdae))


class Pdae(GuidedModel):
    """E and G are trained to predict the noise that the frozen model misses.

        loss = E lambda_t |eps - eps_base(U, t) + sigma_t G(U, E(x0), t)|^2 ,   lambda_t = sigma^1.8 alpha^0.2

    Untrained, G is 0 and the loss is that of the base. The coefficient is sigma_t in training and sampling; the released code
    trains with another one, which it does not sample with.

    Source: Zhang et al. 2022 (PDAE), eq. 7 and 10, in continuous time.
    """

    config: PdaeConfig

    def __init__(self, config: PdaeConfig) -> None:
        super().__init__(config, LearnedFactors.of(config), condition_dim=config.code_dim, n_factors=0)

    @property
    def drawn_code_times(self) -> tuple[float, float]:
        """The base alone makes the tail of samples: the last 30 % of the paper's uniform steps, these times on any grid.

        Source: Zhang et al. 2022 (PDAE), section 3.6.
        """
        return TAIL, 1.0

    def conditions(self, z: Tensor) -> Tensor:
        """The whole code as one row, (B, 1, N d)."""
        return z.flatten(1)[:, None]

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """See RepresentationModel: the weighted denoising error of the guided model."""
        self.check_phase(phase)
        state = self.state(x)
        t, eps = self.draw(state, generator)
        return {"denoising": self.denoising(self.composite(self.encode(x)), state, t, eps).mean()}

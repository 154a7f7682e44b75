"""DisDiff: the gradient field of a frozen diffusion model's gap as a sum of fields, one for each factor of the image."""

from dataclasses import dataclass, field
from enum import Enum

import torch
from torch import Tensor

from tts.config import check_ranges
from tts.diffusion import expand_like
from tts.image.config import DiffusionConfig, EncodedModelConfig, Kind, Weighting
from tts.image.factor_losses import FactorLosses, factor_losses
from tts.image.factor_provider import FactorEncoder, LearnedFactors
from tts.image.frozen_path import FrozenPath
from tts.image.guided import GuidedModel, tweedie_shift

_TINY = 1e-12  # below every mean change but that of gradients that are 0 yet


class ChangeSpace(str, Enum):
    """Where the change that weighs the factor loss is measured: what is diffused (`state`, "Z"), or pixels ("IM")."""

    state = "state"
    pixels = "pixels"


@dataclass(frozen=True, kw_only=True)
class FactorLossConfig:
    """The loss that makes each gradient move its own factor, `factor_losses`.

    As published, its weight is lambda times how far a gradient moves the estimate, about .01 in images in [-1, 1], so that
    lambda = .05 gives it a two-thousandth of the weight of L_r. `relative` divides by the batch's mean of it.
    """

    weight: float = 0.05  # lambda; 0 leaves the loss out
    relative: bool = False  # lambda is the mean weight of the loss
    share: float = 1.0  # of the batches on which it is measured; its weight is divided by it, so only time is saved
    change: ChangeSpace = ChangeSpace.state
    detach_codes: bool = True  # keep the gradient of this loss from the encoder

    def __post_init__(self) -> None:
        check_ranges(self, "model.factor_loss", "weight", 0, 1e6)
        check_ranges(self, "model.factor_loss", "share", 1e-3, 1)


@dataclass(frozen=True, kw_only=True)
class FactorGuidedConfig(EncodedModelConfig):
    """6 units of 32 numbers as in DisDiff's published code.

    `v` weighting, for then a gradient's change of x0_hat is sigma times its output. In noise units, as published, it is
    sigma / alpha times: where alpha nearly vanishes, as at the end of the cosine schedule, w_b explodes with it.
    """

    n_units: int = 6
    unit_dim: int = 32
    diffusion: DiffusionConfig = field(default_factory=lambda: DiffusionConfig(weighting=Weighting.v))
    factor_loss: FactorLossConfig = field(default_factory=FactorLossConfig)


@dataclass(frozen=True, kw_only=True)
class DisDiffConfig(FactorGuidedConfig):
    """DisDiff with its own encoder."""

    kind: Kind = Kind.disdiff


class FactorGuided(GuidedModel):
    """A frozen model guided by N factors, whoever provides them, with DisDiff's losses.

        loss = L_r + mean_b w_b (L_in + L_va) ,   w_b = lambda stopgrad m_b ,  of `relative` lambda stopgrad m_b / mean m
        m_b = mean |x0_hat - x0_hat^c|^2
        L_r = |eps - eps_base - sum_c h_c|^2 ,   x0_hat^c = x0_hat - (sigma / alpha) h_c ,   c drawn for each image

    L_in and L_va read the codes of both estimates, decoded to pixels, with a frozen copy of the encoder (`factor_losses`).
    The published code takes the absolute error in L_r; here it is the one denoising loss of the house.

    Whose gradient is it? The paper says that L_in + L_va train G alone. The frozen copy and the detached true code leave one
    way to the encoder: z^c, which G reads. `detach_codes`, the default, cuts it, in these two losses only; L_r always trains
    the encoder through G, or nothing would. Without it the gradient leaks as in the released code.

    Source: Yang et al. 2023 (DisDiff).
    """

    config: FactorGuidedConfig

    def __init__(self, config: FactorGuidedConfig, factors: FactorEncoder) -> None:
        super().__init__(config, factors, condition_dim=factors.unit_dim, n_factors=factors.n_units)

    def conditions(self, z: Tensor) -> Tensor:
        """The units themselves, (B, N, d)."""
        return z

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """See RepresentationModel: `denoising`, and where they are measured `invariant` and `variant`."""
        self.check_phase(phase)
        state, z, path = self.state(x), self.encode(x), FrozenPath(self.unet)
        t, eps = self.draw(state, generator)
        losses = {"denoising": self.denoising(self.composite_over(path, z), state, t, eps).mean()}
        settings = self.config.factor_loss
        if settings.weight > 0 and torch.rand((), generator=generator).item() < settings.share:
            found, change = self.factor_change(path, z, generator)
            moved = change / (change.mean() + _TINY) if settings.relative else change
            weight = settings.weight / settings.share * moved
            losses["invariant"] = (weight * found.invariant).mean()
            losses["variant"] = (weight * found.variant).mean()
        return losses

    def factor_change(self, path: FrozenPath, z: Tensor, generator: torch.Generator) -> tuple[FactorLosses, Tensor]:
        """What the gradient of one factor, drawn for each image, does to one step's estimate of it.

        Args:
            path: which was asked about the noisy states of the images.
            z: codes of the images, (B, N, d).
            generator: draws the factors, on the CPU.

        Returns:
            The losses of each image, and its mean squared change, (B,), without gradient.
        """
        u, t = path.encoded.asked
        alpha, sigma = (expand_like(c(t), u).to(u.dtype) for c in (self.schedule.alpha, self.schedule.sigma))
        factor = torch.randint(z.shape[1], (len(z),), generator=generator).to(z.device)
        codes = z.detach() if self.config.factor_loss.detach_codes else z
        told = codes[torch.arange(len(z), device=z.device), factor]
        with torch.no_grad():
            x0 = self.composite_over(path, None).x0(u, t)
            plain = self.estimate(x0)
            plain_code = self.factors.frozen(plain)
        h = self.increments(path.encoded(u, t), told[:, None], factor[:, None], t)[:, 0]
        moved_x0 = tweedie_shift(x0, h, alpha, sigma)
        moved = self.estimate(moved_x0)
        found = factor_losses(z, plain_code, self.factors.frozen(moved), factor)
        change = moved_x0 - x0 if self.config.factor_loss.change is ChangeSpace.state else moved - plain
        return found, change.detach().square().flatten(1).mean(1)

    @torch.no_grad()
    def factor_accuracy(self, x: Tensor, generator: torch.Generator) -> float:
        """How often the unit that a factor's gradient moves most is its own: 1 / N by chance, more once the loss works.

        Args:
            x: images, (B, C, H, W) in [-1, 1].
            generator: of times, noise and factors, on the CPU.
        """
        state, z, path = self.state(x), self.encode(x), FrozenPath(self.unet)
        t, eps = self.draw(state, generator)
        alpha, sigma = (expand_like(c(t), state).to(state.dtype) for c in (self.schedule.alpha, self.schedule.sigma))
        path.encoded(alpha * state + sigma * eps, t)
        return self.factor_change(path, z, generator)[0].hit.mean().item()


class DisDiff(FactorGuided):
    """DisDiff with its own learned encoder."""

    config: DisDiffConfig

    def __init__(self, config: DisDiffConfig) -> None:
        super().__init__(config, LearnedFactors.of(config))

"""A frozen diffusion model steered by codes: its noise prediction plus one gradient term for each factor."""

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from tts.config import to_dict
from tts.diffusion import Composite, Parametrization, Term, expand_like
from tts.errors import ModelError
from tts.image.config import DiffusionModelConfig, Weighting
from tts.image.factor_provider import FactorEncoder
from tts.image.frozen_path import FrozenPath, Once
from tts.image.model import DiffusionModelBase
from tts.nets.gradient_decoder import GradientDecoder
from tts.nets.image_unet import Encoded, ImageUNet

_TIME_TOLERANCE = 1e-6  # the times of a grid lie much further apart


class GuidedModel(DiffusionModelBase):
    """A frozen U-Net, an encoder of factors, and one decoder of the gradients of all factors.

        eps_hat(U, t) = eps_base(U, t) + sum_c w(t) h(U, z^c, t, c) ,   h = -sigma_t G ,   G ~ grad_U log p(z^c | U)

    With `v` weighting, which counts an error of h 1 / alpha^2 times, the decoder's output is an increment of the velocity and
    h = alpha_t output; otherwise it is h itself. Both are noise units, so one step's estimate moves by -(sigma / alpha) h.

    The frozen half sees no gradient and never trains; `take_base` fills it. Its schedule and parametrization are those of
    `config.diffusion`, its sizes those of `config.unet`. `config.diffusion.weighting` is that of the guided loss.

    Attributes:
        unet: the frozen network.
        factors: image -> codes.
        gradients: the gradient decoder.
    """

    config: DiffusionModelConfig

    def __init__(self, config: DiffusionModelConfig, factors: FactorEncoder, *, condition_dim: int, n_factors: int) -> None:
        super().__init__(config)
        sizes = {"channels": config.state_channels, **dataclasses.asdict(config.unet)}
        self.unet = ImageUNet(**sizes).requires_grad_(False)
        self.factors = factors
        self.gradients = GradientDecoder(**sizes, condition_dim=condition_dim, factors=n_factors)

    @abstractmethod
    def conditions(self, z: Tensor) -> Tensor:
        """What the gradient decoder is told, one row for each of its factors: z (B, N, d) -> (B, n, condition_dim)."""

    def train(self, mode: bool = True) -> "GuidedModel":
        """As always, but the frozen network stays in evaluation."""
        super().train(mode)
        self.unet.eval()
        return self

    def take_base(self, base: DiffusionModelBase) -> None:
        """Copy a trained unconditional diffusion model into the frozen half.

        Raises:
            ModelError: if its network, schedule or parametrization is another, naming the fields.
        """
        names = ("channels", "size", "unet", "diffusion", "vq", "kl")
        mine, theirs = ({n: to_dict(getattr(m.config, n)) for n in names} for m in (self, base))
        for values in (mine, theirs):  # where and how the loss is measured is of no consequence to what was learned
            values["diffusion"] = {k: v for k, v in values["diffusion"].items() if k not in ("weighting", "times", "t_min")}
        differing = [f"{n}: {theirs[n]} here {mine[n]}" for n in names if mine[n] != theirs[n]]
        if differing:
            raise ModelError(f"the base does not fit this model: {'; '.join(differing)}. Give both the same values.")
        self.unet.load_state_dict(base.get_submodule("unet").state_dict())
        if base.first_stage is not None:
            self.take_first_stage(base.first_stage)
        self.data_std.copy_(base.data_std)

    def measure(self, x: Tensor) -> None:
        """Changes nothing: `data_std` is part of the base, which was trained with its own."""

    @property
    def first_time(self) -> float:
        """As of a network of noise, whatever the base predicts, where the decoder's output is h itself."""
        weighting = self.config.diffusion.weighting
        return super().first_time if weighting is Weighting.v else Parametrization("eps").first_time(self.schedule)

    def encode(self, x: Tensor) -> Tensor:
        """The codes of the images, (B, N, d)."""
        return self.factors(x)

    def composite(
        self, z: Tensor | None, *, strength: float = 1.0, tail: float = 0.0, factors: Sequence[int] | None = None
    ) -> Composite:
        """The frozen model guided by z (B, N, d); for None the frozen model alone. One step runs the frozen encoder half once.

        Args:
            z: codes of as many images as the state has.
            strength: w, 0 is the base alone, 1 the conditional, more exaggerates what the code says.
            tail: the gradients are off at all times t <= tail: the end of sampling. PDAE takes the last 30 % of the steps,
                0.3 on a uniform grid (`tail_time` for others), when its codes are sampled.
            factors: the rows of `conditions` whose gradients count; None is all of them.

        Raises:
            ValueError: if strength is not finite, tail outside [0, 1), or there is no such factor, or one is there twice.
        """
        return self.composite_over(FrozenPath(self.unet), z, strength=strength, tail=tail, factors=factors)

    def composite_over(
        self,
        path: FrozenPath,
        z: Tensor | None,
        *,
        strength: float = 1.0,
        tail: float = 0.0,
        factors: Sequence[int] | None = None,
    ) -> Composite:
        """`composite` over a path of the caller's, whose passes it shares."""
        base = Composite(self.schedule, [Term(path.output)], self.parametrization)
        if z is None:
            return base
        conditions = self.conditions(z)
        chosen = list(range(conditions.shape[1]) if factors is None else factors)
        if not 0 <= tail < 1:
            raise ValueError(f"tail must be in [0, 1), found {tail}.")
        if not all(0 <= c < conditions.shape[1] for c in chosen):
            raise ValueError(f"factors must be in 0 to {conditions.shape[1] - 1}, found {chosen}.")
        if len({*chosen}) < len(chosen):
            raise ValueError(f"factors must be given once each, found {chosen}.")
        index = torch.tensor(chosen, device=z.device).expand(len(z), -1)

        def increments(u: Tensor, t: Tensor) -> Tensor:
            return self.increments(path.encoded(u, t), conditions[:, chosen], index, t)

        once = Once(increments, trained=True)
        terms = [Term(partial(_column, once, i), weight=before_tail(strength, tail)) for i in range(len(chosen))]
        return Composite(self.schedule, terms, Parametrization("eps"), base=base)

    def increments(self, encoded: Encoded, conditions: Tensor, factor: Tensor, t: Tensor) -> Tensor:
        """h of several factors of each image in one pass.

        Args:
            encoded: of the frozen network, for B states.
            conditions: rows of `conditions`, (B, n, condition_dim).
            factor: which factor each row is of, (B, n) int64.
            t: time, (B,).

        Returns:
            (B, n, C, H, W), noise units.
        """
        n = factor.shape[1]
        which = factor.flatten() if self.gradients.factors else None
        output = self.gradients(encoded.repeat_interleave(n), conditions.flatten(0, 1), which).unflatten(0, (-1, n))
        if self.config.diffusion.weighting is Weighting.v:
            # eps = sigma U + alpha v, so h = alpha dv
            return expand_like(self.schedule.alpha(t), output).to(output.dtype) * output
        return output


def tweedie_shift(x0: Tensor, h: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """One step's estimate of the data after the noise increment h = -sigma g:  x0_hat + (sigma^2 / alpha) g."""
    # (sigma^2 / alpha) g = -(sigma / alpha) h
    return x0 - sigma / alpha * h


def before_tail(strength: float, tail: float) -> float | Callable[[Tensor], Tensor]:
    """The weight of a term: w at t > tail, 0 in the tail of the sampling, t <= tail.

    Source: Zhang et al. 2022 (PDAE), section 3.6: no guidance in the last steps, where the base alone makes finer images.
    """
    if tail == 0:
        return strength
    return lambda t: strength * (t > tail + _TIME_TOLERANCE).to(t.dtype)


def tail_time(times: Tensor, share: float) -> float:
    """The `tail` that switches off exactly the last `share` of the steps of a falling grid times (n + 1,); 0 for none.

    Raises:
        ValueError: if share is outside [0, 1).
    """
    if not 0 <= share < 1:
        raise ValueError(f"share must be in [0, 1), found {share}.")
    n_off = round(share * (len(times) - 1))
    return times[len(times) - 1 - n_off].item()


def _column(once: Once[Tensor], i: int, u: Tensor, t: Tensor) -> Tensor:
    """Row i of the increments of all factors."""
    return once(u, t)[:, i]

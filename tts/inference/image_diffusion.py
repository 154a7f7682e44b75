"""The reverse diffusion of images: its options, and a denoiser that knows the code only part of the time."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tts.diffusion import SAMPLERS, Composite, invert, sample
from tts.diffusion.samplers import Denoiser, Hook, Noise
from tts.image.guided import GuidedModel
from tts.image.model import DiffusionModelBase, clip_to_pixels

GRIDS = ("uniform", "quadratic", "log_snr")
TIME_ROUNDING = 1e-6  # of times in float32; those of a grid lie much further apart
Guide = Callable[[Denoiser, Tensor, Hook | None], tuple[Denoiser, Hook | None]]
"""(denoiser of the model, times of the grid, hook of the sampler) -> the denoiser and the hook that are sampled with."""
FIXED_POINT_ITERATIONS = 2  # of inversion: enough for 1e-3 of the pixels' range at 50 steps


@dataclass(frozen=True, kw_only=True)
class ImageSampling:
    """Options of the reverse diffusion, from noise at t = 1 (`DiffusionModelBase.first_time`) to the image at t = 0.

    `sampler` leads drawn noise to an image. Inverted noise goes back by `ddim` alone, whose inverse it came by, on the grid and
    with the steps it was inverted with. The quadratic grid has small steps near t = 0: 50 steps of `dpmpp_2m` on it keep the
    spread of Gaussian data within 2 %, where those of `ddim` on the uniform one lose a tenth to a half of it.

    The code conditions times t in (code_from, code_to]; elsewhere the unconditional denoiser is at work. For drawn
    codes `ImageModel.sample` takes the model's own unless these are given.

    `strength` and `factors` are of guided models (`GuidedModel.composite`): how far the frozen base is drawn to what the code
    says, 1 as it was trained, and which factors draw it; None is all of them.

    Raises:
        ValueError: naming the option, what was found and its range; `steps` and `factors` are checked when they are used.
    """

    sampler: str = "dpmpp_2m"
    steps: int = 50
    grid: str = "quadratic"
    code_from: float = 0.0
    code_to: float = 1.0
    strength: float = 1.0
    factors: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler: found {self.sampler!r}, expected one of {', '.join(SAMPLERS)}.")
        if self.grid not in GRIDS:
            raise ValueError(f"grid: found {self.grid!r}, expected one of {', '.join(GRIDS)}.")
        if not 0 <= self.code_from < self.code_to <= 1:
            raise ValueError(f"need 0 <= code_from < code_to <= 1, found {self.code_from} and {self.code_to}.")
        if not math.isfinite(self.strength):
            raise ValueError(f"strength: found {self.strength}, expected a number; 0 is the base alone, 1 as it was trained.")

    def for_inverted(self) -> "ImageSampling":
        """The options that lead noise of `forward` back."""
        return dataclasses.replace(self, sampler="ddim")


def denoiser_of(model: DiffusionModelBase, z: Tensor | None, options: ImageSampling) -> Denoiser:
    """eps_hat(U, t) given codes z (B, N, d), or unconditional for None.

    Raises:
        ValueError: if the options leave out the code at some times and the model has no unconditional denoiser; if they have a
            strength or factors and it is not guided, or has no such factor.
    """
    plain = (options.strength, options.factors) == (1.0, None)
    if isinstance(model, GuidedModel):
        inside = model.composite(z, strength=options.strength, factors=options.factors)
    elif plain:
        inside = model.composite(z)
    else:
        raise ValueError(
            f"strength and factors are of models that draw a frozen base to a code (pdae, disdiff, clip_guided), found a model "
            f"of kind {model.config.kind.value}. Leave them out."
        )
    if z is None or (options.code_from, options.code_to) == (0.0, 1.0):
        return inside
    return PartTime(inside, model.composite(None), options.code_from, options.code_to)


@dataclass(frozen=True, eq=False)
class PartTime:
    """The denoiser `inside` for times t in (low, high], `outside` elsewhere; all of a batch have the same time."""

    inside: Composite
    outside: Composite
    low: float
    high: float

    def __call__(self, u: Tensor, t: Tensor) -> Tensor:
        """eps_hat(U, t), the shape of u."""
        time = t[0].item() - TIME_ROUNDING
        denoiser = self.inside if self.low < time <= self.high else self.outside
        return denoiser(u, t)


def row_noise(seed: int, rows: Tensor) -> Noise:
    """u (B, …) -> standard normal noise, drawn for row i of the batch from a generator of its own: a function of (seed, i)."""
    seeds = [np.random.SeedSequence((seed, int(row))).generate_state(1, np.uint64)[0] for row in rows]
    generators = [torch.Generator().manual_seed(int(s >> np.uint64(1))) for s in seeds]
    return lambda u: torch.stack([torch.randn(u.shape[1:], generator=g) for g in generators]).to(u)


@torch.no_grad()
def reverse(
    model: DiffusionModelBase,
    z: Tensor | None,
    noise: Tensor,
    options: ImageSampling,
    generator: torch.Generator,
    guide: Guide | None = None,
    *,
    clipped: bool = True,
) -> Tensor:
    """The state at t = 0 reached from `noise`, the state at the first time of the grid.

    Args:
        model: in evaluation.
        z: codes (B, N, d), or None for the unconditional denoiser.
        noise: (B, ...), standard normal or inverted.
        options: sampler, steps, grid.
        generator: of the noise that stochastic samplers inject, on the CPU.
        guide: makes of the model's denoiser and hook those that are sampled with.
        clipped: whether x0_hat of pixels is held in [-1, 1] on the way. `forward` holds nothing: its noise goes back without.
    """
    times = model.grid(options.steps, options.grid)
    draw = lambda u: torch.randn(u.shape, generator=generator).to(u)  # noqa: E731
    hook: Hook | None = clip_to_pixels if clipped and model.diffuses_pixels else None
    denoiser = denoiser_of(model, z, options)
    if guide is not None:
        denoiser, hook = guide(denoiser, times, hook)
    return sample(denoiser, noise, model.schedule, times, sampler=options.sampler, noise=draw, hook=hook)


@torch.no_grad()
def forward(model: DiffusionModelBase, z: Tensor | None, x0: Tensor, options: ImageSampling) -> Tensor:
    """The state at the first time from which `ddim` on the same grid leads back to x0."""
    times = model.grid(options.steps, options.grid)
    return invert(denoiser_of(model, z, options), x0, model.schedule, times, FIXED_POINT_ITERATIONS)

"""From priors to a mel: the options of sampling, and noise that belongs to each utterance."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tts.diffusion import SAMPLERS, initial_state, sample, time_grid
from tts.diffusion.parametrization import ParametrizationKind
from tts.diffusion.samplers import Noise
from tts.speech.model import Priors, SourceFilterModel

PRIOR_ONLY = "prior"
SMOOTH_WIDTH = 1.5  # bands and frames
MAX_STEPS = 1000


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How the reverse diffusion is run; `sampler="prior"` returns the sum of the prior mels without any diffusion.

    Args:
        sampler: "dpmpp_2m", "ddim", "heun", "ancestral", "euler_maruyama" or "prior".
        steps: steps on the grid, 1 to 1000; each is one evaluation of the networks, for heun two (but the last).
        grid: "uniform", "quadratic" or "log_snr".
        temperature: scale of the noise, 0 to 2.
        start: time to start at, in (0, 1]; below 1 the state starts from the Gaussian of the priors at that time.
        anchor: how far the smooth part of the mel, which carries the words, is held at that of the priors, 0 to 1; with 1 the
            diffusion adds nothing but the fine structure that they lack.

    Raises:
        ValueError: naming the option and its range.
    """

    sampler: str = "dpmpp_2m"
    steps: int = 8
    grid: str = "quadratic"
    temperature: float = 0.9
    start: float = 1.0
    anchor: float = 1.0

    def __post_init__(self) -> None:
        if self.sampler not in (*SAMPLERS, PRIOR_ONLY):
            raise ValueError(f"unknown sampler {self.sampler!r}. Known: {', '.join(SAMPLERS)}, {PRIOR_ONLY}.")
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(f"steps must be a whole number from 1 to {MAX_STEPS}, found {self.steps!r}.")
        if self.grid not in ("uniform", "quadratic", "log_snr"):
            raise ValueError(f"grid must be uniform, quadratic or log_snr, found {self.grid!r}.")
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"temperature must be from 0 to 2, found {self.temperature!r}.")
        if not 0 < self.start <= 1:
            raise ValueError(f"start must be above 0 and at most 1, found {self.start!r}.")
        if not 0 <= self.anchor <= 1:
            raise ValueError(f"anchor must be from 0 to 1, found {self.anchor!r}.")


class UtteranceNoise:
    """Standard normal noise in which every utterance has its own stream, so that a batch equals its singles.

    Drawn on the CPU in float32, frame by frame, whatever the device: a seed means the same everywhere.
    """

    def __init__(self, seeds: list[int], lengths: list[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.lengths = lengths

    def __call__(self, like: Tensor) -> Tensor:
        """Noise of the shape (B, n_mels, T) of `like`, zero on padding."""
        noise = torch.zeros(like.shape)
        for i, (generator, length) in enumerate(zip(self.generators, self.lengths, strict=True)):
            noise[i, :, :length] = torch.randn(length, like.shape[1], generator=generator).T
        return noise.to(like)


def sample_mel(model: SourceFilterModel, priors: Priors, mask: Tensor, options: SamplingOptions, noise: Noise) -> Tensor:
    """A normalised log-mel (B, n_mels, T) drawn from the model given its priors.

    Args:
        model: in eval mode.
        priors: from `model.priors`.
        mask: (B, 1, T).
        options: sampler, steps, grid, temperature, start, anchor.
        noise: `UtteranceNoise`, or `FrameNoise` where pieces of a long utterance have to agree.
    """
    if options.sampler == PRIOR_ONLY:
        return priors.mean * mask
    composite, schedule = model.composite(priors, mask), model.schedule
    times = time_grid(schedule, options.steps, options.grid, start=options.start)
    preconditioned = model.config.denoiser.parametrization == ParametrizationKind.preconditioned
    spread = model.residual_std if preconditioned else 0.0
    u = initial_state(
        schedule, times[0], noise(priors.mean), mean=priors.mean, data_std=spread, temperature=options.temperature
    )
    drawn = {"sampler": options.sampler, "noise": noise, "temperature": options.temperature, "mask": mask}
    if not options.anchor:
        return sample(composite, u, schedule, times, **drawn)

    def hold(i: int, t: float, x0: Tensor) -> Tensor:
        # x0 + a G * (mu - x0)
        return x0 + options.anchor * smooth(priors.mean - x0, mask)

    return sample(composite, u, schedule, times, **drawn, hook=hold)


def smooth(x: Tensor, mask: Tensor) -> Tensor:
    """The smooth part G * x of a mel: its Gaussian mean over SMOOTH_WIDTH bands and frames, over what is there.

    Held at each step of the sampler to that of a reference, it is the low-pass condition of ILVR (Choi et al. 2021).

    Args:
        x: (B, n_mels, T).
        mask: (B, 1, T); padding has no say.
    """
    reach = math.ceil(3 * SMOOTH_WIDTH)
    bell = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=x.device) / SMOOTH_WIDTH) ** 2)
    kernel = (bell[:, None] * bell / bell.sum() ** 2).to(x)[None, None]
    there = mask.to(x).expand_as(x)
    total, weight = (F.conv2d(plane[:, None], kernel, padding=reach)[:, 0] for plane in (x * there, there))
    return total / weight.clamp(min=torch.finfo(x.dtype).tiny) * there

"""The posterior-mean gap: what the denoiser still misses of an image at each time, with and without its code."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.diffusion import Composite, Schedule, add_noise
from tts.diffusion.samplers import times_like


class GuidedDenoiser(Protocol):
    """A denoiser with a code and one without; every model over a frozen base is one."""

    @property
    def schedule(self) -> Schedule:
        """The variance-preserving schedule."""

    def encode(self, x: Tensor) -> Tensor:
        """The code of each image, (B, N, d)."""

    def composite(self, z: Tensor | None) -> Composite:
        """The denoiser given the codes, or without."""

    def state(self, x: Tensor) -> Tensor:
        """What is diffused of the images: the pixels, or the latents of a first stage."""


@dataclass(frozen=True, eq=False)
class GapProfile:
    """Mean squared gaps at falling times, each an array (n,) of float64, per element of the state.

    Attributes:
        t: times t.
        x0_without: E |x0 - x0_hat|^2 of the base.
        x0_with: the same with the code's gradient.
        mean_without: E |mu(u, x0) - mu(u, x0_hat)|^2, the gap of the posterior means of the step from t to the next time.
        mean_with: the same with the code's gradient.
    """

    t: NDArray[np.float64]
    x0_without: NDArray[np.float64]
    x0_with: NDArray[np.float64]
    mean_without: NDArray[np.float64]
    mean_with: NDArray[np.float64]


@torch.no_grad()
def gap_profile(model: GuidedDenoiser, x: Tensor, times: Tensor, generator: torch.Generator) -> GapProfile:
    """The gap of the posterior mean at each step of a grid, for Gaussian noise.

        mu(u, x0) = (r sigma_s^2 / sigma_t^2) u + nu x0,   nu = alpha_s (1 - r^2) / sigma_t^2,   r = alpha_t / alpha_s
        gap(t -> s) = |mu(u, x0) - mu(u, x0_hat)|^2 = nu^2 |x0 - x0_hat|^2,   u = alpha_t x0 + sigma_t eps,   eps ~ N(0, I)

    Args:
        model: a model over a frozen base, in evaluation.
        x: images, (B, C, H, W) in [-1, 1]; the gap is their mean.
        times: (n + 1,) strictly falling in [0, 1], as from `time_grid`: step i goes from times[i] to times[i + 1].
        generator: of the noise, on the CPU; it is drawn anew for each time.

    Raises:
        ValueError: if the times do not fall.

    Source: Zhang et al. 2022 (PDAE), section 3.2; their released measurement draws uniform noise by mistake.
    """
    grid = times.detach().cpu().double()
    if grid.ndim != 1 or len(grid) < 2 or not bool((grid.diff() < 0).all()):
        raise ValueError(f"times must be at least two strictly falling values, found {grid.tolist()[:8]}.")
    schedule, x0 = model.schedule, model.state(x)
    base, guided = model.composite(None), model.composite(model.encode(x))
    alpha, sigma = schedule.alpha(grid), schedule.sigma(grid)
    # nu = alpha_s (1 - r^2) / sigma_t^2,  r = alpha_t / alpha_s
    nu = (alpha[1:] * (1 - (alpha[:-1] / alpha[1:]) ** 2) / sigma[:-1] ** 2).numpy()
    rows = []
    for i, t in enumerate(grid[:-1].tolist()):
        eps = torch.randn(x0.shape, generator=generator).to(x0)
        u, at = add_noise(x0, eps, alpha[i].item(), sigma[i].item()), times_like(x0, t)
        rows.append([(x0 - denoiser.x0(u, at)).double().square().mean().item() for denoiser in (base, guided)])
    without, given = np.asarray(rows).T
    return GapProfile(grid[:-1].numpy(), without, given, nu**2 * without, nu**2 * given)

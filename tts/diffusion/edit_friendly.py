"""Edit-friendly inversion: data as a noisy state and the noise of every step, so that a changed denoiser changes the data."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from tts.diffusion.samplers import Denoiser, Hook, Noise, ddim_noise, grid_points, sample, times_like
from tts.diffusion.schedule import Schedule
from tts.diffusion.state import add_noise, masked


@dataclass(frozen=True, eq=False)
class NoisePath:
    """What `ddim` with this eta, started and fed so, makes the data of; from `invert_noises`."""

    start: Tensor  # (B, ...), the state at times[0]
    noises: Tensor  # (n_steps - 1, B, ...), of every step but the last
    residual: Tensor  # (B, ...), x0 less the last x0_hat
    eta: float

    def replay(self, denoiser: Denoiser, schedule: Schedule, times: Tensor, mask: Tensor | None = None) -> Tensor:
        """The data again, to the last digit for the denoiser and times of the inversion; edited data for an edited denoiser.

        Raises:
            ValueError: if times have another number of steps.
        """
        if len(times) != len(self.noises) + 2:
            raise ValueError(
                f"this path has {len(self.noises) + 1} steps, found {len(times) - 1}. Give the times it was made of."
            )
        noises = iter(self.noises)
        return sample(
            denoiser,
            self.start,
            schedule,
            times,
            sampler="ddim",
            noise=lambda _: next(noises),
            mask=mask,
            hook=self.restore,
            eta=self.eta,
        )

    @property
    def restore(self) -> Hook:
        """The hook of `sample` that gives the last x0_hat what no noise can: the residual."""
        last = len(self.noises)
        return lambda i, t, x0: x0 + self.residual if i == last else None


def invert_noises(
    denoiser: Denoiser,
    x0: Tensor,
    schedule: Schedule,
    times: Tensor,
    noise: Noise,
    *,
    eta: float = 1.0,
    fixed_point_iterations: int = 0,
    mask: Tensor | None = None,
) -> NoisePath:
    """The noises with which `ddim` goes through states of x0 that were noised independently of one another.

        U_i = a_i x0 + sigma_i eps_i ,   xi_i = (U_{i+1} - mean(U_i)) / fresh_i

    Independent states make noises that are larger than standard normal ones and carry the structure of x0, which is why edits
    keep it. The mean is that of the state actually reached, so rounding does not pile up. The step to t = 0 has no noise: what
    is missing there is the residual, and each fixed-point iteration U = a x0 + sigma eps_hat(U) of the state before makes it
    smaller where the denoiser can give x0 at all.

    Args:
        denoiser: (U, t (B,)) -> eps_hat.
        x0: data, (B, ...).
        schedule: gives alpha and sigma.
        times: (n_steps + 1,) strictly falling to 0.
        noise: x0 -> standard normal of its shape, from a generator of yours; called n_steps times.
        eta: as in `sample`, above 0.
        fixed_point_iterations: 0 or more.
        mask: as in `sample`.

    Raises:
        ValueError: if times do not fall to 0, or eta or fixed_point_iterations is outside its range.

    Source: Huberman-Spiegelglas et al. 2024 (edit-friendly DDPM inversion).
    """
    points = grid_points(schedule, times)
    if points[-1].t != 0:
        raise ValueError(f"times must end at 0, where the data are, found {points[-1].t}.")
    if not 0 < eta <= 1:
        raise ValueError(f"eta must be above 0 and at most 1, found {eta}.")
    if isinstance(fixed_point_iterations, bool) or not isinstance(fixed_point_iterations, int) or fixed_point_iterations < 0:
        raise ValueError(f"fixed_point_iterations must be a whole number, 0 or more, found {fixed_point_iterations!r}.")
    x0 = masked(x0, mask)
    states = [masked(add_noise(x0, noise(x0), p.alpha, p.sigma), mask) for p in points[:-1]]
    before = points[-2]
    for _ in range(fixed_point_iterations):
        eps = masked(denoiser(states[-1], times_like(x0, before.t)), mask)
        states[-1] = add_noise(x0, eps, before.alpha, before.sigma)
    ends = iter(zip(states[1:], pairwise(points), strict=False))
    noises: list[Tensor] = []

    def missing(mean: Tensor) -> Tensor:
        state, (t, s) = next(ends)
        noises.append((state - mean) / ddim_noise(t, s, eta)[1])
        return noises[-1]

    reached = sample(denoiser, states[0], schedule, times, sampler="ddim", noise=missing, mask=mask, eta=eta)
    stacked = torch.stack(noises) if noises else x0.new_zeros(0, *x0.shape)
    return NoisePath(states[0], stacked, x0 - reached, eta)

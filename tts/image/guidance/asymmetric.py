"""Guidance of what a step aims at alone: the noise that it goes on with stays that of the base, as in Asyrp."""

from enum import Enum

from torch import Tensor

from tts.diffusion import Schedule, asymmetric_edit, expand_like
from tts.diffusion.samplers import Denoiser, Hook, grid_points
from tts.image.frozen_path import Once
from tts.image.guided import tweedie_shift


class Apply(str, Enum):
    """`both`: the guided noise makes the predicted x0 and the direction of a step; `P`: the predicted x0 alone, in `ddim`."""

    both = "both"
    P = "P"


def asymmetric(base: Once[Tensor], guided: Denoiser, schedule: Schedule, times: Tensor, hook: Hook | None = None) -> Hook:
    """The hook by which `sample(base, …, sampler="ddim")` on these times takes the guided x0 and the direction of the base.

        U_s = a_s P(eps_guided) + sigma_s / sigma_t (U - a_t P(eps_base)) ,   P(eps) = (U - sigma_t eps) / a_t

    The sum of what guidance adds grows with the number of steps, where that of `both` does not: the weight is that of a grid.

    Args:
        base: the denoiser that is sampled.
        guided: eps_hat with guidance, of the same states.
        schedule: gives alpha and sigma.
        times: (n + 1,) of the sampler.
        hook: what both predictions of x0 go through, as `clip_to_pixels`; None is nothing.

    Raises:
        ValueError: if times do not fall.

    Source: Kwon et al. 2023, asymmetric reverse process, with guidance in the place of the change of h.
    """
    points = grid_points(schedule, times)

    def aim(step: int, t: float, x0: Tensor) -> Tensor:
        u, at = base.asked
        alpha, sigma = (expand_like(c(at), u).to(u.dtype) for c in (schedule.alpha, schedule.sigma))
        eps = base(u, at)
        # P(eps_guided) - P(eps_base) = -sigma / alpha (eps_guided - eps_base), exactly 0 without guidance
        aimed = tweedie_shift(x0, guided(u, at) - eps, alpha, sigma)
        own, other = (_after(hook, step, t, x) for x in (x0, aimed))
        start, end = points[step], points[step + 1]
        return asymmetric_edit(own, other, (start.alpha, start.sigma), (end.alpha, end.sigma))

    return aim


def _after(hook: Hook | None, step: int, t: float, x0: Tensor) -> Tensor:
    replaced = hook(step, t, x0) if hook else None
    return x0 if replaced is None else replaced

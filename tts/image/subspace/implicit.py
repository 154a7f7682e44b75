"""The denoiser of the full space that a switched model implies: for ODEs, inversion, editing and likelihood."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tts.diffusion import Schedule
from tts.diffusion.samplers import Denoiser
from tts.image.subspace.switch import Subspace

_TIME_TOLERANCE = 1e-6  # the times of a grid lie much further apart


def implicit_denoiser(full: Denoiser, subspaces: Sequence[Subspace], schedule: Schedule) -> Denoiser:
    """(x, t (B,)) -> eps_hat, the shape of x in the full space, each sample by its own time.

        t > t_1     eps = U eps_1(U^T x, t) + (I - U U^T) sigma (x - alpha mean) / (sigma^2 + alpha^2 s^2)
        t <= t_1    eps = full(x, t)

    and eps_1 in turn by t_2. Inversion through a switch loses the complement; through this denoiser it does not. A solver that
    asks at both ends of a step (`heun`) should not straddle t_1 in one call.

    Args:
        full: eps_hat of the full space.
        subspaces: nested, from the largest on.
        schedule: of all spaces.

    Source: Jing et al. 2022, eq. 11, in noise units.
    """
    if not subspaces:
        return full
    first, *rest = subspaces
    inner = implicit_denoiser(first.denoiser, rest, schedule)
    projection, gaussian = first.projection, first.complement.denoiser(schedule)

    def lifted(x: Tensor, t: Tensor) -> Tensor:
        return projection.up(inner(projection.down(x), t)) + projection.complement(gaussian(x, t))

    def denoiser(x: Tensor, t: Tensor) -> Tensor:
        above = t > first.time + _TIME_TOLERANCE
        if bool(above.all()):
            return lifted(x, t)
        if not bool(above.any()):
            return full(x, t)
        eps = torch.empty_like(x)
        eps[above], eps[~above] = lifted(x[above], t[above]), full(x[~above], t[~above])
        return eps

    return denoiser

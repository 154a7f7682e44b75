"""The log-density that the probability flow of a denoiser gives to data."""

import math
from itertools import pairwise

import torch
from torch import Tensor

from tts.diffusion.samplers import Denoiser, times_like
from tts.diffusion.schedule import Schedule


def log_likelihood(denoiser: Denoiser, x0: Tensor, schedule: Schedule, times: Tensor, probes: Tensor) -> Tensor:
    """ln p(x0) of each sample in nats, for the density that the PF-ODE carries from N(0, 1) at times[0] to times[-1].

        U = cos(phi) x0 + sin(phi) eps       dU / dphi = v = (eps_hat - sigma U) / alpha
        ln p(U at times[-1]) = ln N(U at times[0]; 0, 1) + int tr(dv / dU) dphi

    by the explicit midpoint rule in phi. Because times[-1] > 0 it is the density of data blurred by N(0, sigma^2 / alpha^2)
    there. The rule asks inside the steps, so a denoiser that changes at a time of the grid costs no order.

    Args:
        denoiser: (U, t (B,)) -> eps_hat, differentiable in U.
        x0: data, (B, ...).
        schedule: gives alpha and sigma.
        times: (n_steps + 1,) strictly falling in (0, 1].
        probes: vectors w with mean w w^T = I, (K, ...) or (K, B, ...) broadcastable to x0: the trace is the mean of
            w . (d eps / dU) w. Signs at random estimate it; the d unit vectors times sqrt(d) give it exactly.

    Returns:
        (B,) float64.

    Raises:
        ValueError: if times do not fall or leave (0, 1].

    Source: Song et al. 2021, eq. 39-40; Skilling 1989 and Hutchinson 1990 for the trace.
    """
    t = times.detach().cpu().double()
    if t.ndim != 1 or len(t) < 2 or not bool((t.diff() < 0).all()) or not 0 < t[-1] < t[0] <= 1:
        raise ValueError(f"times must be at least two strictly falling values in (0, 1], found {t.tolist()[:8]}.")
    angles = torch.atan2(schedule.sigma(t), schedule.alpha(t)).flip(0).tolist()
    n = x0[0].numel()
    u = math.cos(angles[0]) * x0
    total = torch.full((len(x0),), n * math.log(math.cos(angles[0])), dtype=torch.float64, device=x0.device)
    for start, end in pairwise(angles):
        step = end - start
        with torch.no_grad():
            middle = u + step / 2 * _velocity(denoiser, u, schedule, start)
        with torch.enable_grad():
            middle.requires_grad_()
            v = _velocity(denoiser, middle, schedule, (start + end) / 2)
            # tr(dv / dU) = mean over w of w . (dv / dU) w
            products = [torch.autograd.grad(v, middle, w.expand_as(v).to(v), retain_graph=True)[0] * w for w in probes]
        total += step * torch.stack(products).mean(0).flatten(1).sum(1).double()
        u = u + step * v.detach()
    # ln N(U; 0, 1)
    return total - (u.double().square().flatten(1).sum(1) + n * math.log(2 * math.pi)) / 2


def _velocity(denoiser: Denoiser, u: Tensor, schedule: Schedule, angle: float) -> Tensor:
    """v = (eps_hat - sigma U) / alpha at the time where sigma / alpha = tan(angle)."""
    log_snr = torch.tensor(-2 * math.log(math.tan(angle)), dtype=torch.float64)
    time = float(schedule.time_of_log_snr(log_snr).clamp(0, 1))
    return (denoiser(u, times_like(u, time)) - math.sin(angle) * u) / math.cos(angle)

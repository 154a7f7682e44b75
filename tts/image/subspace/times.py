"""When to leave a subspace: the orthogonal Fisher divergence over time, of a model or of a Gaussian fit, and its threshold."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from tts.diffusion import Schedule, add_noise
from tts.diffusion.samplers import Denoiser, Noise, times_like
from tts.image.subspace.complement import Complement
from tts.image.subspace.projections import Projection


@torch.no_grad()
def orthogonal_fisher(
    denoiser: Denoiser,
    batches: Iterable[Tensor],
    projection: Projection,
    complement: Complement,
    schedule: Schedule,
    times: Tensor,
    noise: Noise,
) -> Tensor:
    """D_F at each of the times (n,), float64: how far the complement is from its Gaussian, by the model of the full space.

        D_F(t) = v / (d - n) E |(I - U U^T) grad ln p_t(x) + (x_perp - alpha mean) / v|^2 ,   v = sigma^2 + alpha^2 s^2

    0 where the Gaussian is exact; independent of the unit of the images.

    Args:
        denoiser: eps_hat of the full space, at all times.
        batches: images (B, ...), of which a few hundred suffice.
        projection: onto the subspace.
        complement: `measure_complement` of it.
        schedule: gives alpha and sigma.
        times: in (0, 1].
        noise: state -> standard normal of its shape.

    Raises:
        ValueError: if there are no images.

    Source: Jing et al. 2022, sec. 3.4.
    """
    gaussian = complement.denoiser(schedule)
    total, count, dims = torch.zeros(len(times), dtype=torch.float64), 0, 0
    for x0 in batches:
        count, dims = count + len(x0), projection.complement_dims(x0)
        for i, time in enumerate(times.tolist()):
            t = times_like(x0, time)
            alpha, sigma = schedule.alpha(t[0]).item(), schedule.sigma(t[0]).item()
            x = add_noise(x0, noise(x0), alpha, sigma)
            # the score is -eps / sigma, so both scores differ by (eps_gaussian - eps) / sigma
            gap = projection.complement(gaussian(x, t) - denoiser(x, t))
            v = sigma**2 + (alpha * complement.std) ** 2
            total[i] += v / sigma**2 * gap.double().square().sum().item()
    if count == 0:
        raise ValueError("the orthogonal Fisher divergence needs at least one image.")
    return total / count / dims


def gaussian_spectrum(x: Tensor, projection: Projection) -> tuple[Tensor, Tensor]:
    """Variances (d,) of images x (N, ...) along their principal directions, and how much of each lies in the complement.

    The shares |(I - U U^T) e_i|^2 are in [0, 1] and add up to d - n. It costs a covariance of d x d numbers.
    """
    variances, vectors = torch.linalg.eigh(torch.cov(x.flatten(1).double().T))
    images = vectors.T.unflatten(1, x.shape[1:])
    return variances.clamp(min=0), projection.complement(images).square().flatten(1).sum(1)


def gaussian_fisher(variances: Tensor, shares: Tensor, std: float, schedule: Schedule, times: Tensor) -> Tensor:
    """`orthogonal_fisher` of Gaussian data in closed form, (n,) float64: it needs no model, so it comes before all training.

        D_F(t) = sum_i share_i (v - v_i)^2 / (v_i v) / sum_i share_i ,   v_i = sigma^2 + alpha^2 variance_i

    Args:
        variances: of the data along orthonormal directions, (d,): `gaussian_spectrum`.
        shares: of each direction in the complement, (d,).
        std: s of the complement.
        schedule: gives alpha and sigma.
        times: in (0, 1], (n,).
    """
    t = times.double()
    alpha2, sigma2 = schedule.alpha(t)[:, None] ** 2, schedule.sigma(t)[:, None] ** 2
    v, each = sigma2 + alpha2 * std**2, sigma2 + alpha2 * variances.double()
    return ((v - each) ** 2 / (each * v) * shares).sum(1) / shares.sum()


def choose_time(times: Tensor, fisher: Tensor, threshold: float = 3e-3) -> float:
    """The smallest time from which on D_F stays below the threshold, ln D_F being linear between the times.

    Args:
        times: (n,) in any order.
        fisher: D_F there, (n,).
        threshold: 3e-3, or 1e-2 to save more.

    Raises:
        ValueError: if the threshold is not above 0, or D_F is not below it at the last time.
    """
    if not 0 < threshold < math.inf:
        raise ValueError(f"threshold must be finite and above 0, found {threshold}.")
    order = times.argsort()
    t, d = times[order].double().tolist(), fisher[order].double().tolist()
    if not d[-1] < threshold:
        raise ValueError(
            f"D_F is {d[-1]:.3g} at t = {t[-1]:g}, not below {threshold:g}. Raise the threshold or go nearer to 1."
        )
    last = max((i for i, value in enumerate(d) if not value < threshold), default=-1)
    if last < 0:
        return t[0]
    high, low = math.log(d[last]), math.log(max(d[last + 1], math.ulp(0.0)))
    return t[last] + (t[last + 1] - t[last]) * (high - math.log(threshold)) / (high - low)

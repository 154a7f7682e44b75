"""The state U = alpha x0 + sigma eps and its conversions, one line each.

Coefficients are numbers or tensors that broadcast to the state: expand a (B,) tensor with `expand_like` first.
"""

import math

import torch
from torch import Tensor

from tts.diffusion.schedule import Schedule

Scalar = float | Tensor


def expand_like(t: Tensor, x: Tensor) -> Tensor:
    """A per-sample tensor t (B,) with trailing axes of length 1, so that it broadcasts over every axis of x but the first."""
    return t.reshape(t.shape + (1,) * (x.ndim - t.ndim)) if t.ndim else t


def add_noise(x0: Tensor, eps: Tensor, alpha: Scalar, sigma: Scalar) -> Tensor:
    """The state: U = alpha x0 + sigma eps."""
    return alpha * x0 + sigma * eps


def x0_from_eps(u: Tensor, eps: Tensor, alpha: Scalar, sigma: Scalar) -> Tensor:
    """The data: x0 = (U - sigma eps) / alpha."""
    return (u - sigma * eps) / alpha


def eps_from_x0(u: Tensor, x0: Tensor, alpha: Scalar, sigma: Scalar) -> Tensor:
    """The noise: eps = (U - alpha x0) / sigma, for t > 0."""
    return (u - alpha * x0) / sigma


def score_from_eps(eps: Tensor, sigma: Scalar) -> Tensor:
    """The score: grad log p(U) = -eps / sigma, for t > 0."""
    return -eps / sigma


def eps_from_score(score: Tensor, sigma: Scalar) -> Tensor:
    """The noise: eps = -sigma grad log p(U)."""
    return -sigma * score


def v_from(x0: Tensor, eps: Tensor, alpha: Scalar, sigma: Scalar) -> Tensor:
    """The velocity: v = alpha eps - sigma x0."""
    return alpha * eps - sigma * x0


def x0_from_v(u: Tensor, v: Tensor, alpha: Scalar, sigma: Scalar) -> Tensor:
    """The data: x0 = alpha U - sigma v."""
    return alpha * u - sigma * v


def eps_from_v(u: Tensor, v: Tensor, alpha: Scalar, sigma: Scalar) -> Tensor:
    """The noise: eps = sigma U + alpha v."""
    return sigma * u + alpha * v


def initial_state(
    schedule: Schedule,
    t: Scalar,
    noise: Tensor,
    mean: Scalar = 0.0,
    data_std: Scalar = 0.0,
    temperature: float = 1.0,
) -> Tensor:
    """A draw of the state at time t when the data are N(mean, data_std^2).

        U_t = alpha mean + temperature sqrt(alpha^2 data_std^2 + sigma^2) noise

    Args:
        schedule: gives alpha and sigma.
        t: time in [0, 1], a number or (B,).
        noise: standard normal, the shape of the state.
        mean: prior mean, broadcastable to noise.
        data_std: standard deviation of the data around the mean; 0 leaves the noise of the schedule only.
        temperature: scale of the noise, 0 or more.

    Raises:
        ValueError: if temperature is negative or not finite.
    """
    check_temperature(temperature)
    times = expand_like(torch.as_tensor(t, dtype=torch.float64, device="cpu"), noise)
    alpha, sigma = schedule.alpha(times).to(noise), schedule.sigma(times).to(noise)
    return alpha * mean + temperature * (alpha**2 * data_std**2 + sigma**2).sqrt() * noise


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """The tensor x with exact zeros wherever the mask is 0, even where x is not finite."""
    return x if mask is None else torch.where(mask.bool(), x, 0.0)


def check_temperature(temperature: float) -> None:
    """Raises ValueError unless temperature is a finite number, 0 or more."""
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature must be a finite number, 0 or more, found {temperature}.")


def asymmetric_gain(at: tuple[float, float], to: tuple[float, float]) -> float:
    """How much stronger an edit is in one DDIM step when the direction is left unedited: a number above 1.

        x0' = x0 + gain (edited - x0)   or   eps' = eps + gain (eps_edited - eps)   make the plain step the asymmetric one

        a_s x0' + sigma_s (U - a_t x0') / sigma_t = a_s edited + sigma_s eps ,   gain = a_s / (a_s - a_t sigma_s / sigma_t)

    Args:
        at: (alpha, sigma) at the step's start t.
        to: (alpha, sigma) at its end s; where fresh noise is injected, sigma is what `ddim_noise` says is kept.

    Source: Kwon et al. 2023, asymmetric reverse process.
    """
    (alpha_t, sigma_t), (alpha_s, sigma_s) = at, to
    return alpha_s / (alpha_s - alpha_t * sigma_s / sigma_t)


def asymmetric_edit(x0: Tensor, edited: Tensor, at: tuple[float, float], to: tuple[float, float]) -> Tensor:
    """The x0 whose plain DDIM step equals Asyrp's asymmetric one: `edited` as the prediction, the direction left unedited.

    Args:
        x0: unedited prediction.
        edited: edited prediction.
        at: see `asymmetric_gain`.
        to: see `asymmetric_gain`.
    """
    return x0 + asymmetric_gain(at, to) * (edited - x0)

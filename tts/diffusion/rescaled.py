"""Diffusions that do not preserve the variance, as schedules of the one state: the same process, divided by its own scale."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tts.diffusion.schedule import Schedule, vp_linear
from tts.diffusion.state import expand_like


class Rescaled(Schedule):
    """The schedule of U = X / scale(t), where X = a x0 + s eps is the published state and scale^2 = a^2 + s^2.

    alpha = a / scale and sigma = s / scale, so the noise, the log-SNR and x0 are those of the published process, and so is
    every sampler that is a function of them. Only `euler_maruyama` takes its steps in U.
    """

    @abstractmethod
    def scale(self, t: Tensor) -> Tensor:
        """X / U at times t of any shape; 1 at t = 0."""


@dataclass(frozen=True)
class VarianceExploding(Rescaled):
    """See `variance_exploding`."""

    sigma_min: float
    sigma_max: float

    @property
    def _rate(self) -> float:
        return 2 * math.log(self.sigma_max / self.sigma_min)

    def scale(self, t: Tensor) -> Tensor:
        """1 / alpha: the published state keeps the data as they are."""
        return 1 / self.alpha(t)

    def _log_alpha(self, t: Tensor) -> Tensor:
        # log alpha = -1/2 ln(1 + s^2),  s^2 = sigma_min^2 ((sigma_max / sigma_min)^(2 t) - 1)
        return -torch.log1p(self.sigma_min**2 * torch.expm1(self._rate * t)) / 2

    def _time_of_log_alpha(self, log_alpha: Tensor) -> Tensor:
        return torch.log1p(torch.expm1(-2 * log_alpha) / self.sigma_min**2) / self._rate

    def _beta(self, t: Tensor) -> Tensor:
        # beta = (d s^2 / dt) / (1 + s^2)
        return self.sigma_min**2 * self._rate * (self._rate * t + 2 * self._log_alpha(t)).exp()


@dataclass(frozen=True)
class SubVP(Rescaled):
    """See `sub_vp`."""

    vp: Schedule

    def scale(self, t: Tensor) -> Tensor:
        """a / alpha, below 1 in the middle of the path and near 1 at both ends."""
        return self.vp.alpha(t) / self.alpha(t)

    def _log_alpha(self, t: Tensor) -> Tensor:
        # log alpha = -1/2 ln(1 + s^2 / a^2),  s = 1 - a^2
        log_a2 = 2 * self.vp._log_alpha(t)
        return -torch.log1p(torch.expm1(log_a2) ** 2 * (-log_a2).exp()) / 2

    def _time_of_log_alpha(self, log_alpha: Tensor) -> Tensor:
        # A = alpha^2 gives A q^2 - (A + 1) q + A = 0 for q = a^2;  1 - q in a form without cancellation
        noise = -torch.expm1(2 * log_alpha)
        root = (noise * (4 - 3 * noise)).sqrt()
        return self.vp._time_of_log_alpha(torch.log1p(-(noise + root) / (2 - noise + root)) / 2)

    def _beta(self, t: Tensor) -> Tensor:
        # with q = a^2: beta is that of the VP process times (1 - q^2) / (q + (1 - q)^2)
        q = (2 * self.vp._log_alpha(t)).exp()
        return self.vp._beta(t) * (1 - q**2) / (1 - q + q**2)


def variance_exploding(sigma_min: float = 0.01, sigma_max: float = 50.0) -> Rescaled:
    """X = x0 + s(t) eps with s^2 = sigma_min^2 ((sigma_max / sigma_min)^(2 t) - 1), as a schedule of X / sqrt(1 + s^2).

    The published code leaves out the -1, by which its s(0) is sigma_min; here t = 0 is the data.

    Args:
        sigma_min: above 0.
        sigma_max: above sigma_min; 50 for CIFAR-10, 348 for CelebA-HQ.

    Raises:
        ValueError: if 0 < sigma_min < sigma_max < inf does not hold.

    Source: Song et al. 2021, VE-SDE and its perturbation kernel.
    """
    if not 0 < sigma_min < sigma_max < math.inf:
        raise ValueError(f"variance_exploding needs 0 < sigma_min < sigma_max, found {sigma_min} and {sigma_max}.")
    return VarianceExploding(float(sigma_min), float(sigma_max))


def sub_vp(beta_min: float = 0.1, beta_max: float = 20.0) -> Rescaled:
    """X = a x0 + (1 - a^2) eps with the a of `vp_linear`, as a schedule of X / sqrt(a^2 + (1 - a^2)^2).

    Raises:
        ValueError: if 0 < beta_min <= beta_max < inf does not hold.

    Source: Song et al. 2021, sub-VP SDE.
    """
    return SubVP(vp_linear(beta_min, beta_max))


def from_published(network: Callable[[Tensor, Tensor], Tensor], schedule: Rescaled) -> Callable[[Tensor, Tensor], Tensor]:
    """The denoiser (U, t (B,)) -> eps_hat of a network that was trained on the published state: network(scale(t) U, t)."""

    def denoiser(u: Tensor, t: Tensor) -> Tensor:
        return network(expand_like(schedule.scale(t), u).to(u.dtype) * u, t)

    return denoiser

"""What a network's output means: the noise, the velocity, or the residual over the exact Gaussian denoiser."""

import math
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from tts.diffusion.schedule import Schedule
from tts.diffusion.state import Scalar, eps_from_v, v_from, x0_from_eps, x0_from_v


class ParametrizationKind(str, Enum):
    """What the summed networks predict, as a configuration names it; see `Parametrization`."""

    eps = "eps"
    v = "v"
    preconditioned = "preconditioned"


KINDS = tuple(kind.value for kind in ParametrizationKind)
LEAST_SIGNAL = 0.006  # alpha(1) of the linear schedules is .0066


@dataclass(frozen=True, eq=False)
class Parametrization:
    """The map between a network's output F and the noise and data it stands for.

        eps              eps = F
        v                eps = sigma U + alpha F                               F* = alpha eps - sigma x0
        preconditioned   eps = sigma V / q^2 - (alpha s / q) F                 F* = (sigma (x0 - mean) / s - alpha s eps) / q
                         x0  = mean + (alpha s^2 / q^2) V + (s sigma / q) F    V = U - alpha mean,  q^2 = alpha^2 s^2 + sigma^2

    `preconditioned` starts from the exact denoiser of N(mean, s^2): F = 0 samples that Gaussian, and F* has unit
    variance at every t. Only it looks at `mean`. Tensors have the shape of the state, coefficients broadcast to it
    (`expand_like`).

    Args:
        kind: "eps", "v" or "preconditioned".
        data_std: s, the standard deviation of x0 - mean, above 0; a number or a tensor that broadcasts to the state.

    Raises:
        ValueError: if the kind is unknown or a data_std is not above 0.

    Source: Ho et al. 2020 (eps); Salimans and Ho 2022 (v); Karras et al. 2022, preconditioning, here in VP coordinates.
    """

    kind: str = "preconditioned"
    data_std: Scalar = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown parametrization {self.kind!r}. Known: {', '.join(KINDS)}.")
        std = torch.as_tensor(self.data_std)
        if not bool(((std > 0) & (std < math.inf)).all()):
            raise ValueError(f"data_std must be finite and above 0 everywhere, smallest found {std.min().item()}.")

    def eps(self, output: Tensor, u: Tensor, alpha: Scalar, sigma: Scalar, mean: Scalar = 0.0) -> Tensor:
        """The noise that `output` stands for at state u."""
        if self.kind == "eps":
            return output
        if self.kind == "v":
            return eps_from_v(u, output, alpha, sigma)
        s, q2 = self._spread(u, alpha, sigma)
        return sigma * (u - alpha * mean) / q2 - alpha * s / q2.sqrt() * output

    def x0(self, output: Tensor, u: Tensor, alpha: Scalar, sigma: Scalar, mean: Scalar = 0.0) -> Tensor:
        """The data that `output` stands for at state u."""
        if self.kind == "eps":
            return x0_from_eps(u, output, alpha, sigma)
        if self.kind == "v":
            return x0_from_v(u, output, alpha, sigma)
        s, q2 = self._spread(u, alpha, sigma)
        return mean + alpha * s**2 / q2 * (u - alpha * mean) + s * sigma / q2.sqrt() * output

    def target(self, x0: Tensor, eps: Tensor, alpha: Scalar, sigma: Scalar, mean: Scalar = 0.0) -> Tensor:
        """The output that stands exactly for (x0, eps): what the sum of the networks must learn."""
        if self.kind == "eps":
            return eps
        if self.kind == "v":
            return v_from(x0, eps, alpha, sigma)
        s, q2 = self._spread(x0, alpha, sigma)
        return (sigma * (x0 - mean) / s - alpha * s * eps) / q2.sqrt()

    def eps_gain(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """|d eps / d output|, by which an error of the output is an error of the noise; 1 for `eps`, alpha for `v`."""
        if self.kind == "eps":
            return torch.ones_like(alpha)
        if self.kind == "v":
            return alpha
        s, q2 = self._spread(alpha, alpha, sigma)
        return alpha * s / q2.sqrt()

    def first_time(self, schedule: Schedule) -> float:
        """Where sampling begins and inversion ends: 1, or for `eps` the largest t at which alpha is `LEAST_SIGNAL` at least.

        An error of the noise is an error of x0_hat by sigma / alpha, 10,000 times as large at the end of the cosine schedule,
        and the first step carries it on. Published samplers begin at .98 of it for 50 steps, where alpha is .03.
        """
        if self.kind != "eps":
            return 1.0
        least = torch.tensor(2 * math.log(LEAST_SIGNAL) - math.log1p(-(LEAST_SIGNAL**2)), dtype=torch.float64)
        return min(1.0, schedule.time_of_log_snr(least).item())

    def _spread(self, u: Tensor, alpha: Scalar, sigma: Scalar) -> tuple[Tensor, Tensor]:
        s = torch.as_tensor(self.data_std, dtype=u.dtype, device=u.device)
        return s, torch.as_tensor(alpha**2 * s**2 + sigma**2, dtype=u.dtype, device=u.device)

"""Variance-preserving schedules, alpha(t)^2 + sigma(t)^2 = 1, and the time grids of samplers; t = 0 is data, t = 1 noise."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_STEPS = 1000
COSINE_FLOOR = 1e-8  # alpha(1)^2 of `cosine`, whose published form reaches 0


class Schedule(ABC):
    """How much data, alpha(t), and how much noise, sigma(t), a state holds at time t in [0, 1].

    Every method takes a floating tensor t of any shape, computes in float64 and returns t's shape, dtype and device.
    A schedule is given by log alpha, its inverse, and beta(t) = -2 d log alpha / dt; the rest follows.
    """

    @abstractmethod
    def _log_alpha(self, t: Tensor) -> Tensor: ...

    @abstractmethod
    def _time_of_log_alpha(self, log_alpha: Tensor) -> Tensor: ...

    @abstractmethod
    def _beta(self, t: Tensor) -> Tensor: ...

    def alpha(self, t: Tensor) -> Tensor:
        """Scale of the data in U_t = alpha x0 + sigma eps; 1 at t = 0."""
        return _in_float64(lambda t: self._log_alpha(t).exp(), t)

    def sigma(self, t: Tensor) -> Tensor:
        """Scale of the noise, sqrt(1 - alpha^2), without cancellation near t = 0."""
        return _in_float64(lambda t: (-torch.expm1(2 * self._log_alpha(t))).sqrt(), t)

    def beta(self, t: Tensor) -> Tensor:
        """Noise rate of the forward SDE dU = -beta/2 U dt + sqrt(beta) dW."""
        return _in_float64(self._beta, t)

    def log_snr(self, t: Tensor) -> Tensor:
        """ln(alpha^2 / sigma^2), falling in t; +inf at t = 0."""
        return _in_float64(lambda t: 2 * self._log_alpha(t) - torch.log(-torch.expm1(2 * self._log_alpha(t))), t)

    def time_of_log_snr(self, log_snr: Tensor) -> Tensor:
        """The t at which `log_snr(t)` has the given value: alpha^2 = sigmoid(log_snr)."""
        return _in_float64(lambda v: self._time_of_log_alpha(-torch.nn.functional.softplus(-v) / 2), log_snr)


def _in_float64(function: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    wide = t.cpu().double() if t.device.type == "mps" else t.double()  # MPS has no float64
    return function(wide).to(t)


@dataclass(frozen=True)
class VPLinear(Schedule):
    """beta(t) = beta_min + (beta_max - beta_min) t; see `vp_linear`."""

    beta_min: float
    beta_max: float

    def _log_alpha(self, t: Tensor) -> Tensor:
        # log alpha = -1/2 int_0^t beta
        return -t / 2 * (self.beta_min + (self.beta_max - self.beta_min) * t / 2)

    def _time_of_log_alpha(self, log_alpha: Tensor) -> Tensor:
        # the root of slope/4 t^2 + beta_min/2 t + log_alpha = 0 in its form without cancellation
        slope = self.beta_max - self.beta_min
        return -4 * log_alpha / (self.beta_min + (self.beta_min**2 - 4 * slope * log_alpha).sqrt())

    def _beta(self, t: Tensor) -> Tensor:
        return self.beta_min + (self.beta_max - self.beta_min) * t


@dataclass(frozen=True)
class Cosine(Schedule):
    """alpha^2 = cos^2(angle(t)) / cos^2(angle(0)), angle = pi/2 (t + s) / (1 + s); see `cosine`."""

    s: float

    def _angle(self, t: Tensor | float) -> Tensor:
        return torch.as_tensor((t + self.s) / (1 + self.s) * (math.pi / 2), dtype=torch.float64)

    def _log_alpha(self, t: Tensor) -> Tensor:
        # 1 - alpha^2 = (1 - floor) (sin^2 angle(t) - sin^2 angle(0)) / cos^2 angle(0), the difference as a product
        start, angle = self._angle(0.0), self._angle(t)
        noise = torch.sin(angle - start) * torch.sin(angle + start) / torch.cos(start) ** 2
        return torch.log1p(-(1 - COSINE_FLOOR) * noise) / 2

    def _time_of_log_alpha(self, log_alpha: Tensor) -> Tensor:
        start = self._angle(0.0)
        noise = -torch.expm1(2 * log_alpha) / (1 - COSINE_FLOOR)
        angle = torch.asin((torch.sin(start) ** 2 + noise * torch.cos(start) ** 2).clamp(0, 1).sqrt())
        return ((1 + self.s) * angle / (math.pi / 2) - self.s).clamp(0, 1)

    def _beta(self, t: Tensor) -> Tensor:
        start, angle = self._angle(0.0), self._angle(t)
        rate = (1 - COSINE_FLOOR) * torch.sin(2 * angle) / torch.cos(start) ** 2 * (math.pi / 2) / (1 + self.s)
        return rate * torch.exp(-2 * self._log_alpha(t))


@dataclass(frozen=True, eq=False)
class Discrete(Schedule):
    """log alpha(i / N)^2 = sum of ln(1 - beta) over the first i betas, linear in between; see `from_betas`."""

    log_alpha_bar: Tensor  # (N + 1,) float64, from 0 down

    def _segment(self, t: Tensor) -> Tensor:
        last = len(self.log_alpha_bar) - 2
        return (t * (last + 1)).ceil().long().sub(1).clamp(0, last)

    def _slope(self, segment: Tensor) -> Tensor:
        return self.log_alpha_bar.diff().to(segment.device)[segment] * (len(self.log_alpha_bar) - 1)

    def _log_alpha(self, t: Tensor) -> Tensor:
        n, i = len(self.log_alpha_bar) - 1, self._segment(t)
        grid = self.log_alpha_bar.to(t.device)
        return torch.lerp(grid[i], grid[i + 1], t * n - i) / 2

    def _time_of_log_alpha(self, log_alpha: Tensor) -> Tensor:
        n, grid = len(self.log_alpha_bar) - 1, self.log_alpha_bar.to(log_alpha.device)
        i = torch.searchsorted(-grid, -2 * log_alpha.contiguous()).sub(1).clamp(0, n - 1)
        return i / n + (2 * log_alpha - grid[i]) / self._slope(i)

    def _beta(self, t: Tensor) -> Tensor:
        return -self._slope(self._segment(t))


def vp_linear(beta_min: float = 0.05, beta_max: float = 20.0) -> Schedule:
    """The linear variance-preserving schedule: alpha = exp(-(beta_min t + (beta_max - beta_min) t^2 / 2) / 2).

    Args:
        beta_min: noise rate at t = 0, above 0. DDDM-VC, DiffVC and Grad-TTS use 0.05, score_sde uses 0.1.
        beta_max: noise rate at t = 1, at least beta_min.

    Raises:
        ValueError: if 0 < beta_min <= beta_max < inf does not hold.

    Source: Song et al. 2021, VP-SDE.
    """
    if not 0 < beta_min <= beta_max < math.inf:
        raise ValueError(f"vp_linear needs 0 < beta_min <= beta_max, found {beta_min} and {beta_max}.")
    return VPLinear(float(beta_min), float(beta_max))


def cosine(s: float = 0.008) -> Schedule:
    """The cosine schedule: alpha^2 = cos^2(pi/2 (t + s)/(1 + s)) / cos^2(pi/2 s/(1 + s)).

    The published form ends at alpha(1) = 0, where no x0 can be recovered; here alpha^2 is mixed with 1e-8 so that it ends
    there.

    Args:
        s: offset in (0, 1) that keeps beta above 0 near t = 0.

    Raises:
        ValueError: if s is outside (0, 1).

    Source: Nichol and Dhariwal 2021.
    """
    if not 0 < s < 1:
        raise ValueError(f"cosine needs s between 0 and 1, found {s}.")
    return Cosine(float(s))


def from_betas(betas: Tensor) -> Schedule:
    """The continuous schedule through a discrete DDPM grid: alpha(i/N)^2 = prod_{j<=i} (1 - beta_j), hit exactly.

    ln alpha^2 is linear between the points, so beta(t) is constant there. The model's index i = 0 … N-1 is t = (i + 1) / N.

    Args:
        betas: (N,) in (0, 1), e.g. `torch.linspace(1e-4, 0.02, 1000)`.

    Raises:
        ValueError: if betas is not a vector of values in (0, 1).

    Source: Ho et al. 2020.
    """
    if betas.ndim != 1 or len(betas) == 0 or not bool(((betas > 0) & (betas < 1)).all()):
        raise ValueError(f"from_betas needs a non-empty vector with every beta in (0, 1), found shape {tuple(betas.shape)}.")
    log_alpha_bar = torch.log1p(-betas.detach().cpu().double()).cumsum(0)
    return Discrete(torch.cat([log_alpha_bar.new_zeros(1), log_alpha_bar]))


def time_grid(schedule: Schedule, n_steps: int, kind: str = "uniform", start: float = 1.0, t_min: float = 1e-3) -> Tensor:
    """The n_steps + 1 times a sampler visits, from `start` down to exactly 0.

        uniform    t_i = start (1 - i/N)
        quadratic  t_i = start (1 - i/N)^2
        log_snr    log-SNR equidistant from t = start to t_min, then 0

    Args:
        schedule: gives the log-SNR; the other kinds do not look at it.
        n_steps: 1 … 1000.
        kind: "uniform", "quadratic" or "log_snr".
        start: first time, in (0, 1].
        t_min: last time before 0 of the log-SNR grid, in (0, start).

    Returns:
        (n_steps + 1,) float64 on the CPU, strictly falling.

    Raises:
        ValueError: naming the range of the argument that is outside it.
    """
    if isinstance(n_steps, bool) or not isinstance(n_steps, int) or not 1 <= n_steps <= MAX_STEPS:
        raise ValueError(f"n_steps must be a whole number from 1 to {MAX_STEPS}, found {n_steps!r}.")
    if not 0 < start <= 1:
        raise ValueError(f"start must be in (0, 1], found {start}.")
    falling = torch.linspace(1, 0, n_steps + 1, dtype=torch.float64)
    if kind == "uniform":
        return start * falling
    if kind == "quadratic":
        return start * falling**2
    if kind != "log_snr":
        raise ValueError(f"unknown time grid {kind!r}. Known grids: uniform, quadratic, log_snr.")
    if not 0 < t_min < start:
        raise ValueError(f"t_min must be in (0, start) = (0, {start}), found {t_min}.")
    first, last = schedule.log_snr(torch.tensor([start, t_min], dtype=torch.float64)).tolist()
    times = schedule.time_of_log_snr(torch.linspace(first, last, n_steps, dtype=torch.float64))
    return torch.cat([times.new_tensor([start]), times[1:], times.new_zeros(1)])

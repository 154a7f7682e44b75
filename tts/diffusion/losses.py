"""The denoising loss, its weightings, and where in time it is measured."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tts.diffusion.composite import Composite
from tts.diffusion.schedule import Schedule
from tts.diffusion.state import add_noise, expand_like, masked

MIN_SNR_GAMMA = 5.0
PDAE_GAMMA = 0.1

# (alpha, sigma, gain = |d eps / d output|) -> weight of the squared error of the output
WEIGHTINGS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "unit": lambda alpha, sigma, gain: torch.ones_like(gain),  # |F* - F|^2
    "eps": lambda alpha, sigma, gain: gain**2,  # |eps - eps_hat|^2
    "v": lambda alpha, sigma, gain: (gain / alpha) ** 2,  # |v - v_hat|^2 = |eps - eps_hat|^2 / alpha^2
    "x0": lambda alpha, sigma, gain: (gain * sigma / alpha) ** 2,  # |x0 - x0_hat|^2
    "min_snr": lambda alpha, sigma, gain: gain**2 * (MIN_SNR_GAMMA * (sigma / alpha) ** 2).clamp(max=1),  # Hang et al. 2023
    "pdae": lambda alpha, sigma, gain: gain**2 * sigma ** (2 - 2 * PDAE_GAMMA) * alpha ** (2 * PDAE_GAMMA),  # Zhang et al. 2022
}


def denoising_loss(
    composite: Composite, x0: Tensor, t: Tensor, eps: Tensor, mask: Tensor | None = None, weighting: str = "unit"
) -> Tensor:
    """The denoising error of every sample: the mean over its real elements of w(t) |F*(x0, eps) - F(U, t)|^2.

    With `eps` networks and unit weight this is Ho et al.'s simple loss, and DDDM-VC's diffusion loss.

    Args:
        composite: the denoiser in training; a base gets no gradient.
        x0: data, (B, ...).
        t: time in (0, 1], (B,).
        eps: standard normal, the shape of x0.
        mask: 1 where the data are real, broadcastable to x0; the rest is 0 in the state and does not count.
        weighting: "unit", or in units of "eps", "v", "x0", or "min_snr", "pdae".

    Returns:
        (B,) losses; a sample without real elements gives 0.

    Raises:
        ValueError: if the weighting is unknown.

    Source: Ho et al. 2020, eq. 14.
    """
    if weighting not in WEIGHTINGS:
        raise ValueError(f"unknown weighting {weighting!r}. Known weightings: {', '.join(WEIGHTINGS)}.")
    keep = torch.ones_like(x0) if mask is None else mask.to(x0.dtype).expand_as(x0)
    x0, eps = masked(x0, mask), masked(eps, mask)
    alpha, sigma = (expand_like(c(t), x0).to(x0.dtype) for c in (composite.schedule.alpha, composite.schedule.sigma))
    # U = alpha x0 + sigma eps
    u = add_noise(x0, eps, alpha, sigma)
    # w(t) |F* - F|^2
    error = composite.target(x0, eps, u, t) - composite.output(u, t)
    weight = WEIGHTINGS[weighting](alpha, sigma, composite.parametrization.eps_gain(alpha, sigma))
    # mean over the real elements
    return (keep * weight * error**2).flatten(1).sum(1) / keep.flatten(1).sum(1).clamp(min=1)


class TimeSampler:
    """Where in time a batch is measured: stratified draws from a density p(t) on [t_min, t_max].

        uniform   p is flat in t
        log_snr   p is flat in the log-SNR l
        angle     p is flat in the angle phi = atan(sigma / alpha): half the draws at more signal than noise
        gap       p(l) is constant in each of `n_bins` equal log-SNR bins and follows the running mean loss there, mixed with
                  a tenth of the flat density so that no bin is forgotten; flat until every bin was seen

    Args:
        schedule: gives the log-SNR.
        kind: "uniform", "log_snr", "angle" or "gap".
        t_min: smallest time, in (0, t_max).
        t_max: largest time, at most 1.
        n_bins: bins of `gap`.
        decay: of the running mean of `gap`, per loss seen, in [0, 1).

    Raises:
        ValueError: for an unknown kind or a value outside its range.
    """

    KINDS = ("uniform", "log_snr", "angle", "gap")
    FLAT_SHARE = 0.1

    def __init__(
        self,
        schedule: Schedule,
        kind: str = "log_snr",
        t_min: float = 1e-3,
        t_max: float = 1.0,
        n_bins: int = 32,
        decay: float = 0.99,
    ) -> None:
        if kind not in self.KINDS:
            raise ValueError(f"unknown time sampler {kind!r}. Known: {', '.join(self.KINDS)}.")
        if not 0 < t_min < t_max <= 1:
            raise ValueError(f"need 0 < t_min < t_max <= 1, found {t_min} and {t_max}.")
        if n_bins < 1 or not 0 <= decay < 1:
            raise ValueError(f"need n_bins >= 1 and decay in [0, 1), found {n_bins} and {decay}.")
        self.schedule, self.kind, self.t_min, self.t_max, self.decay = schedule, kind, t_min, t_max, decay
        ends = schedule.log_snr(torch.tensor([t_max, t_min], dtype=torch.float64))
        self.edges = torch.linspace(ends[0].item(), ends[1].item(), n_bins + 1, dtype=torch.float64)
        self.mean_loss = torch.full((n_bins,), torch.nan, dtype=torch.float64)  # NaN: not seen yet

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Times, one in each n-th of the probability mass, in random order, and their importance weights.

        The weight is 1 / ((t_max - t_min) p(t)): multiplied onto the losses it makes their mean an estimate of the
        flat-in-t loss; left out, p(t) itself is the emphasis.

        Returns:
            t (n,) float32 and weight (n,) float32, on the CPU.
        """
        offsets = torch.rand(n, dtype=torch.float64, generator=generator)
        order = torch.randperm(n, generator=generator)
        quantile = (order + offsets) / n
        if self.kind == "uniform":
            return (self.t_min + (self.t_max - self.t_min) * quantile).float(), torch.ones(n)
        if self.kind == "angle":
            return self._flat_in_angle(quantile)
        mass = self._bin_mass()
        cumulative = torch.cat([mass.new_zeros(1), mass.cumsum(0)])
        i = torch.searchsorted(cumulative, quantile, right=True).sub(1).clamp(0, len(mass) - 1)
        width = self.edges[1] - self.edges[0]
        t = self.schedule.time_of_log_snr(self.edges[i] + width * (quantile - cumulative[i]) / mass[i])
        # p(t) = p(l) |dl/dt|,  dl/dt = -beta / sigma^2
        density = mass[i] / width * self.schedule.beta(t) / self.schedule.sigma(t) ** 2
        return t.clamp(self.t_min, self.t_max).float(), (1 / ((self.t_max - self.t_min) * density)).float()

    def _flat_in_angle(self, quantile: Tensor) -> tuple[Tensor, Tensor]:
        # tan phi = sigma / alpha = e^(-l / 2),  dphi/dt = alpha beta / (2 sigma)
        last, first = torch.exp(-self.edges[[0, -1]] / 2).atan()
        phi = first + (last - first) * quantile
        t = self.schedule.time_of_log_snr(-2 * phi.tan().log())
        density = self.schedule.alpha(t) * self.schedule.beta(t) / (2 * self.schedule.sigma(t)) / (last - first)
        return t.clamp(self.t_min, self.t_max).float(), (1 / ((self.t_max - self.t_min) * density)).float()

    def update(self, t: Tensor, losses: Tensor) -> None:
        """Lets `gap` learn from the (n,) losses, or any other measure of what is missing, found at the (n,) times t."""
        log_snr = self.schedule.log_snr(t.detach().cpu().double())
        bins = torch.bucketize(log_snr, self.edges[1:-1])
        for i, loss in zip(bins.tolist(), losses.detach().cpu().double().tolist(), strict=True):
            seen = self.mean_loss[i]
            self.mean_loss[i] = loss if seen.isnan() else self.decay * seen + (1 - self.decay) * loss

    def state_dict(self) -> dict[str, Any]:
        """What `gap` has learned, for an exact resume."""
        return {"mean_loss": self.mean_loss.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up the state of a sampler with the same number of bins.

        Raises:
            ValueError: if the number of bins differs.
        """
        if state["mean_loss"].shape != self.mean_loss.shape:
            raise ValueError(f"time sampler has {len(self.mean_loss)} bins, the saved one {len(state['mean_loss'])}.")
        self.mean_loss = state["mean_loss"].clone()

    def _bin_mass(self) -> Tensor:
        flat = torch.full_like(self.mean_loss, 1 / len(self.mean_loss))
        if self.kind == "log_snr" or bool(self.mean_loss.isnan().any()) or self.mean_loss.sum() <= 0:
            return flat
        return self.FLAT_SHARE * flat + (1 - self.FLAT_SHARE) * self.mean_loss / self.mean_loss.sum()

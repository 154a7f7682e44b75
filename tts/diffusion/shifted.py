"""A schedule with its log-SNR shifted: the same path through more noise, or less, at every time."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tts.diffusion.schedule import Schedule


@dataclass(frozen=True)
class Shifted(Schedule):
    """sigma / alpha of `schedule` times k; see `shifted`."""

    schedule: Schedule
    k: float

    def _log_alpha(self, t: Tensor) -> Tensor:
        # alpha^2 = sigmoid(log_snr - 2 ln k)
        return _log_alpha_of(self.schedule.log_snr(t) - 2 * math.log(self.k))

    def _time_of_log_alpha(self, log_alpha: Tensor) -> Tensor:
        log_snr = 2 * log_alpha - torch.log(-torch.expm1(2 * log_alpha))
        return self.schedule.time_of_log_snr(log_snr + 2 * math.log(self.k))

    def _beta(self, t: Tensor) -> Tensor:
        # beta = k^2 beta_0 / (alpha_0^2 + k^2 sigma_0^2), since d log_snr / dt = -beta / sigma^2 is left as it was
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        return self.k**2 * self.schedule.beta(t) / (alpha**2 + (self.k * sigma) ** 2)


def _log_alpha_of(log_snr: Tensor) -> Tensor:
    """ln alpha = -ln(1 + exp(-log_snr)) / 2, to the last digit at both ends."""
    return -torch.logaddexp(torch.zeros_like(log_snr), -log_snr) / 2


def shifted(schedule: Schedule, k: float) -> Schedule:
    """The schedule with log-SNR lower by 2 ln k: sigma / alpha is multiplied by k at every time.

        tan(phi) = k tan(phi_0) ,   alpha = cos(phi) ,   sigma = sin(phi)

    The more pixels say the same, the more noise it takes to hide it; k = 4 puts the times at which a code matters on flat
    synthetic images into the middle. k = 1 changes nothing, k < 1 means less noise.

    Args:
        schedule: any schedule, which may be shifted itself.
        k: above 0.

    Raises:
        ValueError: if 0 < k < inf does not hold.

    Source: Hoogeboom et al. 2023 (simple diffusion), where k is the ratio of the image sizes.
    """
    if not 0 < k < math.inf:
        raise ValueError(f"shifted needs k above 0, found {k}.")
    return Shifted(schedule, float(k))

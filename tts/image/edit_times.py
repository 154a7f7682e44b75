"""When to edit and when to boost: from how far predictions and states are from their image along its inversion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.diffusion import Schedule, invert, x0_from_eps
from tts.diffusion.samplers import Denoiser, times_like
from tts.errors import ConfigError

Distance = Callable[[Tensor, Tensor], Tensor]  # states (B, ...) and (B, ...) -> (B,), 0 or more; e.g. LPIPS of the pixels

EDIT_SHARE = 0.28  # of the largest distance of a prediction: .33 of 1.167, LPIPS on CelebA-HQ
BOOST_SHARE = 0.86  # of the largest distance of a state: 1.2 of 1.388


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Mean distances to the image along its DDIM inversion, one for each time.

    times: strictly rising in (0, 1].
    predicted: a(t), of x0_hat at t.
    state: b(t), of the state at t itself.
    """

    times: tuple[float, ...]
    predicted: tuple[float, ...]
    state: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.times), len(self.predicted), len(self.state)}
        if len(lengths) != 1 or not self.times:
            raise ConfigError(f"profile: need as many times as distances, found {sorted(lengths)}.")
        if not all(a < b for a, b in zip((0.0, *self.times), self.times, strict=False)) or self.times[-1] > 1:
            raise ConfigError("profile.times: expected strictly rising values in (0, 1].")
        if not all(0 <= value < np.inf for value in (*self.predicted, *self.state)):
            raise ConfigError("profile: expected finite distances, 0 or more.")

    def t_edit(self, cosine: float = 1.0, *, share: float = EDIT_SHARE, threshold: float | None = None) -> float:
        """Where the edit may end: the smallest t with a(t) >= cosine threshold, a made to rise first.

        Args:
            cosine: of the descriptions of source and target; a bigger change has a smaller one and a longer edit.
            share: the threshold in units of the largest a.
            threshold: in the distance's own units instead; the paper's is 0.33 for LPIPS.

        Raises:
            ValueError: if cosine or share is outside (0, 1], or the threshold not above 0 or never reached.

        Source: Kwon et al. 2023 (Asyrp), section 4.1; the share is ours.
        """
        if not 0 < cosine <= 1:
            raise ValueError(f"cosine must be in (0, 1], found {cosine}.")
        return self._first(self.predicted, share, threshold, cosine)

    def t_boost(self, *, share: float = BOOST_SHARE, threshold: float | None = None) -> float:
        """Below which fresh noise mends quality without changing content: the smallest t with b(t) >= threshold.

        Args:
            share: the threshold in units of the largest b.
            threshold: in the distance's own units instead; the paper's is 1.2 for LPIPS.

        Raises:
            ValueError: if the share is outside (0, 1], or the threshold not above 0 or never reached.

        Source: Kwon et al. 2023 (Asyrp), section 4.2; the share is ours.
        """
        return self._first(self.state, share, threshold, 1.0)

    def _first(self, distances: Sequence[float], share: float, threshold: float | None, factor: float) -> float:
        rising = rising_fit(np.array(distances))
        if not 0 < share <= 1:
            raise ValueError(f"share must be in (0, 1], found {share}.")
        wanted = factor * (share * float(rising[-1]) if threshold is None else threshold)
        if not 0 < wanted <= rising[-1]:
            raise ValueError(f"the threshold {wanted:.4g} is not in (0, {rising[-1]:.4g}], the distances of this profile.")
        return self.times[int(np.argmax(rising >= wanted))]


def rising_fit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The non-falling sequence (n,) with the least squared distance from values (n,): pools of neighbours that fall.

    Source: Ayer et al. 1955 (pool adjacent violators).
    """
    pools: list[tuple[float, int]] = []
    for value in values.tolist():
        mean, count = value, 1
        while pools and pools[-1][0] >= mean:
            before, size = pools.pop()
            mean, count = (before * size + mean * count) / (size + count), size + count
        pools.append((mean, count))
    return np.repeat([mean for mean, _ in pools], [count for _, count in pools])


@torch.no_grad()
def measure_profile(denoiser: Denoiser, x0: Tensor, schedule: Schedule, times: Tensor, distance: Distance) -> Profile:
    """The profile of data x0 (B, ...): the mean over them at every time of the grid but 0.

    Args:
        denoiser: (U, t (B,)) -> eps_hat.
        x0: real data; a hundred are plenty.
        schedule: of the denoiser.
        times: (n + 1,) strictly falling to 0; the paper has a thousand steps, fifty do.
        distance: between states and x0; of latents let it decode them first.

    Raises:
        ValueError: if times do not fall.
    """
    seen: list[tuple[float, float, float]] = []

    def watched(u: Tensor, t: Tensor) -> Tensor:
        eps = denoiser(u, t)
        alpha, sigma = schedule.alpha(t[:1].double()).item(), schedule.sigma(t[:1].double()).item()
        predicted = x0_from_eps(u, eps, alpha, sigma)
        seen.append((t[0].item(), distance(predicted, x0).mean().item(), distance(u, x0).mean().item()))
        return eps

    u = invert(watched, x0, schedule, times)
    watched(u, times_like(u, times[0].item()))
    # the first was asked at x0 itself, which is no state of that time
    at, predicted, state = zip(*seen[1:], strict=True)
    return Profile(times=at, predicted=predicted, state=state)


def rms_distance(a: Tensor, b: Tensor) -> Tensor:
    """Root mean square of a - b of every sample, (B,): the distance where no features are at hand."""
    return (a - b).flatten(1).square().mean(dim=1).sqrt()

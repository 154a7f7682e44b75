"""A denoiser guided by log-probabilities, in every sampler: one term over a base."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tts.diffusion import Composite, Parametrization, Schedule, Term, expand_like, x0_from_eps
from tts.diffusion.composite import log_prob_gradients
from tts.diffusion.samplers import Denoiser
from tts.image.frozen_path import Once
from tts.image.guidance.rules import LogProbs, Moment, Rule

Weight = float | Callable[[Tensor], Tensor]
ALWAYS = (0.0, 1.0)


def guided(
    base: Denoiser,
    schedule: Schedule,
    log_probs: LogProbs,
    weights: Sequence[Weight],
    *,
    intervals: Sequence[tuple[float, float]] | None = None,
    rules: Sequence[Rule] = (),
) -> Composite:
    """The denoiser of p(x) prod_k p(y_k | x_t)^w_k.

        eps_hat = eps_base - sigma sum_k g_k ,   (g_k) = rules( w_k(t) grad_x ln p_t(y_k | x) )

    The plain sum is exact only if the attributes are independent given x_t, which independence given x0 does not imply. The
    same eps_hat enters x0_hat and the direction of a step, so every sampler takes it; `asymmetric` guides x0_hat alone.

    Args:
        base: eps_hat without guidance.
        schedule: gives sigma.
        log_probs: (x, t (B,)) -> (K, B), differentiable in x: `NoisyClassifier.log_probs`, `through_x0`, or any.
        weights: w_k, a number each, below 0 to push away, or a function of t (B,), e.g. `mean_form`.
        intervals: (t_low, t_high] in which each is active; None is always. Where none is, the classifier is not asked.
        rules: applied in order to the weighted gradients before they are summed: see `tts.image.guidance.rules`.

    Raises:
        ValueError: if a weight is not finite, an interval is empty or outside [0, 1], or their numbers differ.

    Source: Song et al. 2021; Dhariwal and Nichol 2021, the form for DDIM.
    """
    spans = [ALWAYS] * len(weights) if intervals is None else list(intervals)
    _check(weights, spans)
    shared = Once(base, trained=False)

    def active(t: Tensor) -> Tensor:
        return torch.stack([(t > low) & (t <= high) for low, high in spans]).to(t.dtype)  # (K, B)

    def network(x: Tensor, t: Tensor) -> Tensor:
        w = active(t) * torch.stack([w(t) if callable(w) else torch.full_like(t, w) for w in weights])
        g = log_prob_gradients(log_probs, x, t)
        if len(g) != len(weights):
            raise ValueError(f"found {len(weights)} weights for {len(g)} log-probabilities.")
        g = w.to(x.dtype).reshape(*w.shape, *(1,) * (x.ndim - 1)) * g
        sigma = expand_like(schedule.sigma(t), x).to(x.dtype)
        if rules:
            moment = Moment(x, t, shared(x, t), sigma)
            for rule in rules:
                g = rule(g, moment)
        return -sigma * g.sum(0)

    term = Term(network, weight=lambda t: active(t).amax(0))
    return Composite(schedule, [term] if len(weights) else [], Parametrization("eps"), base=shared)


def through_x0(log_probs: Callable[[Tensor], Tensor], denoiser: Denoiser, schedule: Schedule) -> LogProbs:
    """Log-probabilities of noisy images from those of clean ones: ln p(y | x0_hat(x_t)).

    The gradient goes back through the denoiser, which costs about three more passes a step. It takes x0_hat for x0, so it is
    no exact posterior but at small t.

    Args:
        log_probs: clean images (B, C, H, W) -> (K, B).
        denoiser: eps_hat, differentiable; usually the base.
        schedule: gives alpha and sigma.

    Source: as in Chung et al. 2023 (DPS); Bansal et al. 2023.
    """

    def noisy(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = (expand_like(c(t), x).to(x.dtype) for c in (schedule.alpha, schedule.sigma))
        return log_probs(x0_from_eps(x, denoiser(x, t), alpha, sigma))

    return noisy


def mean_form(times: Tensor, schedule: Schedule, weight: float = 1.0) -> Callable[[Tensor], Tensor]:
    """The weight w(t) by which an `ancestral` step from t to s of this grid moves its mean by weight Sigma grad ln p(y | x_t).

        Sigma = sigma_s^2 sigma_ts^2 / sigma_t^2  gives  w(t) = weight (sigma_s^2 / alpha_s) / (sigma_t^2 / alpha_t)

    Both forms agree as the steps shrink. The last step to t = 0 has no variance, so no guidance.

    Source: Dhariwal and Nichol 2021, algorithm 1.
    """
    grid = times.detach().cpu().double()
    spread = schedule.sigma(grid) ** 2 / schedule.alpha(grid)
    ratio = spread[1:] / spread[:-1]

    def at(t: Tensor) -> Tensor:
        nearest = (grid[:-1] - t.detach().cpu().double()[:, None]).abs().argmin(1)
        return weight * ratio[nearest].to(t)

    return at


def _check(weights: Sequence[Weight], spans: Sequence[tuple[float, float]]) -> None:
    if len(spans) != len(weights):
        raise ValueError(f"found {len(spans)} intervals for {len(weights)} weights.")
    for weight in weights:
        if not callable(weight) and not math.isfinite(weight):
            raise ValueError(f"weights must be finite, found {weight}.")
    for low, high in spans:
        if not 0 <= low < high <= 1:
            raise ValueError(f"an interval of time must be (low, high) with 0 <= low < high <= 1, found {(low, high)}.")

"""Samplers of the one state: each is a loop over a grid of times, its equation above the line that computes it.

All speak of x0_hat = (U - sigma_t eps_hat) / alpha_t; a = alpha; a step goes from t to s < t. Coefficients are
float64 numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from tts.diffusion.schedule import Schedule
from tts.diffusion.state import check_temperature, eps_from_x0, masked, x0_from_eps

Denoiser = Callable[[Tensor, Tensor], Tensor]
Noise = Callable[[Tensor], Tensor]
Hook = Callable[[int, float, Tensor], Tensor | None]


@dataclass(frozen=True)
class Point:
    """The schedule at one time of the grid."""

    t: float
    alpha: float
    sigma: float
    beta: float
    half_log_snr: float  # ln(alpha / sigma)


@dataclass(frozen=True, eq=False)
class Run:
    """One sampling run: the grid, and what a sampler may ask of the model and of chance."""

    points: list[Point]
    denoiser: Denoiser
    noise: Noise
    temperature: float
    mask: Tensor | None
    hook: Hook | None
    eta: float

    @property
    def steps(self) -> list[tuple[int, Point, Point]]:
        """(i, start, end) of every step."""
        return [(i, t, s) for i, (t, s) in enumerate(pairwise(self.points))]

    def x0(self, i: int, u: Tensor, point: Point) -> Tensor:
        """x0_hat at a state of step i, masked, after the hook."""
        x0 = x0_from_eps(u, self.denoiser(u, times_like(u, point.t)), point.alpha, point.sigma)
        x0 = masked(x0, self.mask)
        replaced = self.hook(i, point.t, x0) if self.hook else None
        return x0 if replaced is None else masked(replaced, self.mask)

    def draw(self, u: Tensor) -> Tensor:
        """Injected noise: standard normal times the temperature, masked."""
        return masked(self.temperature * self.noise(u), self.mask)


def ancestral(run: Run, u: Tensor) -> Tensor:
    """Draws from the exact posterior q(U_s | U_t, x0_hat): DDPM with the small variance, DiffVC's maximum-likelihood sampler.

    Source: Ho et al. 2020, eq. 6-7; Popov et al. 2022 (DiffVC), whose kappa, omega, sigma are this step.
    """
    for i, t, s in run.steps:
        x0 = run.x0(i, u, t)
        ratio, step_variance = _step(t, s)
        # U_s = (a_ts sigma_s^2 / sigma_t^2) U + (a_s sigma_ts^2 / sigma_t^2) x0 + (sigma_s sigma_ts / sigma_t) xi
        u = ratio * (s.sigma / t.sigma) ** 2 * u + s.alpha * (step_variance / t.sigma**2) * x0
        if s.sigma > 0:
            u = u + s.sigma / t.sigma * step_variance**0.5 * run.draw(u)
    return u


def ddim(run: Run, u: Tensor) -> Tensor:
    """Keeps the noise and moves it to the next level: the exact PF-ODE for a constant eps_hat, first order.

    With eta above 0 a part of the noise is fresh; with eta = 1 the step is that of `ancestral`.

    Source: Song, Meng and Ermon 2021, eq. 12 and 16.
    """
    for i, t, s in run.steps:
        x0 = run.x0(i, u, t)
        kept, fresh = ddim_noise(t, s, run.eta)
        # U_s = a_s x0 + (kept / sigma_t) (U - a_t x0) + fresh xi
        u = s.alpha * x0 + kept / t.sigma * (u - t.alpha * x0)
        if fresh > 0:
            u = u + fresh * run.draw(u)
    return u


def ddim_noise(t: Point, s: Point, eta: float) -> tuple[float, float]:
    """The noise at the end s of a step of `ddim`: how much of it is that of its start t, and how much is fresh.

    fresh = eta (sigma_s / sigma_t) sigma_ts ,   kept = sqrt(sigma_s^2 - fresh^2)
    """
    _, step_variance = _step(t, s)
    # kept = sigma_s sqrt(1 - eta^2 sigma_ts^2 / sigma_t^2)
    kept = s.sigma * max(1 - eta**2 * step_variance / t.sigma**2, 0.0) ** 0.5
    return kept, eta * s.sigma / t.sigma * step_variance**0.5


def _step(t: Point, s: Point) -> tuple[float, float]:
    """a_ts = a_t / a_s and sigma_ts^2 of q(U_t | U_s)."""
    ratio = t.alpha / s.alpha
    # sigma_ts^2 = sigma_t^2 - a_ts^2 sigma_s^2 = 1 - a_ts^2
    return ratio, max(t.sigma**2 - (ratio * s.sigma) ** 2, 0.0)


def dpmpp_2m(run: Run, u: Tensor) -> Tensor:
    """The PF-ODE with x0_hat extrapolated linearly in half log-SNR from two steps: second order, one network call a step.

    The first step, and one that ends at t = 0, are of first order (DDIM).

    Source: Lu et al. 2022 (DPM-Solver++), algorithm 2.
    """
    previous, h_previous = u, 0.0
    for i, t, s in run.steps:
        x0 = run.x0(i, u, t)
        # h = lambda_s - lambda_t,  r = h_previous / h,  D = (1 + 1/2r) x0 - 1/2r x0_previous
        h = s.half_log_snr - t.half_log_snr
        second = i > 0 and s.sigma > 0
        estimate = x0 + h / (2 * h_previous) * (x0 - previous) if second else x0
        # U_s = (sigma_s / sigma_t) U + (a_s - a_t sigma_s / sigma_t) D
        ratio = s.sigma / t.sigma
        u = ratio * u + (s.alpha - t.alpha * ratio) * estimate
        previous, h_previous = x0, h
    return u


def heun(run: Run, u: Tensor) -> Tensor:
    """The PF-ODE d(U/a) = eps_hat d(sigma/a) by the trapezoidal rule: second order, two network calls a step.

    A step that ends at t = 0 is of first order (DDIM). The hook is asked at both ends of a step.

    Source: Karras et al. 2022 (EDM), algorithm 1, in VP coordinates.
    """
    for i, t, s in run.steps:
        x0 = run.x0(i, u, t)
        if s.sigma == 0:
            return x0
        eps = eps_from_x0(u, x0, t.alpha, t.sigma)
        # U_s = (a_s / a_t) U + (sigma_s - a_s sigma_t / a_t) eps
        ratio = s.alpha / t.alpha
        span = s.sigma - ratio * t.sigma
        euler = ratio * u + span * eps
        eps_end = eps_from_x0(euler, run.x0(i, euler, s), s.alpha, s.sigma)
        u = ratio * u + span * (eps + eps_end) / 2
    return u


def euler_maruyama(run: Run, u: Tensor) -> Tensor:
    """The reverse SDE dU = (-beta/2 U - beta score) dt + sqrt(beta) dW by Euler steps in t; needs 30 steps or more.

    Source: Song et al. 2021; DiffVC's "em".
    """
    for i, t, s in run.steps:
        score = (t.alpha * run.x0(i, u, t) - u) / t.sigma**2
        # U_s = U + beta_t h (U / 2 + score) + sqrt(beta_t h) xi
        rate = t.beta * (t.t - s.t)
        u = u + rate * (u / 2 + score) + rate**0.5 * run.draw(u)
    return u


SAMPLERS: dict[str, Callable[[Run, Tensor], Tensor]] = {
    f.__name__: f for f in (ancestral, ddim, dpmpp_2m, heun, euler_maruyama)
}
STOCHASTIC = frozenset({"ancestral", "euler_maruyama"})


def sample(  # noqa: PLR0913
    denoiser: Denoiser,
    u: Tensor,
    schedule: Schedule,
    times: Tensor,
    *,
    sampler: str = "dpmpp_2m",
    noise: Noise | None = None,
    temperature: float = 1.0,
    mask: Tensor | None = None,
    hook: Hook | None = None,
    eta: float = 0.0,
) -> Tensor:
    """The state at times[-1], which is x0 when that is 0, reached from the state u at times[0].

    Args:
        denoiser: (U, t (B,)) -> eps_hat, the shape of U.
        u: state at times[0], (B, ...), from `initial_state`.
        schedule: gives alpha, sigma, beta.
        times: (n_steps + 1,) strictly falling in [0, 1], from `time_grid`.
        sampler: "ancestral", "ddim", "dpmpp_2m", "heun" or "euler_maruyama".
        noise: U -> standard normal of its shape, from a generator of yours; the stochastic samplers need it. `ancestral` and
            `ddim` call it with the mean of the step, once for every step that does not end at t = 0.
        temperature: scale of the injected noise, 0 or more (the initial noise is scaled in `initial_state`).
        mask: 1 where the sample is real, broadcastable to u; the rest stays exactly 0.
        hook: (i, t, x0_hat) -> None, or an x0_hat to go on with; eps_hat is then the one that fits it and the state.
        eta: share of `ancestral`'s noise that `ddim` injects, 0 to 1.

    Raises:
        ValueError: for an unknown sampler, times that do not fall, a negative temperature, a missing noise, an eta outside
            its range or with another sampler than `ddim`.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"unknown sampler {sampler!r}. Known samplers: {', '.join(SAMPLERS)}.")
    if not 0 <= eta <= 1 or (eta > 0 and sampler != "ddim"):
        raise ValueError(f"eta must be from 0 to 1, and 0 for samplers other than 'ddim', found {eta} with {sampler!r}.")
    if (sampler in STOCHASTIC or eta > 0) and noise is None:
        raise ValueError(f"sampler {sampler!r} with eta {eta:g} is stochastic: pass noise, a function of the state.")
    check_temperature(temperature)
    run = Run(grid_points(schedule, times), denoiser, noise or torch.zeros_like, temperature, mask, hook, eta)
    return SAMPLERS[sampler](run, masked(u, mask))


def invert(
    denoiser: Denoiser,
    x0: Tensor,
    schedule: Schedule,
    times: Tensor,
    fixed_point_iterations: int = 0,
    mask: Tensor | None = None,
) -> Tensor:
    """The state at times[0] from which `ddim` on the same times leads back to x0.

        U_t = (a_t / a_s) U_s + (sigma_t - a_t sigma_s / a_s) eps_hat,   eps_hat at (U_s, s) first, then at (U_t, t)

    Each fixed-point iteration brings U_t closer to the exact inverse; with none the error falls as 1 / n_steps. No denoiser
    knows t = 0, so the step from there asks at (x0, t).

    Raises:
        ValueError: if times do not fall or fixed_point_iterations is not a whole number from 0 on.

    Source: Song, Meng and Ermon 2021, sec. 4.3; fixed point as in Pan et al. 2023.
    """
    if isinstance(fixed_point_iterations, bool) or not isinstance(fixed_point_iterations, int) or fixed_point_iterations < 0:
        raise ValueError(f"fixed_point_iterations must be a whole number, 0 or more, found {fixed_point_iterations!r}.")
    u = masked(x0, mask)
    for s, t in pairwise(reversed(grid_points(schedule, times))):
        ratio = t.alpha / s.alpha
        carried, span = ratio * u, t.sigma - ratio * s.sigma
        u = carried + span * masked(denoiser(u, times_like(u, s.t if s.sigma > 0 else t.t)), mask)
        for _ in range(fixed_point_iterations):
            u = carried + span * masked(denoiser(u, times_like(u, t.t)), mask)
    return u


def times_like(u: Tensor, t: float) -> Tensor:
    """(B,) filled with t, in float32 or wider, on u's device."""
    return torch.full((len(u),), t, dtype=torch.promote_types(u.dtype, torch.float32), device=u.device)


def grid_points(schedule: Schedule, times: Tensor) -> list[Point]:
    """The schedule at every time of a grid.

    Raises:
        ValueError: if times are not at least two strictly falling values in [0, 1].
    """
    t = times.detach().cpu().double()
    if t.ndim != 1 or len(t) < 2 or not bool((t.diff() < 0).all()) or not 0 <= t[-1] < t[0] <= 1:
        raise ValueError(f"times must be at least two strictly falling values in [0, 1], found {t.tolist()[:8]}.")
    columns = (t, schedule.alpha(t), schedule.sigma(t), schedule.beta(t), schedule.log_snr(t) / 2)
    return [Point(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]

"""Sampling through subspaces: a sequence of `sample` calls over the parts of one grid, with an up-projection between them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from tts.diffusion import Schedule, initial_state, sample
from tts.diffusion.samplers import Denoiser, Noise, times_like
from tts.image.subspace.complement import Complement
from tts.image.subspace.projections import Projection

LevelHook = Callable[[int, float, Tensor], Tensor | None]


@dataclass(frozen=True, eq=False)
class Subspace:
    """A subspace in which alone the diffusion runs above a time.

    Args:
        projection: from the space this one lies in: the full one, or the subspace before.
        complement: what it leaves out there.
        time: t_k in (0, 1); at and below it the larger space is diffused.
        denoiser: (U, t (B,)) -> eps_hat of states of this subspace.

    Raises:
        ValueError: if time is outside (0, 1).
    """

    projection: Projection
    complement: Complement
    time: float
    denoiser: Denoiser

    def __post_init__(self) -> None:
        if not 0 < self.time < 1:
            raise ValueError(f"the switching time must be in (0, 1), found {self.time}.")

    def lift(self, y: Tensor, schedule: Schedule, noise: Noise, temperature: float = 1.0) -> Tensor:
        """The state y of the subspace at `time` in the larger space, its complement drawn from the marginal there.

        x = U y + (I - U U^T) (alpha mean + temperature sqrt(sigma^2 + alpha^2 s^2) noise)
        """
        x = self.projection.up(y)
        mean = 0.0 if self.complement.mean is None else self.complement.mean.to(x)
        draw = initial_state(schedule, self.time, noise(x), mean, self.complement.std, temperature)
        return x + self.projection.complement(draw)


@dataclass(frozen=True, kw_only=True)
class Langevin:
    """Correction of the complement after a switch: `steps` Langevin steps at the switching time, the subspace untouched.

        x <- x + h g + sqrt(2 h) z ,   h = 2 (snr |z| / |g|)^2 ,   g, z = (I - U U^T) (score, noise)

    |z| and |g| are those of each sample. Where the complement is a Gaussian of variance v, a step on
    states of variance V takes the share a out of an error of the mean and leaves too much variance,

        V <- (1 - a)^2 V + 2 a v ,   a = 2 snr^2 v / V ,        at rest V = (1 + snr^2) v ,

    from V = v after two steps 1.7 % with snr = 0.22 and 8e-8 with 0.01. v is mostly noise, many times the variance of the
    images themselves there, and a deterministic sampler has no later chance to take the excess out. The paper's 0.22 (CIFAR-10)
    and 0.5 (256 pixels) are of VE with a corrector at every step; its 0.01 is of sub-VP, the nearest to a variance-preserving
    schedule, and the default here. It changes little: a larger one is for complements that are far from Gaussian.

    Source: Jing et al. 2022; the step of Song et al. 2021, algorithm 4.
    """

    steps: int = 2
    snr: float = 0.01

    def __post_init__(self) -> None:
        if self.steps < 0 or not 0 < self.snr < math.inf:
            raise ValueError(f"need steps >= 0 and a finite snr above 0, found {self.steps} and {self.snr}.")

    def correct(self, x: Tensor, time: float, denoiser: Denoiser, schedule: Schedule, at: Projection, noise: Noise) -> Tensor:
        """States x at `time` after the steps, by a denoiser of their own space; `at` is the projection they were lifted by."""
        t = times_like(x, time)
        sigma = schedule.sigma(t[0]).item()
        for _ in range(self.steps):
            g = at.complement(-denoiser(x, t) / sigma)
            z = at.complement(noise(x))
            # h = 2 (snr |z| / |g|)^2
            h = 2 * (self.snr * _norm(z) / _norm(g)) ** 2
            x = x + h * g + (2 * h).sqrt() * z
        return x


def grid_through(times: Tensor, switches: Sequence[float]) -> Tensor:
    """The grid with its nearest inner times moved onto the switching times, so that the number of steps stays.

    Raises:
        ValueError: if a switching time is outside the grid, or two of them want the same step.
    """
    moved, taken = times.clone(), set()
    for time in switches:
        if not times[-1] < time < times[0]:
            raise ValueError(f"the switching time must be inside ({times[-1]:g}, {times[0]:g}), found {time}.")
        nearest = int((times[1:-1] - time).abs().argmin()) + 1 if len(times) > 2 else 0
        if nearest == 0 or nearest in taken:
            raise ValueError(f"{len(times) - 1} steps are too few to switch at {list(switches)}. Take more steps.")
        taken.add(nearest)
        moved[nearest] = time
    return moved


def sample_subspaces(  # noqa: PLR0913
    full: Denoiser,
    subspaces: Sequence[Subspace],
    u: Tensor,
    schedule: Schedule,
    times: Tensor,
    *,
    noise: Noise,
    sampler: str = "ddim",
    langevin: Langevin | None = None,
    temperature: float = 1.0,
    hook: LevelHook | None = None,
) -> Tensor:
    """The state of the full space at times[-1], reached from a state of the smallest subspace at times[0].

    Above the last switching time the smallest subspace is diffused; at each one the state is lifted into the next larger
    space and its complement corrected. With a deterministic sampler the lifting's noise is the only chance.

    Args:
        full: eps_hat of the full space, used at t <= subspaces[0].time only.
        subspaces: nested, from the largest on, with strictly rising times; none at all is `sample`.
        u: state of the last subspace at times[0], e.g. standard normal noise.
        schedule: of all spaces, for the projections are orthonormal.
        times: strictly falling, with every switching time on it: `grid_through`.
        noise: state -> standard normal of its shape, from a generator of yours.
        sampler: as in `tts.diffusion.sample`.
        langevin: the correction after each switch; None for none.
        temperature: of all noise but that of the correction, which needs the true one.
        hook: (level, t, x0_hat) -> None or another x0_hat; level 0 is the full space, k the k-th subspace.

    Raises:
        ValueError: if the switching times do not rise or are not on the grid.
    """
    switches = [s.time for s in subspaces]
    if sorted(set(switches)) != switches or not set(switches) <= set(times[1:-1].tolist()):
        raise ValueError(f"switching times must rise and lie on the grid, found {switches}. Take `grid_through(times, ...)`.")
    ends = [times[-1].item(), *switches, times[0].item()]
    denoisers = [full, *(s.denoiser for s in subspaces)]
    for level in reversed(range(len(denoisers))):
        part = times[(times >= ends[level]) & (times <= ends[level + 1])]
        watch = None if hook is None else _at_level(hook, level)
        u = sample(denoisers[level], u, schedule, part, sampler=sampler, noise=noise, temperature=temperature, hook=watch)
        if level == 0:
            break
        subspace = subspaces[level - 1]
        u = subspace.lift(u, schedule, noise, temperature)
        if langevin is not None:
            u = langevin.correct(u, subspace.time, denoisers[level - 1], schedule, subspace.projection, noise)
    return u


def _at_level(hook: LevelHook, level: int) -> Callable[[int, float, Tensor], Tensor | None]:
    return lambda i, t, x0: hook(level, t, x0)


def _norm(x: Tensor) -> Tensor:
    """Euclidean norm of each sample, broadcastable to x."""
    return x.flatten(1).norm(dim=1).reshape(-1, *(1,) * (x.ndim - 1))

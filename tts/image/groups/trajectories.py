"""Runs of denoising as sequences of actions: x0_hat along a DDIM run, and how far each step went in log-SNR."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tts.diffusion import Schedule, sample
from tts.diffusion.samplers import Denoiser
from tts.image.groups.actions import Sequences, checked_reach
from tts.image.groups.hae import HomomorphismAutoencoder, relative_errors

HORIZONS = (1, 2, 4, 8)
START = 0.98  # t where runs begin: it is noise there, and log-SNR, whose change is the action, does not yet plunge


@dataclass(frozen=True, eq=False)
class Trajectories:
    """S observations along each of n runs, and the place of each in coordinates whose differences are the actions.

        g of the move i -> j is places_j - places_i: the change of half log-SNR, then of the strength of each attribute

    observations: x0_hat, (n, S, C, H, W) in [-1, 1], from noise to data.
    places: (n, S, 1 + K).
    reach: the most steps of the grid that one action of `draw` spans.
    strides: which of 1 … reach steps each run may be drawn with, (n, reach) of bool, so that some actions are never shown;
        None is all.
    """

    observations: Tensor
    places: Tensor
    reach: int = 2
    strides: Tensor | None = None

    def __post_init__(self) -> None:
        """Raises ValueError if observations, places and strides do not fit, or the reach is out of range."""
        n, steps = self.observations.shape[:2]
        if self.observations.ndim != 5 or self.places.ndim != 3 or self.places.shape[:2] != (n, steps):
            shapes = tuple(self.observations.shape), tuple(self.places.shape)
            raise ValueError(f"need observations (n, S, C, H, W) with places (n, S, 1 + K), found {shapes[0]} and {shapes[1]}.")
        checked_reach(self.reach, steps - 1)
        if self.strides is not None and (self.strides.shape != (n, self.reach) or not bool(self.strides[:, 0].any())):
            raise ValueError(
                f"need strides ({n}, {self.reach}) that leave one run its single steps, found {tuple(self.strides.shape)} "
                f"with {self.strides.sum(0).tolist()} runs for each."
            )

    @property
    def size(self) -> int:
        """Pixels along a side."""
        return self.observations.shape[-1]

    @property
    def channels(self) -> int:
        """Of the observations."""
        return self.observations.shape[2]

    @property
    def action_dim(self) -> int:
        """1 + K."""
        return self.places.shape[2]

    def runs(self, rows: slice) -> "Trajectories":
        """Some of the runs, for example those held out."""
        strides = None if self.strides is None else self.strides[rows]
        return Trajectories(self.observations[rows], self.places[rows], self.reach, strides)

    def draw(self, n: int, length: int, generator: torch.Generator, *, reach: int | None = None) -> Sequences:
        """n random pieces of `length` actions, each over 1 to `reach` steps of the grid that `strides` allows.

        Raises:
            ValueError: if reach is out of range, or the longest piece is longer than a run.
        """
        reach, steps = checked_reach(reach, self.reach), self.observations.shape[1]
        if length * reach >= steps:
            raise ValueError(f"{length} actions of up to {reach} steps need more than the {steps} observations of a run.")
        if self.strides is None:
            strides = torch.randint(1, reach + 1, (n, length), generator=generator)
            start = (torch.rand(n, generator=generator) * (steps - strides.sum(1))).long()
            rows = torch.randint(len(self.observations), (n,), generator=generator)
        else:
            allowed = self.strides[:, :reach]
            some = allowed.any(1).nonzero().flatten()
            rows = some[torch.randint(len(some), (n,), generator=generator)]
            strides = 1 + torch.multinomial(allowed[rows].double(), length, replacement=True, generator=generator)
            start = (torch.rand(n, generator=generator) * (steps - strides.sum(1))).long()
        at = start[:, None] + torch.cat([torch.zeros(n, 1, dtype=torch.long), strides.cumsum(1)], dim=1)
        return self._pieces(rows, at)

    def every(self, count: int, stride: int) -> Sequences:
        """All pieces of `count` actions over `stride` steps each, of every run and from every start.

        Raises:
            ValueError: if a run is too short.
        """
        n, steps = self.observations.shape[:2]
        starts = steps - count * stride
        if starts < 1:
            raise ValueError(f"{count} actions of {stride} steps need more than the {steps} observations of a run.")
        at = torch.arange(starts)[:, None] + stride * torch.arange(count + 1)
        return self._pieces(torch.arange(n).repeat_interleave(starts), at.repeat(n, 1))

    def _pieces(self, rows: Tensor, at: Tensor) -> Sequences:
        return Sequences(
            observations=self.observations[rows[:, None], at],
            displacements=at.diff(dim=1)[..., None],
            actions=self.places[rows[:, None], at].diff(dim=1),
        )


@torch.no_grad()
def denoising_trajectories(
    denoiser: Denoiser, u: Tensor, schedule: Schedule, times: Tensor, *, strengths: Tensor | None = None, reach: int = 2
) -> Trajectories:
    """x0_hat at every time of DDIM runs but the last, held in [-1, 1].

    Under guidance of constant strength w_k a move changes attribute k by w_k times the change of half log-SNR, so that moves
    add up along a run as log-SNR does.

    Args:
        denoiser: (U, t (B,)) -> eps_hat, guided or not, whose x0 is an image.
        u: states at times[0], (n, C, H, W); the same ones make runs comparable.
        schedule: gives the log-SNR.
        times: (S + 1,) falling, from `time_grid`.
        strengths: w, (n, K), of the guidance that the denoiser is under; None is none.
        reach: see `Trajectories`.

    Raises:
        ValueError: as `sample` and `Trajectories`.
    """
    observed: list[Tensor] = []

    def record(i: int, t: float, x0: Tensor) -> None:
        observed.append(x0.clamp(-1, 1))

    sample(denoiser, u, schedule, times, sampler="ddim", hook=record)
    levels = (schedule.log_snr(times[:-1]) / 2).to(u).expand(len(u), -1)[..., None]  # (n, S, 1)
    if strengths is not None:
        levels = torch.cat([levels, (levels - levels[:, :1]) * strengths[:, None].to(u)], dim=2)
    return Trajectories(torch.stack(observed, dim=1), levels, reach)


@dataclass(frozen=True)
class StepReport:
    """How well steps of denoising are predicted in codes, by how many steps k of the grid.

    rollout: E |z_hat - h(o)|^2 / Var h after k actions of one step.
    jump: the same after one action over all k steps, which training shows up to `reach` only.
    still: the same of a code that never moves, the least that a prediction must beat.
    consistency: E |jump - rollout|^2 / Var h; 0 for a one-parameter group.
    pixels: mean squared error of the images decoded after `rollout`, in units of images in [-1, 1].
    """

    rollout: dict[int, float]
    jump: dict[int, float]
    still: dict[int, float]
    consistency: dict[int, float]
    pixels: dict[int, float]


@torch.no_grad()
def report_steps(hae: HomomorphismAutoencoder, held_out: Trajectories, horizons: tuple[int, ...] = HORIZONS) -> StepReport:
    """The errors on all pieces of runs that were held out.

    Raises:
        ValueError: if a run has no more observations than the longest horizon, or does not fit the model.
    """
    found: dict[str, dict[int, float]] = {name: {} for name in ("rollout", "jump", "still", "consistency", "pixels")}
    for k in horizons:
        pieces = held_out.every(k, 1)
        codes = hae.encode(pieces.observations.flatten(0, 1)).unflatten(0, (-1, k + 1))
        rollout = hae.rollout(codes[:, 0], pieces.actions)
        jump = hae.transition.act(pieces.actions.sum(1), codes[:, 0])
        image = hae.images(rollout[:, -1])
        found["rollout"][k] = float(relative_errors(rollout, codes)[k])
        found["jump"][k] = _error(jump, codes)
        found["still"][k] = _error(codes[:, 0], codes)
        found["consistency"][k] = _error(jump - rollout[:, -1] + codes[:, -1], codes)
        found["pixels"][k] = float((image - pieces.observations[:, -1]).square().mean())
    return StepReport(**found)


def _error(z: Tensor, codes: Tensor) -> float:
    """The relative squared error of z (B, D) as the last of codes (B, M, D)."""
    return float(relative_errors(torch.cat([codes[:, :-1], z[:, None]], dim=1), codes)[-1])

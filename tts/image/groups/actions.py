"""Actions as an agent knows them: numbers of unknown meaning that move a cyclic sprite; sequences of them with images."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.image.cyclic import CyclicSprites
from tts.image.datasets import to_model

_HIDDEN, _GAIN = 200, 2.0  # of the network that scrambles actions; the gain takes it out of its linear range


@dataclass(frozen=True, eq=False)
class Sequences:
    """Trajectories o_0, g_0, o_1, …, g_{N-1}, o_N.

    observations: (B, N + 1, C, H, W) in [-1, 1].
    displacements: (B, N, K), whole steps of each factor that moves, or of the sampler's grid; ground truth.
    actions: (B, N, A), the same moves as the model is told of them.
    """

    observations: Tensor
    displacements: Tensor
    actions: Tensor


class Moves(Protocol):
    """Where sequences come from."""

    @property
    def size(self) -> int:
        """Pixels along a side."""

    @property
    def channels(self) -> int:
        """1 for grey, 3 for red, green, blue."""

    @property
    def action_dim(self) -> int:
        """A, how many numbers an action has."""

    @property
    def reach(self) -> int:
        """The largest displacement of one action."""

    def draw(self, n: int, length: int, generator: torch.Generator, *, reach: int | None = None) -> Sequences:
        """n random sequences of `length` actions of displacements up to `reach`; None is the largest."""


class CyclicActions:
    """Moves of cyclic sprites and the coordinates in which a model sees them.

        g = R d / reach ,   or tanh(W2 tanh(W1 R d / reach)) of a frozen random network

    R turns the plane of the last two factors, x and y, by 45 degrees, so that no coordinate of an action is a factor; the
    network takes away even the linear structure.

    Args:
        sprites: what is moved; at least two factors must move.
        reach: largest displacement of a factor in one action, steps of the grid.
        scrambled: dimensions of the random network's output; 0 for none.
        seed: of the random network.

    Raises:
        ValueError: if fewer than two factors move, or reach or scrambled is out of range.

    Source: Keurti et al. 2023, whose actions are turned by 45 degrees or scrambled by a random perceptron.
    """

    def __init__(self, sprites: CyclicSprites, *, reach: int = 5, scrambled: int = 0, seed: int = 0) -> None:
        smallest = min(sprites.factors.sizes[k] for k in sprites.moves) if sprites.moves else 0
        if len(sprites.moves) < 2 or not 1 <= reach < smallest or scrambled < 0:
            raise ValueError(
                f"need two factors that move, reach of 1 to {smallest - 1} and scrambled of 0 or more, "
                f"found {len(sprites.moves)}, {reach} and {scrambled}."
            )
        self.sprites, self._reach = sprites, reach
        self.size, self.channels = sprites.size, sprites.channels
        self.images = to_model(sprites.images(np.arange(len(sprites))))
        self._turn = torch.eye(self.n_factors)
        self._turn[-2:, -2:] = torch.tensor([[1.0, -1.0], [1.0, 1.0]]) / 2**0.5
        generator = torch.Generator().manual_seed(seed)
        widths = [self.n_factors, _HIDDEN, scrambled] if scrambled else []
        self._layers = [_GAIN * torch.randn(b, a, generator=generator) / a**0.5 for a, b in pairwise(widths)]

    @property
    def reach(self) -> int:
        """The largest displacement of a factor in one action."""
        return self._reach

    @property
    def n_factors(self) -> int:
        """K, how many factors move."""
        return len(self.sprites.moves)

    @property
    def action_dim(self) -> int:
        """A, how many numbers an action has."""
        return len(self._layers[-1]) if self._layers else self.n_factors

    def actions(self, displacements: Tensor) -> Tensor:
        """The actions (..., A) of displacements (..., K) in whole steps."""
        g = displacements.float() / self.reach @ self._turn.T
        for weight in self._layers:
            g = torch.tanh(g @ weight.T)
        return g

    def draw(self, n: int, length: int, generator: torch.Generator, *, reach: int | None = None) -> Sequences:
        """Random trajectories: uniform start, displacements uniform in -reach … reach for each factor.

        Args:
            n: how many.
            length: N, actions of each; 0 gives single images.
            generator: of the draws.
            reach: 1 to the largest; None is the largest. A curriculum begins with a small one.

        Raises:
            ValueError: if reach is out of range.
        """
        reach = checked_reach(reach, self.reach)
        start = torch.randint(len(self.sprites), (n,), generator=generator)
        displacements = torch.randint(-reach, reach + 1, (n, length, self.n_factors), generator=generator)
        return self.follow(start.numpy(), displacements)

    def follow(self, start: NDArray[np.int64], displacements: Tensor) -> Sequences:
        """The trajectories from images `start` (B,) by displacements (B, N, K)."""
        factors = [self.sprites.factors.factors(start)]
        for step in displacements.unbind(1):
            factors.append(self.sprites.moved(factors[-1], step.numpy()))
        index = torch.from_numpy(np.stack([self.sprites.factors.index(f) for f in factors], axis=1))
        return Sequences(self.images[index], displacements, self.actions(displacements))

    def one_factor(self, factor: int) -> Tensor:
        """The actions (2 reach, A) that move one factor alone, by -reach … -1 and 1 … reach steps."""
        steps = torch.tensor([d for d in range(-self.reach, self.reach + 1) if d])
        displacements = torch.zeros(len(steps), self.n_factors, dtype=torch.long)
        displacements[:, factor] = steps
        return self.actions(displacements)


def checked_reach(reach: int | None, largest: int) -> int:
    """The reach itself, or the largest for None; ValueError if it is outside 1 … largest."""
    if reach is None:
        return largest
    if not 1 <= reach <= largest:
        raise ValueError(f"reach must be in 1 … {largest}, found {reach}.")
    return reach

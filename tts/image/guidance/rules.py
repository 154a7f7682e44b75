"""How the gradients of several attributes are made one: rules that leave a single, unconstrained gradient as it is.

A rule maps gradients (K, B, ...), already weighted, at a moment of the sampling to others of the same shape. Dot products and
norms are those of each sample.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tts.diffusion import log_prob_gradients

LogProbs = Callable[[Tensor, Tensor], Tensor]
"""(x (B, ...), t (B,)) -> (K, B): the log-probability of each of K attributes."""


@dataclass(frozen=True, eq=False)
class Moment:
    """Where the denoiser is asked: the state x (B, ...), t (B,), the noise eps of the base and sigma (broadcastable)."""

    x: Tensor
    t: Tensor
    eps: Tensor
    sigma: Tensor


Rule = Callable[[Tensor, Moment], Tensor]


@dataclass(frozen=True)
class Cap:
    """Shortens a gradient that is longer than `share` of the score of the base: |g_k| <= share |eps| / sigma.

    Args:
        share: above 0; 0.3 to 1 keeps samples from being torn off the data.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share < math.inf:
            raise ValueError(f"share must be finite and above 0, found {self.share}.")

    def __call__(self, g: Tensor, moment: Moment) -> Tensor:
        """The gradients, none too long."""
        longest = self.share * (moment.eps / moment.sigma).flatten(1).norm(dim=1)  # (B,)
        length = g.flatten(2).norm(dim=2)  # (K, B)
        factor = torch.where(length > longest, longest / length, 1.0)
        return _each(factor, g) * g


@dataclass
class Smooth:
    """Moving average over the steps of one run: m <- decay m + (1 - decay) g, which starts at the first gradient.

    It holds what the last time gave, so it serves one run of a sampler: make one for each. A solver that asks twice at one
    time, or again at an earlier step's, gets the average over the steps before.

    Args:
        decay: in [0, 1); 0 changes nothing.

    Source: Vaeth et al. 2025, for gradients through x0_hat.
    """

    decay: float = 0.9
    _past: list[tuple[float, Tensor]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be in [0, 1), found {self.decay}.")

    def __call__(self, g: Tensor, moment: Moment) -> Tensor:
        """The averaged gradients.

        Raises:
            ValueError: if the samples of the batch are at different times, or the batch changed within a run.
        """
        time = moment.t[0].item()
        if not bool((moment.t == moment.t[0]).all()):
            raise ValueError("an average over steps needs all samples of a batch at one time.")
        before = [m for t, m in self._past if t > time]
        if before and before[-1].shape != g.shape:
            raise ValueError(f"an average of gradients {tuple(before[-1].shape)} met {tuple(g.shape)}. Make one for each run.")
        mean = self.decay * before[-1] + (1 - self.decay) * g if before else g
        # heun asks at the end of a step and again at the start of the next: two are enough
        self._past = [*((t, m) for t, m in self._past if t > time), (time, mean)][-2:]
        return mean


def resolve_conflicts(g: Tensor, moment: Moment) -> Tensor:
    """Takes from each gradient, in turn, what works against another.

        g_i <- g_i - g_j <g_i, g_j> / |g_j|^2   where <g_i, g_j> < 0

    The others are taken as they came, in their order.

    Source: Yu et al. 2020 (PCGrad), with a fixed order in place of a random one.
    """
    flat = g.flatten(2)  # (K, B, D)
    resolved = []
    for i, own in enumerate(flat):
        for j, other in enumerate(flat):
            if i != j:
                dot = (own * other).sum(1, keepdim=True)
                own = own - torch.where(dot < 0, dot / other.square().sum(1, keepdim=True), 0.0) * other
        resolved.append(own)
    return torch.stack(resolved).reshape(g.shape)


@dataclass(frozen=True, eq=False)
class Preserve:
    """Takes from each gradient what would change attributes that are to stay: g <- g - G^T (G G^T)^+ G g.

    Args:
        keep: log-probabilities of the attributes to keep, whose gradients are the rows of G (M, D). To first order the
            guidance then leaves them where the base takes them.
    """

    keep: LogProbs

    def __call__(self, g: Tensor, moment: Moment) -> Tensor:
        """The gradients orthogonal to those of what is kept."""
        rows = log_prob_gradients(self.keep, moment.x, moment.t).flatten(2).transpose(0, 1)  # (B, M, D)
        # units of each row, so that one attribute's scale does not decide what counts as 0
        rows = rows / rows.norm(dim=2, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)
        flat = g.flatten(2).permute(1, 2, 0)  # (B, D, K)
        weights = torch.linalg.pinv(rows @ rows.mT, hermitian=True) @ (rows @ flat)  # (B, M, K)
        left = flat - rows.mT @ weights
        # G G^T resolves no angle to what is kept below sqrt(precision): what is shorter is rounding, of any direction
        least = torch.finfo(g.dtype).eps ** 0.5 * flat.norm(dim=1, keepdim=True)
        left = torch.where(left.norm(dim=1, keepdim=True) > least, left, 0.0)
        return left.permute(2, 0, 1).reshape(g.shape)


def robust_rules(
    *, cap: float | None = None, smooth: float = 0.0, keep: LogProbs | None = None, resolve: bool = False
) -> list[Rule]:
    """The rules asked for, in the one order in which each leaves standing what those before it brought.

        Cap, Smooth, Cap, Preserve, resolve_conflicts

    The first cap keeps a single long gradient from ruling the average, the second holds where the score has shrunk since.
    Averages of gradients that did not conflict, or that changed nothing kept, may do both, so these two come after them. They
    lengthen nothing, and what is taken from a gradient in a conflict is a multiple of another that is orthogonal to all that is
    kept, so that stays exact. The other way round conflicts would come back: two gradients that agree only in what is kept
    disagree without it. In the end neither of two wishes works against the other; of more, each is freed of the others one
    after another, and the last of them may bring a little of the first back, as in PCGrad.

    Args:
        cap: share of `Cap`; None is no cap.
        smooth: decay of `Smooth`; 0 is none. Above it the rules serve one run of a sampler.
        keep: log-probabilities of what must stay; None is nothing.
        resolve: take from each gradient what works against another.

    Raises:
        ValueError: if cap or smooth is out of range.
    """
    caps: list[Rule] = [] if cap is None else [Cap(cap)]
    rules: list[Rule] = [*caps, Smooth(smooth), *caps] if smooth else caps
    rules += [] if keep is None else [Preserve(keep)]
    return [*rules, resolve_conflicts] if resolve else rules


def _each(factor: Tensor, g: Tensor) -> Tensor:
    """A factor (K, B) that broadcasts to gradients (K, B, ...)."""
    return factor.reshape(*factor.shape, *(1,) * (g.ndim - 2))

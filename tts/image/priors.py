"""Priors over codes: draws, densities where they are known, and the divergence of an encoder's posterior from them.

Codes are (n, N, d): N units of d numbers. Densities are natural logarithms, divergences nats; both sum over the whole code.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

RING_MODES, RING_RADIUS, RING_STDS = 10, 1.4, (0.5, 0.1)  # along and across the radius
SWISS_TURNS = (1.5 * math.pi, 4.5 * math.pi)  # angle of the inner and the outer end of the roll
SWISS_SCALE = 5.0


@dataclass(frozen=True)
class Prior(ABC):
    """A distribution of codes of n_units units with unit_dim numbers each."""

    n_units: int
    unit_dim: int = 1

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws, (n, N, d)."""

    def log_prob(self, z: Tensor) -> Tensor | None:
        """ln p(z) of codes (n, N, d), as (n,); None where it is not known."""
        return None

    def kl(self, *posterior: Tensor) -> Tensor | None:
        """KL(q(z | x) || p(z)) in nats, (n,), of what the encoder gives; None where it has no closed form.

        Args:
            posterior: mean and log-variance of a Gaussian, each (n, N, d); for discrete codes the logits, (n, N, d).
        """
        return None


class Gaussian(Prior):
    """N(0, I)."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws, (n, N, d)."""
        return torch.randn(n, self.n_units, self.unit_dim, generator=generator)

    def log_prob(self, z: Tensor) -> Tensor:
        """-1/2 sum (z^2 + ln 2 pi), (n,)."""
        return -0.5 * (z**2 + math.log(2 * math.pi)).flatten(1).sum(1)

    def kl(self, *posterior: Tensor) -> Tensor:
        """1/2 sum (mean^2 + variance - ln variance - 1), (n,)."""
        mean, log_variance = posterior
        return 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).flatten(1).sum(1)


class Cube(Prior):
    """Uniform on [-sqrt 3, sqrt 3] in every number, so that the variance is 1."""

    HALF = math.sqrt(3)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws, (n, N, d)."""
        return self.HALF * (2 * torch.rand(n, self.n_units, self.unit_dim, generator=generator) - 1)

    def log_prob(self, z: Tensor) -> Tensor:
        """-N d ln(2 sqrt 3) inside the cube, -inf outside, (n,)."""
        inside = (z.abs() <= self.HALF).flatten(1).all(1)
        return torch.where(inside, -self.n_units * self.unit_dim * math.log(2 * self.HALF), -math.inf)


@dataclass(frozen=True)
class Ring(Prior):
    """Every consecutive pair of numbers is a mixture of ten Gaussians on a circle, longer along the radius than across it.

    Raises:
        ValueError: if the code has an odd number of numbers.

    Source: Makhzani et al. 2016 (adversarial autoencoders), whose mixture InfoDiffusion's code offers.
    """

    def __post_init__(self) -> None:
        if self.n_units * self.unit_dim % 2:
            raise ValueError(f"the ring prior needs an even number of numbers, found {self.n_units * self.unit_dim}.")

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws, (n, N, d)."""
        pairs = self.n_units * self.unit_dim // 2
        angle = torch.randint(RING_MODES, (n, pairs), generator=generator) * (2 * math.pi / RING_MODES)
        along, across = torch.randn(2, n, pairs, generator=generator) * torch.tensor(RING_STDS)[:, None, None]
        # the mode at (radius, 0), turned by its angle
        along = along + RING_RADIUS
        x, y = along * angle.cos() - across * angle.sin(), along * angle.sin() + across * angle.cos()
        return torch.stack((x, y), dim=-1).view(n, self.n_units, self.unit_dim)

    def log_prob(self, z: Tensor) -> Tensor:
        """sum over pairs of ln mean over modes of the turned Gaussian's density, (n,)."""
        pair = z.reshape(len(z), -1, 1, 2)  # (n, pairs, 1, 2)
        angle = torch.arange(RING_MODES, dtype=z.dtype, device=z.device) * (2 * math.pi / RING_MODES)
        # turned back by the angle of each mode
        along = pair[..., 0] * angle.cos() + pair[..., 1] * angle.sin() - RING_RADIUS
        across = pair[..., 1] * angle.cos() - pair[..., 0] * angle.sin()
        (s_along, s_across) = RING_STDS
        exponent = -0.5 * ((along / s_along) ** 2 + (across / s_across) ** 2)
        constant = math.log(2 * math.pi * s_along * s_across * RING_MODES)
        return (exponent.logsumexp(-1) - constant).sum(1)


@dataclass(frozen=True)
class SwissRoll(Prior):
    """The curve a/5 (cos a, sin a) with a uniform on [3 pi/2, 9 pi/2]; it has no width, so no density.

    Raises:
        ValueError: if the code does not have two numbers.
    """

    def __post_init__(self) -> None:
        if self.n_units * self.unit_dim != 2:
            raise ValueError(f"the Swiss roll has two numbers, found {self.n_units * self.unit_dim}.")

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws, (n, N, d)."""
        first, last = SWISS_TURNS
        angle = first + (last - first) * torch.rand(n, generator=generator)
        roll = angle / SWISS_SCALE * torch.stack((angle.cos(), angle.sin()))  # (2, n)
        return roll.T.reshape(n, self.n_units, self.unit_dim)


class DiscretePrior(Prior):
    """A prior of discrete codes: the encoder gives logits, training draws relaxed codes and evaluation the likeliest one."""

    @abstractmethod
    def relax(self, logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
        """A relaxed draw from the posterior with gradients to the logits, (n, N, d); hard as the temperature goes to 0."""

    @abstractmethod
    def harden(self, logits: Tensor) -> Tensor:
        """The likeliest code, (n, N, d)."""


class Bernoulli(DiscretePrior):
    """Every number is 0 or 1 with probability 1/2.

    Source: Maddison et al. 2017 (binary concrete).
    """

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws, (n, N, d) of 0 and 1."""
        return torch.randint(2, (n, self.n_units, self.unit_dim), generator=generator).float()

    def log_prob(self, z: Tensor) -> Tensor:
        """-N d ln 2 for codes of 0 and 1, -inf for all others, (n,)."""
        binary = ((z == 0) | (z == 1)).flatten(1).all(1)
        return torch.where(binary, -self.n_units * self.unit_dim * math.log(2), -math.inf)

    def kl(self, *posterior: Tensor) -> Tensor:
        """sum (p ln p + (1 - p) ln(1 - p) + ln 2) with p = sigmoid(logit), (n,)."""
        (logits,) = posterior
        p = logits.sigmoid()
        return (p * F.logsigmoid(logits) + (1 - p) * F.logsigmoid(-logits) + math.log(2)).flatten(1).sum(1)

    def relax(self, logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
        """sigmoid((logit + ln u - ln(1 - u)) / temperature), (n, N, d) in (0, 1)."""
        u = _open_uniform(logits, generator)
        return ((logits + u.log() - (-u).log1p()) / temperature).sigmoid()

    def harden(self, logits: Tensor) -> Tensor:
        """1 where the logit is above 0, (n, N, d)."""
        return (logits > 0).to(logits)


class Categorical(DiscretePrior):
    """Every unit is one of unit_dim classes with equal probability, as a one-hot vector.

    Source: Jang et al. 2017 (Gumbel softmax).
    """

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws, (n, N, d), one-hot."""
        return F.one_hot(torch.randint(self.unit_dim, (n, self.n_units), generator=generator), self.unit_dim).float()

    def log_prob(self, z: Tensor) -> Tensor:
        """-N ln d for one-hot units, -inf for all others, (n,)."""
        one_hot = (((z == 0) | (z == 1)).all(-1) & (z.sum(-1) == 1)).all(1)
        return torch.where(one_hot, -self.n_units * math.log(self.unit_dim), -math.inf)

    def kl(self, *posterior: Tensor) -> Tensor:
        """sum over units of (sum_k p_k ln p_k + ln d), (n,)."""
        (logits,) = posterior
        log_p = logits.log_softmax(-1)
        return ((log_p.exp() * log_p).sum(-1) + math.log(self.unit_dim)).sum(1)

    def relax(self, logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
        """softmax((logits + g) / temperature) with Gumbel noise g = -ln(-ln u), (n, N, d), each unit summing to 1."""
        gumbel = -(-_open_uniform(logits, generator).log()).log()
        return ((logits + gumbel) / temperature).softmax(-1)

    def harden(self, logits: Tensor) -> Tensor:
        """The one-hot vector of the largest logit, (n, N, d)."""
        return F.one_hot(logits.argmax(-1), self.unit_dim).to(logits)


def _open_uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform draws strictly inside (0, 1), the shape of `like`."""
    tiny = torch.finfo(torch.float32).eps
    return torch.rand(like.shape, generator=generator).clamp(tiny, 1 - tiny).to(like)


PRIORS: dict[str, type[Prior]] = {
    "gaussian": Gaussian,
    "cube": Cube,
    "ring": Ring,
    "swiss_roll": SwissRoll,
    "bernoulli": Bernoulli,
    "categorical": Categorical,
}

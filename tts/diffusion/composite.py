"""One noise prediction made of a frozen base and a sum of terms; each term sees the one state shifted to its own prior."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tts.diffusion.parametrization import Parametrization
from tts.diffusion.schedule import Schedule
from tts.diffusion.state import expand_like, x0_from_eps

Network = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Term:
    """One summand w(t) F(x, t) with x = U + (1 - alpha) mean.

    Args:
        network: (x, t (B,)) -> output, the shape of x; its conditions are closed over.
        mean: prior mean of this attribute, the shape of the state; None is 0.
        weight: a finite number, or a function of t (B,). Where it is 0 for the whole batch the network is not called.

    Raises:
        ValueError: if the weight is NaN or infinite.
    """

    network: Network
    mean: Tensor | None = None
    weight: float | Callable[[Tensor], Tensor] = 1.0

    def __post_init__(self) -> None:
        if not callable(self.weight) and not math.isfinite(self.weight):
            raise ValueError(f"the weight of a term must be a finite number, found {self.weight}.")


@dataclass(frozen=True, eq=False)
class Composite:
    """The denoiser of the house: every system here is one of these, with its own terms.

        eps_hat(U, t) = base(U, t) + parametrization.eps( sum_k w_k(t) F_k(U + (1 - alpha) mean_k, t) )

    Args:
        schedule: gives alpha and sigma.
        terms: the summands; none at all samples the base, or the Gaussian of `preconditioned`.
        parametrization: what the summed outputs mean; with a base it must be `eps`.
        mean: sum of the prior means, for `preconditioned`; None is 0.
        base: (U, t (B,)) -> eps_hat of a frozen model, e.g. another Composite.

    Raises:
        ValueError: if a base meets a parametrization other than `eps`, which would count the state twice.

    Source: Choi et al. 2024 (DDDM-VC), whose pair of chains X_k = U + (1 - alpha) mean_k shares one U.
    """

    schedule: Schedule
    terms: Sequence[Term]
    parametrization: Parametrization
    mean: Tensor | None = None
    base: Network | None = None

    def __post_init__(self) -> None:
        if self.base is not None and self.parametrization.kind != "eps":
            raise ValueError(f"a base adds noise predictions: use Parametrization('eps'), found {self.parametrization.kind!r}.")

    def output(self, u: Tensor, t: Tensor) -> Tensor:
        """sum_k w_k(t) F_k(U + (1 - alpha) mean_k, t), the shape of u; t is (B,)."""
        alpha, _ = self._coefficients(u, t)
        total = torch.zeros_like(u)
        for term in self.terms:
            weight = expand_like(term.weight(t), u) if callable(term.weight) else term.weight
            if not (weight.any() if isinstance(weight, Tensor) else weight):
                continue
            x = u if term.mean is None else u + (1 - alpha) * term.mean
            total = total + weight * term.network(x, t)
        return total

    def __call__(self, u: Tensor, t: Tensor) -> Tensor:
        """eps_hat(U, t), the shape of u; t is (B,)."""
        eps = self.parametrization.eps(self.output(u, t), u, *self._coefficients(u, t), self._mean)
        return eps if self.base is None else self.base(u, t) + eps

    def x0(self, u: Tensor, t: Tensor) -> Tensor:
        """x0_hat(U, t), the shape of u; t is (B,)."""
        coefficients = self._coefficients(u, t)
        if self.base is not None:
            return x0_from_eps(u, self(u, t), *coefficients)
        return self.parametrization.x0(self.output(u, t), u, *coefficients, self._mean)

    def target(self, x0: Tensor, eps: Tensor, u: Tensor, t: Tensor) -> Tensor:
        """What `output(u, t)` must be for the composite to return exactly eps; the base is held fixed."""
        target = self.parametrization.target(x0, eps, *self._coefficients(u, t), self._mean)
        if self.base is None:
            return target
        with torch.no_grad():
            return target - self.base(u, t)

    @property
    def _mean(self) -> float | Tensor:
        return 0.0 if self.mean is None else self.mean

    def _coefficients(self, u: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return expand_like(self.schedule.alpha(t), u).to(u.dtype), expand_like(self.schedule.sigma(t), u).to(u.dtype)


def classifier_free(conditional: Network, unconditional: Network, scale: float) -> list[Term]:
    """The two terms of classifier-free guidance: (1 + scale) F(x, t, c) - scale F(x, t).

    Source: Ho and Salimans 2022.
    """
    return [Term(conditional, weight=1 + scale), Term(unconditional, weight=-scale)]


def classifier_guidance(log_prob: Network, schedule: Schedule, scale: float = 1.0) -> Term:
    """The term -scale sigma grad_x log p(y | x, t), in noise units: use it over a `base` with `Parametrization("eps")`.

    Args:
        log_prob: (x, t (B,)) -> (B,) log-probability of the wanted label; differentiable in x.
        schedule: gives sigma.
        scale: 1 is the exact conditional when log_prob is exact; several terms add up.

    Source: Song et al. 2021; Dhariwal and Nichol 2021, for DDIM.
    """

    def network(x: Tensor, t: Tensor) -> Tensor:
        (gradient,) = log_prob_gradients(lambda x, t: log_prob(x, t)[None], x, t)
        return -expand_like(schedule.sigma(t), x).to(x.dtype) * gradient

    return Term(network, weight=scale)


def log_prob_gradients(log_probs: Network, x: Tensor, t: Tensor) -> Tensor:
    """grad_x of each of K log-probabilities: log_probs(x (B, ...), t (B,)) -> (K, B) gives (K, B, ...), in one forward pass.

    It works under `torch.inference_mode` too, and leaves no history.
    """
    with torch.inference_mode(False), torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        rows = log_probs(leaf, t.clone())
        return torch.stack([torch.autograd.grad(row.sum(), leaf, retain_graph=True)[0] for row in rows])

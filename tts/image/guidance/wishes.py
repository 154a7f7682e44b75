"""What is asked of a guided image, and its log-probability from the output of a head: equal to, any of, and not."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tts.image.guidance.guide import ALWAYS

_SMALLEST = 1e-6  # probability left on an excluded value itself, so that ln(1 - p) stays finite


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One attribute of the image.

    Args:
        name: of the attribute.
        values: any of these: labels of a category, or numbers in [0, 1] of a value.
        negated: none of them instead; a weight below 0 pushes away as well, but without an end.
        weight: w, finite; 1 is the exact conditional when the classifier is.
        temperature: divides the logits of a category, multiplies the variance of a value; above 1 asks more gently.
        interval: (t_low, t_high] in which it is asked.

    Raises:
        ValueError: if there is no value, or a number is out of range.
    """

    name: str
    values: tuple[float, ...]
    negated: bool = False
    weight: float = 1.0
    temperature: float = 1.0
    interval: tuple[float, float] = ALWAYS

    def __post_init__(self) -> None:
        if not self.values or not all(math.isfinite(v) for v in self.values) or len({*self.values}) != len(self.values):
            raise ValueError(f"{self.name}: need at least one value, each finite and named once, found {self.values}.")
        if not 0 < self.temperature < math.inf or not math.isfinite(self.weight):
            raise ValueError(
                f"{self.name}: need a temperature above 0 and a finite weight, found {self.temperature} and {self.weight}."
            )

    def check(self, size: int, continuous: bool) -> None:
        """Raises ValueError unless every value is one that a head of this size has."""
        if continuous and not all(0 <= v <= 1 for v in self.values):
            raise ValueError(f"{self.name}: values must be in [0, 1], found {self.values}.")
        if not continuous and not all(0 <= v < size and v == int(v) for v in self.values):
            raise ValueError(f"{self.name}: values must be whole numbers in 0 … {size - 1}, found {self.values}.")
        if not continuous and self.negated and len(self.values) == size:
            raise ValueError(f"{self.name}: all {size} values are excluded, so none is left.")


def log_prob_of(wish: Wish, output: Tensor, variance: Tensor | None) -> Tensor:
    """ln p(wish) of each sample, (B,).

        category   ln sum_v softmax(output / T)_v ,   negated: ln(1 - p)
        value      ln sum_v p_v ,  p_v = exp(-(v - output)^2 / (2 T variance)) ,   negated: sum_v ln(1 - p_v)

    Args:
        wish: what is asked.
        output: of the head, (B, size) logits or (B, 1) values.
        variance: residual variance of a value, (B,); None for a category.
    """
    if variance is None:
        log_p = (output / wish.temperature).log_softmax(1)
        chosen = [int(v) for v in wish.values]
        if wish.negated:
            # 1 - p is the probability of the others, summed without cancellation
            return log_p[:, [v for v in range(output.shape[1]) if v not in chosen]].logsumexp(1)
        return log_p[:, chosen].logsumexp(1)
    targets = output.new_tensor(wish.values)
    # ln p = -(v - v_hat)^2 / (2 s^2)
    log_p = -((targets - output) ** 2) / (2 * wish.temperature * variance[:, None])
    if wish.negated:
        return torch.log1p(-(1 - _SMALLEST) * log_p.exp()).sum(1)
    return log_p.logsumexp(1)

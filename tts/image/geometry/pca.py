"""Principal directions of h-space: of the h of many images, over all steps of a sampler or step by step."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PrincipalDirections:
    """The axes along which h varies most.

    mean: (C', H', W').
    directions: (k, C', H', W'), orthonormal, largest spread first.
    deviations: the standard deviation of h along each, (k,).
    share: of the whole variance, (k,).
    """

    mean: Tensor
    directions: Tensor
    deviations: Tensor
    share: Tensor

    def coordinates(self, h: Tensor) -> Tensor:
        """h (B, C', H', W') along the directions, in deviations, (B, k)."""
        return (h - self.mean).flatten(1) @ self.directions.flatten(1).mT / self.deviations

    def shift(self, index: int, strength: float) -> Tensor:
        """What to add to h to move it by `strength` deviations along a direction, (C', H', W').

        Raises:
            ValueError: if there is no such direction.
        """
        if not 0 <= index < len(self.directions):
            raise ValueError(f"direction must be 0 to {len(self.directions) - 1}, found {index}.")
        return strength * self.deviations[index] * self.directions[index]


def principal_directions(h: Tensor, k: int) -> PrincipalDirections:
    """The first k principal directions of h (n, C', H', W'): of one step, or of several laid end to end.

    Args:
        h: from `recorded_h`; n at least 2.
        k: 1 to min(n - 1, C' H' W').

    Raises:
        ValueError: if k is out of range.

    Source: Haas et al. 2024.
    """
    n, largest = len(h), min(len(h) - 1, h[0].numel())
    if not 1 <= k <= largest:
        raise ValueError(f"{n} values of h have 1 to {largest} principal directions, found {k}.")
    mean = h.mean(0)
    # centred = U S V^T; the variance along v_i is s_i^2 / (n - 1)
    _, singular, right = torch.linalg.svd((h - mean).flatten(1), full_matrices=False)
    share = singular[:k] ** 2 / singular.square().sum()
    return PrincipalDirections(mean, right[:k].reshape(k, *h.shape[1:]), singular[:k] / (n - 1) ** 0.5, share)


def principal_directions_by_step(steps: Sequence[Tensor], k: int) -> list[PrincipalDirections]:
    """`principal_directions` of each step's h (n, C', H', W'), every direction turned to the side of its number at step 0.

    Raises:
        ValueError: as `principal_directions`.
    """
    found = [principal_directions(h, k) for h in steps]
    return [_turned(at, found[0]) for at in found]


def _turned(directions: PrincipalDirections, like: PrincipalDirections) -> PrincipalDirections:
    """The directions with the signs that make none point against that of the same number in `like`."""
    inner = (directions.directions * like.directions).flatten(1).sum(1)
    sign = torch.where(inner < 0, -1.0, 1.0).to(inner)
    turned = sign.reshape(-1, *[1] * (like.directions.ndim - 1)) * directions.directions
    return PrincipalDirections(directions.mean, turned, directions.deviations, directions.share)

"""Blocks that need not be known: a penalty that drives a dense representation towards them, and reading them off."""

from itertools import pairwise

import torch
from torch import Tensor

_ROUNDING = 1e-12  # inside the root, so that its gradient is finite at exact blocks


def split_norms(algebra: Tensor) -> Tensor:
    """How far matrices are from being two blocks, for every place p = 1 … D - 1 where the first might end: (D - 1,).

        n_p = sqrt(mean_B (|A[:p, p:]|_F^2 + |A[p:, :p]|_F^2) + delta) - sqrt(delta)

    It is 0 exactly where every matrix of the batch splits. The mean is taken inside the root, as in a group lasso, so that a
    place counts for all actions together.

    Args:
        algebra: log rho(g) of many actions, (B, D, D).
    """
    squares = algebra.square().mean(0)
    outside = [squares[:p, p:].sum() + squares[p:, :p].sum() for p in range(1, len(squares))]
    return (torch.stack(outside) + _ROUNDING).sqrt() - _ROUNDING**0.5


def soft_block_penalty(algebra: Tensor) -> Tensor:
    """The sum of `split_norms`, a scalar: 0 for diagonal matrices, and the fewer places split, the larger.

    Taken of the algebra, where blocks of log rho are blocks of rho.

    Source: Keurti et al. 2023, soft block representation.
    """
    return split_norms(algebra).sum() if algebra.shape[-1] > 1 else algebra.new_zeros(())


def block_sizes(algebra: Tensor, tolerance: float = 0.05) -> tuple[int, ...]:
    """The finest blocks that matrices (B, D, D) have, next to the diagonal.

    Args:
        algebra: log rho(g) of many actions.
        tolerance: largest `split_norms` of a split, as a share of the root mean square norm of the matrices.

    Raises:
        ValueError: if the tolerance is outside [0, 1).
    """
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance must be in [0, 1), found {tolerance}.")
    dim = algebra.shape[-1]
    whole = algebra.square().sum((1, 2)).mean().sqrt()
    splits = (split_norms(algebra) <= tolerance * whole).nonzero().flatten() + 1 if dim > 1 else torch.tensor([])
    borders = [0, *(int(p) for p in splits), dim]
    return tuple(end - start for start, end in pairwise(borders))

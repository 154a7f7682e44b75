"""DisDiff's loss on one step's estimates: a factor's gradient moves that factor's code, towards its truth, and no other."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class FactorLosses:
    """One image each, (B,).

    Attributes:
        invariant: L_in.
        variant: L_va.
        hit: 1 where the code that moved most is that of the chosen factor; its mean is 1 / N by chance.
    """

    invariant: Tensor
    variant: Tensor
    hit: Tensor


def factor_losses(code: Tensor, plain: Tensor, moved: Tensor, factor: Tensor) -> FactorLosses:
    """How far the gradient of factor c moves each unit k of the code that is read off the estimate of the image.

        d_k = |moved_k - plain_k|     L_in = CE(softmax_k d_k, c)                     only unit c may move
        d^n_k = |plain_k - code_k|    L_va = CE(softmax_k (d^n_k - d^p_k), c)         unit c must come nearer to its code
        d^p_k = |moved_k - code_k|

    Where nothing moves both are ln N. Gradients flow through `moved` and, in d_k, through `plain`; `code` is taken as given.

    Args:
        code: z of the image, (B, N, d).
        plain: code of the base's estimate x0_hat, (B, N, d).
        moved: code of the estimate after factor c's gradient, (B, N, d).
        factor: c, (B,) int64.

    Source: Yang et al. 2023 (DisDiff), section 4.3.
    """
    code = code.detach()
    moves = _distance(moved, plain)  # (B, N)
    gains = _distance(plain, code).detach() - _distance(moved, code)
    return FactorLosses(
        invariant=F.cross_entropy(moves, factor, reduction="none"),
        variant=F.cross_entropy(gains, factor, reduction="none"),
        hit=(moves.argmax(1) == factor).to(code.dtype),
    )


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """|a_k - b_k| of every unit, (B, N, d) -> (B, N); its gradient at 0 is 0."""
    return torch.linalg.vector_norm(a - b, dim=2)

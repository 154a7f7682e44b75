"""A codebook learned by moving averages, for vector quantisation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DEAD = 1.0  # a code that stands for fewer vectors of a batch than this, on the moving average, is replaced


class EmaCodebook(nn.Module):
    """K codes, each the moving mean of the vectors nearest to it; buffers all, so they are saved with a model and resumed.

        N_k <- mu N_k + (1 - mu) n_k ,   S_k <- mu S_k + (1 - mu) sum of the vectors with code k ,   c_k = S_k / N_k

    n_k counts the vectors of the batch with code k. A code whose N_k falls below 1 is put on a random vector of the batch, and
    N_k and S_k begin anew from it (in Jukebox they keep the past of the dead code). Learning is done by `start` and `update`
    alone, looking up by pure functions. Under autocast, too, all of it is computed in the precision of the vectors.

    Source: van den Oord et al. 2017, "Neural Discrete Representation Learning", appendix A.1; Dhariwal et al. 2020, "Jukebox".
    """

    vectors: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(self, n_codes: int, dim: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("vectors", torch.zeros(n_codes, dim))
        self.register_buffer("sums", torch.zeros(n_codes, dim))
        self.register_buffer("counts", torch.zeros(n_codes))

    @property
    def is_empty(self) -> bool:
        """Whether no data was seen yet."""
        return not bool(self.counts.any())

    def nearest(self, x: Tensor) -> Tensor:
        """The codes of x (..., D): argmin_k |x - c_k|^2, (...) int64; the lowest of equally near ones."""
        # |x - c|^2 = |c|^2 - 2 x c + |x|^2, whose last term is the same for every code
        with torch.autocast(x.device.type, enabled=False):
            return (self.vectors.square().sum(1) - 2 * x.to(self.vectors) @ self.vectors.T).argmin(-1)

    def lookup(self, codes: Tensor) -> Tensor:
        """The vectors of codes (...): (..., D)."""
        return self.vectors[codes]

    @torch.no_grad()
    def start(self, x: Tensor, generator: torch.Generator) -> None:
        """Put every code on one of the vectors x (N, D), each on another as far as they go."""
        self._replace(torch.ones_like(self.counts, dtype=torch.bool), x, generator)

    @torch.no_grad()
    def update(self, x: Tensor, codes: Tensor, generator: torch.Generator) -> None:
        """Learn from the vectors x (N, D) with codes (N,)."""
        chosen = F.one_hot(codes, len(self.counts)).to(self.vectors)  # (N, K)
        self.counts.lerp_(chosen.sum(0), 1 - self.decay)
        with torch.autocast(x.device.type, enabled=False):
            self.sums.lerp_(chosen.T @ x.to(self.vectors), 1 - self.decay)
        self.vectors.copy_(self.sums / self.counts.unsqueeze(1))
        self._replace(self.counts < DEAD, x, generator)

    def _replace(self, dead: Tensor, x: Tensor, generator: torch.Generator) -> None:
        """Put the dead codes (K,) on random vectors of x; as many are drawn as there are codes, whichever are dead."""
        n_codes = len(dead)
        rounds = -(-n_codes // len(x))
        order = torch.randperm(rounds * len(x), generator=generator)[:n_codes] % len(x)
        drawn = x[order.to(x.device)].to(self.vectors)
        self.vectors.copy_(torch.where(dead.unsqueeze(1), drawn, self.vectors))
        self.sums.copy_(torch.where(dead.unsqueeze(1), drawn, self.sums))
        self.counts.copy_(torch.where(dead, torch.ones_like(self.counts), self.counts))

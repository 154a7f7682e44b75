"""Zero mean and unit variance for every number of a code, without parameters to undo it."""

import torch
from torch import Tensor, nn


class CodeNorm(nn.Module):
    """Affine-free norm of codes (B, N, d): batch statistics in training, running ones everywhere else.

    Without it the code of a denoiser that hardly needs it shrinks to nothing. With batch statistics at evaluation a vote of
    the FactorVAE metric, which holds one factor fixed, would be stretched back to unit variance; so `standardize`, which
    `encode` uses in every mode, never looks at the batch.

    Args:
        n_units: N.
        unit_dim: d.
        momentum: share of a new batch in the running statistics, in (0, 1]; the first batch sets them.
    """

    EPS = 1e-5
    mean: Tensor
    variance: Tensor
    batches: Tensor

    def __init__(self, n_units: int, unit_dim: int = 1, momentum: float = 0.01) -> None:
        super().__init__()
        if not 0 < momentum <= 1:
            raise ValueError(f"momentum must be in (0, 1], found {momentum}.")
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(n_units, unit_dim))
        self.register_buffer("variance", torch.ones(n_units, unit_dim))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, z: Tensor) -> Tensor:
        """(B, N, d) -> (B, N, d); in training by the statistics of this batch, which the running ones follow.

        Raises:
            ValueError: if a batch in training has less than two codes.
        """
        if not self.training:
            return self.standardize(z)
        if len(z) < 2:
            raise ValueError(f"the spread of a batch of codes needs at least 2 of them, found {len(z)}.")
        z = z.to(self.mean.dtype)  # autocast hands over halves
        variance, mean = torch.var_mean(z, dim=0, correction=0)
        self._follow(mean.detach(), variance.detach() * len(z) / (len(z) - 1))
        return (z - mean) * torch.rsqrt(variance + self.EPS)

    def standardize(self, z: Tensor) -> Tensor:
        """(B, N, d) -> (B, N, d) by the running statistics; a batch equals its singles."""
        return (z - self.mean) * torch.rsqrt(self.variance + self.EPS)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        # the mean over all batches at first, so that the start is not remembered; then an exponential one
        self.batches += 1
        share = (1 / self.batches.float()).clamp(min=self.momentum)
        self.mean.lerp_(mean, share)
        self.variance.lerp_(variance, share)

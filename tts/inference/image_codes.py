"""What the codes of a data set are like, unit by unit: their spread, the axis along which they vary, and its quantiles."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tts.data.files import atomic_path
from tts.errors import ModelError

LOW, HIGH = 0.05, 0.95
ACTIVE = 0.05  # a unit is active where its deviation is above this share of the largest one


@dataclass(frozen=True, eq=False)
class CodeStatistics:
    """Of codes z (n, N, d): N units of d numbers each.

    mean, std: of each number, (N, d).
    axis: the direction of greatest variance of each unit, (N, d), of length 1; 1 for scalars.
    low, high: the 5 % and 95 % quantiles of (z - mean) · axis, (N,).
    """

    mean: Tensor
    std: Tensor
    axis: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, codes: Tensor) -> "CodeStatistics":
        """Measured on codes (n, N, d), n at least 2."""
        codes = codes.double()
        mean, centred = codes.mean(0), codes - codes.mean(0)
        covariance = torch.einsum("nud,nue->ude", centred, centred) / (len(codes) - 1)
        axis = torch.linalg.eigh(covariance).eigenvectors[..., -1]  # (N, d)
        # the sign of an eigenvector is free: its largest number is positive
        largest = axis.gather(1, axis.abs().argmax(1, keepdim=True))
        axis = axis * torch.where(largest < 0, -1.0, 1.0)
        along = torch.einsum("nud,ud->nu", centred, axis)
        low, high = torch.quantile(along, torch.tensor([LOW, HIGH], dtype=along.dtype), dim=0)
        return cls(*(value.float() for value in (mean, codes.std(0), axis, low, high)))

    @property
    def active(self) -> Tensor:
        """Which units vary, (N,) bool: their deviation is above 5 % of the largest."""
        spread = self.std.square().sum(1).sqrt()
        return spread > ACTIVE * spread.max()

    def normalize(self, z: Tensor) -> Tensor:
        """(z - mean) / std, a number without spread divided by 1; z is (B, N, d)."""
        return (z - self.mean.to(z)) / self._scale.to(z)

    def denormalize(self, z: Tensor) -> Tensor:
        """The inverse of `normalize`."""
        return z * self._scale.to(z) + self.mean.to(z)

    def along(self, z: Tensor, unit: int, values: Iterable[float]) -> Tensor:
        """Codes (len(values), N, d) like z (N, d), whose unit lies at each of the values of (z - mean) · axis."""
        axis, mean = self.axis[unit].to(z), self.mean[unit].to(z)
        targets = torch.tensor(list(values)).to(z)
        moved = z.repeat(len(targets), 1, 1)
        moved[:, unit] += (targets - (z[unit] - mean) @ axis)[:, None] * axis
        return moved

    def save(self, path: Path) -> None:
        """Write a safetensors file, atomically."""
        with atomic_path(path) as temporary:
            save_file({f.name: getattr(self, f.name).contiguous() for f in fields(self)}, temporary)

    @classmethod
    def load(cls, path: Path, n_units: int, unit_dim: int) -> "CodeStatistics":
        """The statistics in a file, for codes of N units of d numbers each.

        Raises:
            ModelError: if it cannot be read, or its tensors are of other names or shapes, or not finite.
        """
        try:
            found = load_file(path)
        except (OSError, SafetensorError) as err:
            raise ModelError(f"{path}: cannot be read ({err}). Copy the model folder again.") from err
        matrix, vector = (n_units, unit_dim), (n_units,)
        expected = {"mean": matrix, "std": matrix, "axis": matrix, "low": vector, "high": vector}
        shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
        if shapes != expected:
            raise ModelError(f"{path}: found {shapes}, expected {expected}. Copy the model folder again.")
        if not all(tensor.isfinite().all() for tensor in found.values()):
            raise ModelError(f"{path}: not all values are finite. Train the model anew.")
        return cls(**{name: tensor.float() for name, tensor in found.items()})

    @property
    def _scale(self) -> Tensor:
        return torch.where(self.std > 0, self.std, torch.ones_like(self.std))

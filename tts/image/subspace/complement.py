"""What a subspace leaves out of images, as a Gaussian with one standard deviation."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from tts.diffusion import Composite, Parametrization, Schedule
from tts.image.subspace.projections import Projection


@dataclass(frozen=True, eq=False)
class Complement:
    """x_perp = (I - U U^T) x0 ~ N(mean, std^2) on the complement.

    Args:
        std: s, above 0, in the units of the images: the root mean square of a dimension of the complement.
        mean: one image that lies in the complement, (...); None is 0, as for images that are centred.

    Raises:
        ValueError: if std is not finite and above 0.
    """

    std: float
    mean: Tensor | None = None

    def __post_init__(self) -> None:
        if not 0 < self.std < math.inf:
            raise ValueError(f"the std of the complement must be finite and above 0, found {self.std}.")

    def denoiser(self, schedule: Schedule) -> Composite:
        """eps_hat of N(mean, std^2): no network at all, exact if the complement is that Gaussian."""
        return Composite(schedule, [], Parametrization("preconditioned", self.std), self.mean)


def measure_complement(batches: Iterable[Tensor], projection: Projection) -> Complement:
    """Mean and standard deviation of the complement over images in batches (B, ...), summed in float64.

        s^2 = E |x_perp - E x_perp|^2 / (d - n)

    Raises:
        ValueError: if there are less than two images, or the projection leaves nothing out of them.

    Source: Jing et al. 2022, eq. 9, for centred data; here the images need not be.
    """
    count, total, square, dims, dtype = 0, torch.zeros(()), torch.zeros(()), 0, torch.float32
    for x in batches:
        perp = projection.complement(x.double())
        total, square = total + perp.sum(0), square + perp.square().sum()
        count, dims, dtype = count + len(x), projection.complement_dims(x), x.dtype
    if count < 2 or dims == 0:
        raise ValueError(f"need at least 2 images and a complement of at least 1 dimension, found {count} and {dims}.")
    mean = total / count
    return Complement(math.sqrt((square / count - mean.square().sum()).item() / dims), mean.to(dtype))

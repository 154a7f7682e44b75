"""The subspace of pooled images, diffused by an ordinary image model of the smaller size."""

import dataclasses
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tts.config import to_dict
from tts.diffusion import Schedule, expand_like
from tts.diffusion.samplers import Denoiser
from tts.errors import ModelError
from tts.image.base import BaseModel
from tts.image.config import SCHEDULE_FIELDS, DiffusionModelConfig
from tts.image.datasets import ImageSet
from tts.image.factors import FactorSpace

_SHIFT_TOLERANCE = 1e-9

C = TypeVar("C", bound=DiffusionModelConfig)


class PooledSet:
    """A set of images at 1 / 2^levels of its size, each pixel the mean of a square, rounded to 0 … 255; see `ImageSet`.

    Raises:
        ValueError: if levels is below 1 or the size is no multiple of 2^levels.
    """

    def __init__(self, images: ImageSet, levels: int) -> None:
        if levels < 1 or images.size % 2**levels:
            raise ValueError(f"need levels >= 1 and a size that is a multiple of 2^levels, found {levels} and {images.size}.")
        self._images, self._side = images, 2**levels
        self.name, self.channels, self.size = images.name, images.channels, images.size // self._side
        self.factors: FactorSpace | None = images.factors
        self.label_names = images.label_names

    def __len__(self) -> int:
        return len(self._images)

    def images(self, index: ArrayLike) -> NDArray[np.uint8]:
        """The images (n, C, H, W) at `index` (n,)."""
        pixels = self._images.images(index)
        squares = pixels.reshape(*pixels.shape[:2], self.size, self._side, self.size, self._side)
        return np.rint(squares.mean(axis=(3, 5), dtype=np.float32)).astype(np.uint8)

    def labels(self, index: ArrayLike) -> NDArray[np.int64] | None:
        """As in the set itself."""
        return self._images.labels(index)


def pooled_config(full: C, levels: int) -> C:
    """The configuration of the ordinary model, of the same kind, that diffuses the pooled images: their size, and its shift.

    Pooled images are those of the subspace divided by 2^levels, which is the same process with sigma / alpha divided so too.

    Raises:
        ConfigError: if the smaller size is out of range.
    """
    diffusion = dataclasses.replace(full.diffusion, shift=full.diffusion.shift / 2**levels)
    return dataclasses.replace(full, size=full.size // 2**levels, diffusion=diffusion)


def pooled_denoiser(full: BaseModel, pooled: BaseModel, levels: int) -> Denoiser:
    """eps_hat of `AveragePool(levels)`'s subspace, on the schedule of `full`, by a model of the pooled images.

    Raises:
        ModelError: if size, channels or schedule of `pooled` are not those of `pooled_config`, or either diffuses latents.
    """
    names = ("channels", "size", *SCHEDULE_FIELDS, "vq", "kl")
    expected, found = (_described(c) for c in (pooled_config(full.config, levels), pooled.config))
    differing = [f"{n}: {found[n]}, expected {expected[n]}" for n in names if not _same(found[n], expected[n])]
    if differing or full.first_stage is not None:
        raise ModelError(
            f"the model of pooled images does not fit that of {full.config.size} pixels: "
            f"{'; '.join(differing) or 'they diffuse latents'}. Train it with pool={levels} and these values."
        )
    return rescaled_data(pooled.composite(None), full.schedule, float(2**levels))


def rescaled_data(denoiser: Denoiser, schedule: Schedule, factor: float) -> Denoiser:
    """eps_hat of data times `factor` on `schedule`, by a denoiser of the data on `shifted(schedule, 1 / factor)`.

    U = alpha factor x0 + sigma eps ,   U / sqrt(alpha^2 factor^2 + sigma^2) is the other's state, its noise the same
    """

    def scaled(u: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        return denoiser(u / expand_like((alpha**2 * factor**2 + sigma**2).sqrt(), u).to(u.dtype), t)

    return scaled


def cost_share(times: Tensor, switches: list[float], ratios: list[float], langevin: int = 0) -> float:
    """Cost of sampling through subspaces over that of the full space on the same grid, for one network call a step.

    On a uniform grid with one halving of the side and no correction this is t_1 + (1 - t_1) / 4.

    Args:
        times: strictly falling, with the switching times on it.
        switches: rising.
        ratios: cost of a call in each subspace over one in the full space, e.g. by torch.utils.flop_counter.
        langevin: steps of the correction after each switch, each one call in the larger space there.
    """
    starts = times[:-1]
    level = torch.zeros(len(starts), dtype=torch.long)
    for switch in switches:
        level += starts > switch
    costs = torch.tensor([1.0, *ratios], dtype=torch.float64)
    corrections = langevin * costs[: len(switches)].sum()
    return ((costs[level].sum() + corrections) / len(starts)).item()


def _described(config: DiffusionModelConfig) -> dict[str, object]:
    return {**to_dict(config.diffusion), **{n: to_dict(getattr(config, n)) for n in ("channels", "size", "vq", "kl")}}


def _same(found: object, expected: object) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return abs(found - expected) <= _SHIFT_TOLERANCE * abs(expected)
    return found == expected

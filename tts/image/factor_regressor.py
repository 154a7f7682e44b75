"""The reader of factors: a network of clean images whose outputs are the ground truth, and whose features measure distance."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tts.config import check_ranges
from tts.errors import ConfigError, DataError
from tts.image.config import MAX_SIZE, MAX_WIDTH
from tts.image.datasets import ImageSet
from tts.nets.image_encoder import ImageEncoder


class FactorKind(str, Enum):
    """`category`: values without order; `angle`: k / size of a turn; `value`: k / (size - 1) in [0, 1]."""

    category = "category"
    angle = "angle"
    value = "value"


@dataclass(frozen=True, kw_only=True)
class FactorHead:
    """One factor: its labels are whole numbers 0 … size - 1."""

    name: str
    size: int
    kind: FactorKind

    def __post_init__(self) -> None:
        check_ranges(self, f"regressor.{self.name}", "size", 2, 100000)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what is read out of an image: one number of a value, cos and sin of an angle, a share of each class."""
        if self.kind is FactorKind.value:
            return (self.name,)
        if self.kind is FactorKind.angle:
            return (f"cos {self.name}", f"sin {self.name}")
        return tuple(f"{self.name} {k}" for k in range(self.size))

    def targets(self, labels: Tensor) -> Tensor:
        """What the columns should be for labels (B,), (B, columns)."""
        if self.kind is FactorKind.value:
            return (labels / (self.size - 1))[:, None]
        if self.kind is FactorKind.angle:
            turn = 2 * torch.pi * labels / self.size
            return torch.stack([turn.cos(), turn.sin()], dim=1)
        return nn.functional.one_hot(labels, self.size).float()


@dataclass(frozen=True, kw_only=True)
class RegressorConfig:
    """Sizes of a `FactorRegressor`."""

    channels: int
    size: int  # height = width, pixels
    width: int = 16  # of the first convolution
    features: int = 64
    heads: tuple[FactorHead, ...]

    def __post_init__(self) -> None:
        check_ranges(self, "regressor", "channels", 1, 64)
        check_ranges(self, "regressor", "size", 8, MAX_SIZE)
        check_ranges(self, "regressor", "width features", 1, MAX_WIDTH)
        names = [head.name for head in self.heads]
        if not names or len({*names}) != len(names):
            raise ConfigError(f"regressor.heads: found {names}, expected at least one, each with a name of its own.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all numbers that are read out."""
        return tuple(name for head in self.heads for name in head.columns)

    def columns_of(self, factor: str) -> list[int]:
        """Which columns belong to a factor.

        Raises:
            ValueError: if there is no such factor.
        """
        owners = [head.name for head in self.heads for _ in head.columns]
        if factor not in owners:
            raise ValueError(f"no factor {factor!r}. Factors of this regressor: {', '.join(dict.fromkeys(owners))}.")
        return [i for i, owner in enumerate(owners) if owner == factor]


def regressor_config(images: ImageSet) -> RegressorConfig:
    """The configuration of a reader of all factors of a set: shapes are categories, orientations and hues angles.

    Raises:
        DataError: if the images have no known factors.
    """
    if images.factors is None:
        raise DataError(f"{images.name}: has no known factors to read. Take a set that has.")
    heads = tuple(
        FactorHead(name=name, size=size, kind=_kind(name))
        for name, size in zip(images.factors.names, images.factors.sizes, strict=True)
        if size > 1
    )
    return RegressorConfig(channels=images.channels, size=images.size, heads=heads)


def _kind(name: str) -> FactorKind:
    if name == "shape":
        return FactorKind.category
    return FactorKind.angle if name == "orientation" or name.endswith("hue") else FactorKind.value


class FactorRegressor(nn.Module):
    """x -> features (B, F) -> one linear head for each factor. Clean images only; a batch equals its singles.

    It stands where others have CLIP, LPIPS and Inception networks: none of those knows these images, and none is at hand.
    """

    def __init__(self, config: RegressorConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ImageEncoder(config.channels, config.width, config.size, config.features)
        self.heads = nn.ModuleList(nn.Linear(config.features, len(head.columns)) for head in config.heads)

    def features(self, x: Tensor) -> Tensor:
        """The features (B, F) of images x (B, C, H, W) in [-1, 1]; differentiable."""
        features: Tensor = self.encoder(x)
        return features

    def outputs(self, x: Tensor) -> list[Tensor]:
        """For each head its columns, (B, columns); logits of a category."""
        features = self.features(x)
        return [head(features) for head in self.heads]

    def forward(self, x: Tensor) -> Tensor:
        """The readouts (B, columns) of images x; of a category the probability of each class."""
        outputs = zip(self.config.heads, self.outputs(x), strict=True)
        return torch.cat([o.softmax(1) if h.kind is FactorKind.category else o for h, o in outputs], dim=1)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """|E(a) - E(b)|^2 / F of each pair of images, (B,): quadratic in small changes."""
        return (self.features(a) - self.features(b)).square().mean(1)


@torch.no_grad()
def read_images(regressor: FactorRegressor, x: Tensor, chunk: int = 256) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features (n, F) and readouts (n, columns) of many images x (n, C, H, W)."""
    features, readouts = [], []
    for part in x.split(chunk):
        features.append(regressor.features(part).cpu().numpy())
        readouts.append(regressor(part).cpu().numpy())
    return np.concatenate(features), np.concatenate(readouts)

"""Changes of h: a small network of h and time, or values that were fixed beforehand."""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.config import check_ranges
from tts.errors import ConfigError
from tts.image.config import MAX_SIZE, MAX_WIDTH
from tts.nets.image_blocks import group_norm, zeroed
from tts.nets.image_unet import Encoded


class DeltaH(Protocol):
    """(Encoded of B states, t (B,)) -> delta h, the shape of h."""

    def __call__(self, encoded: Encoded, t: Tensor) -> Tensor:
        """The change of h."""


@dataclass(frozen=True, kw_only=True)
class DeltaBlockConfig:
    """Sizes of a `DeltaBlock`: those of the h and the time embedding that it reads."""

    channels: int
    time_dim: int
    zero_init: bool = True  # begins as the identity edit; the released code begins at random

    def __post_init__(self) -> None:
        check_ranges(self, "delta_block", "channels time_dim", 1, MAX_WIDTH)
        if self.channels % 4:
            raise ConfigError(f"delta_block.channels: found {self.channels}, expected a multiple of 4.")


class DeltaBlock(nn.Module):
    """delta h = W2 SiLU(GroupNorm(W1 h + V SiLU(time))), pixel by pixel: convolutions of 1 x 1, no residual.

    Source: Kwon et al. 2023 (Asyrp), appendix A.
    """

    def __init__(self, config: DeltaBlockConfig) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv2d(config.channels, config.channels, 1)
        self.time = nn.Linear(config.time_dim, config.channels)
        self.norm = group_norm(config.channels)
        self.conv2 = nn.Conv2d(config.channels, config.channels, 1)
        if config.zero_init:
            zeroed(self.conv2)

    def forward(self, encoded: Encoded, t: Tensor) -> Tensor:
        """h (B, C, H, W) and its time embedding (B, E) -> (B, C, H, W)."""
        hidden = self.conv1(encoded.h) + self.time(F.silu(encoded.time))[..., None, None]
        return self.conv2(F.silu(self.norm(hidden)))


@dataclass(frozen=True, kw_only=True)
class FixedDeltaConfig:
    """Sizes of a `FixedDelta`."""

    channels: int
    height: int
    width: int
    times: int = 1
    images: int = 0  # 0: the same for every image

    def __post_init__(self) -> None:
        check_ranges(self, "fixed_delta", "channels", 1, MAX_WIDTH)
        check_ranges(self, "fixed_delta", "height width", 1, MAX_SIZE)
        check_ranges(self, "fixed_delta", "times", 1, 1000)
        check_ranges(self, "fixed_delta", "images", 0, 1e6)


class FixedDelta(nn.Module):
    """Values of delta h at some times, linear in t in between and constant beyond: of all images, or of each its own.

    One time makes it the same at all; as a parameter it can be trained in the place of a block.

    Attributes:
        values: (T, C, H, W), or (T, B, C, H, W) with `images` B; 0 at the start.
        times: (T,), strictly rising in (0, 1].

    Source: Kwon et al. 2023 (Asyrp), section 5.4, global directions.
    """

    times: Tensor

    def __init__(self, config: FixedDeltaConfig) -> None:
        super().__init__()
        self.config = config
        per_image = (config.images,) if config.images else ()
        self.values = nn.Parameter(torch.zeros(config.times, *per_image, config.channels, config.height, config.width))
        self.register_buffer("times", torch.arange(1, config.times + 1) / config.times)

    @classmethod
    def of(cls, values: Tensor, times: Tensor) -> "FixedDelta":
        """The delta with values (T, C, H, W) or (T, B, C, H, W) at strictly rising times (T,).

        Raises:
            ValueError: if the shapes do not fit or the times do not rise in (0, 1].
        """
        if values.ndim not in (4, 5) or times.shape != values.shape[:1]:
            raise ValueError(f"need values (T, C, H, W) or (T, B, C, H, W) at times (T,), found {values.shape}, {times.shape}.")
        if not bool((times.diff() > 0).all()) or not 0 < times[0] <= times[-1] <= 1:
            raise ValueError(f"times must rise strictly in (0, 1], found {times.tolist()[:8]}.")
        channels, height, width = values.shape[-3:]
        images = values.shape[1] if values.ndim == 5 else 0
        delta = cls(FixedDeltaConfig(channels=channels, height=height, width=width, times=len(times), images=images))
        delta.values.data, delta.times = values.detach().clone(), times.to(values)
        return delta

    def forward(self, encoded: Encoded, t: Tensor) -> Tensor:
        """t (B,) -> (B, C, H, W).

        Raises:
            ValueError: if it has values for another number of images or for an h of another shape.
        """
        if encoded.h.shape[1:] != self.values.shape[-3:] or self.config.images not in (0, len(t)):
            raise ValueError(f"this delta is of {tuple(self.values.shape)}, it does not fit h of {tuple(encoded.h.shape)}.")
        rows = torch.arange(len(t), device=t.device)
        own = (rows,) if self.config.images else ()
        if self.config.times == 1:
            return self.values[(torch.zeros_like(rows), *own)]
        t = t.to(self.times)
        i = torch.searchsorted(self.times, t).clamp(1, len(self.times) - 1)
        share = ((t - self.times[i - 1]) / (self.times[i] - self.times[i - 1])).clamp(0, 1)
        return torch.lerp(self.values[(i - 1, *own)], self.values[(i, *own)], share[:, None, None, None])

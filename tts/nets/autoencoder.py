"""Convolutional encoder and decoder between images and small latent planes, and the patch discriminator of their training."""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from tts.nets.image_blocks import group_norm, zeroed


class PlainResBlock(nn.Module):
    """Two 3x3 convolutions with group norm and SiLU before them, and a residual; it starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = group_norm(channels), group_norm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = zeroed(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class LatentEncoder(nn.Module):
    """Images (B, channels, H, W) -> planes (B, planes, H / f, W / f), f = 2^levels.

    Every level halves the image by a 4x4 convolution and has `blocks` residual blocks.
    """

    def __init__(self, channels: int, widths: Sequence[int], blocks: int, planes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise([channels, *widths]):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), *(PlainResBlock(after) for _ in range(blocks))]
        self.layers = nn.Sequential(*layers, group_norm(widths[-1]), nn.SiLU())
        self.leave = nn.Conv2d(widths[-1], planes, 3, padding=1)
        self.stride = 2 ** len(widths)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> latent planes.

        Raises:
            ValueError: if height or width is no multiple of f.
        """
        if x.shape[-2] % self.stride or x.shape[-1] % self.stride:
            raise ValueError(f"height and width must be multiples of {self.stride}, found {tuple(x.shape[-2:])}.")
        return self.leave(self.layers(x))


class LatentDecoder(nn.Module):
    """Planes (B, planes, h, w) -> images (B, channels, f h, f w), the mirror of a LatentEncoder."""

    def __init__(self, channels: int, widths: Sequence[int], blocks: int, planes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(planes, widths[-1], 3, padding=1)]
        downward = widths[::-1]
        for width, after in zip(downward, [*downward[1:], None], strict=True):
            layers += [PlainResBlock(width) for _ in range(blocks)]
            if after is not None:
                layers += [nn.Upsample(scale_factor=2.0, mode="nearest"), nn.Conv2d(width, after, 3, padding=1)]
        self.layers = nn.Sequential(*layers, group_norm(widths[0]), nn.SiLU())
        self.head = nn.Conv2d(widths[0], 4 * channels, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """Latent planes -> images, not clamped."""
        return F.pixel_shuffle(self.head(self.layers(latents)), 2)


class PatchDiscriminator(nn.Module):
    """Images (B, channels, H, W) -> one score per patch, (B, 1, H / 4, W / 4): high for real ones.

    Group norm instead of batch norm, so a batch equals its singles.

    Source: Isola et al. 2017 (PatchGAN).
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            group_norm(2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the patches of x."""
        return self.layers(x)

"""The U-Net of Grad-TTS and DDDM-VC over the mel as an image, with every statistic masked.

Differences from the published network, all needed for "a batch equals its singles": group norms and linear attention
see valid frames only. Parameter counts match (30,016,007 for 130 input planes at width 128).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.nets.blocks import MaskedGroupNorm
from tts.nets.embeddings import sinusoidal_embedding


class Block(nn.Module):
    """Masked 3x3 convolution, group norm, Mish."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm = MaskedGroupNorm(8, out_channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, H, T), mask (B, 1, 1, T) -> (B, C', H, T)."""
        return F.mish(self.norm(self.conv(x * mask), mask)) * mask


class ResnetBlock(nn.Module):
    """Two Blocks with the time embedding added between them."""

    def __init__(self, in_channels: int, out_channels: int, time_dim: int) -> None:
        super().__init__()
        self.time = nn.Linear(time_dim, out_channels)
        self.block1, self.block2 = Block(in_channels, out_channels), Block(out_channels, out_channels)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, time: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, H, T), time (B, D), mask (B, 1, 1, T) -> (B, C', H, T)."""
        h = self.block1(x, mask) + self.time(F.mish(time))[:, :, None, None]
        return self.block2(h, mask) + self.shortcut(x * mask)


class LinearAttention(nn.Module):
    """x + g attention(x) with softmax over valid positions of the keys, linear in their number; g starts at 0."""

    def __init__(self, channels: int, heads: int = 4, head_dim: int = 32) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Conv2d(channels, 3 * heads * head_dim, 1, bias=False)
        self.out = nn.Conv2d(heads * head_dim, channels, 1)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, H, T), mask (B, 1, 1, T) -> (B, C, H, T)."""
        batch, _, height, frames = x.shape
        q, k, v = self.qkv(x).view(batch, 3, self.heads, -1, height * frames).unbind(1)  # (B, heads, D, HT)
        hidden = (mask == 0).expand(-1, -1, height, -1).reshape(batch, 1, 1, -1)
        k = k.float().masked_fill(hidden, float("-inf")).softmax(dim=-1).to(v.dtype)
        context = torch.einsum("bhdn,bhen->bhde", k, v)
        attended = torch.einsum("bhde,bhdn->bhen", context, q).reshape(batch, -1, height, frames)
        return (x + self.gain * self.out(attended)) * mask


class Level(nn.Module):
    """Two ResnetBlocks and attention at one resolution."""

    def __init__(self, in_channels: int, out_channels: int, time_dim: int) -> None:
        super().__init__()
        self.block1 = ResnetBlock(in_channels, out_channels, time_dim)
        self.block2 = ResnetBlock(out_channels, out_channels, time_dim)
        self.attention = LinearAttention(out_channels)

    def forward(self, x: Tensor, time: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, H, T) -> (B, C', H, T)."""
        return self.attention(self.block2(self.block1(x, time, mask), time, mask), mask)


class UNet2d(nn.Module):
    """U-Net on planes (B, P, n_mels, T) and a condition vector -> (B, n_mels, T).

    The condition and the time embedding become `condition_planes` constant planes beside the inputs.
    Source: Popov et al. 2021 (Grad-TTS); Choi et al. 2024 (DDDM-VC).
    """

    def __init__(
        self,
        in_planes: int,
        dim: int,
        condition_dim: int,
        *,
        condition_planes: int = 128,
        multipliers: Sequence[int] = (1, 2, 4),
    ) -> None:
        super().__init__()
        self.dim = dim
        self.time = nn.Sequential(nn.Linear(dim, 4 * dim), nn.Mish(), nn.Linear(4 * dim, dim))
        self.condition = nn.Sequential(nn.Linear(dim + condition_dim, 4 * dim), nn.Mish(), nn.Linear(4 * dim, condition_planes))
        widths = [in_planes + condition_planes, *(dim * m for m in multipliers)]
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(Level(i, o, dim) for i, o in pairs)
        self.shrink = nn.ModuleList(nn.Conv2d(o, o, 3, stride=2, padding=1) for _, o in pairs[:-1])
        top = widths[-1]
        self.middle1, self.middle2 = ResnetBlock(top, top, dim), ResnetBlock(top, top, dim)
        self.middle_attention = LinearAttention(top)
        self.up = nn.ModuleList(Level(2 * o, i, dim) for i, o in reversed(pairs[1:]))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(i, i, 4, stride=2, padding=1) for i, _ in reversed(pairs[1:]))
        self.final = Block(dim, dim)
        self.head = nn.Conv2d(dim, 1, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.stride = 2 ** (len(multipliers) - 1)

    def forward(self, planes: Tensor, t: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """planes (B, P, n_mels, T), t (B,), condition (B, D), mask (B, 1, T) -> (B, n_mels, T)."""
        height, frames = planes.shape[-2:]
        if height % self.stride:
            raise ValueError(f"n_mels must be a multiple of {self.stride}, found {height}.")
        padding = -frames % self.stride
        embedded = sinusoidal_embedding(t, self.dim)
        time = self.time(embedded)
        extra = self.condition(torch.cat((embedded, condition), dim=-1))[:, :, None, None]
        masks = [F.pad(mask, (0, padding)).unsqueeze(1)]  # (B, 1, 1, T)
        x = F.pad(planes, (0, padding))
        h = torch.cat((x, extra.expand(-1, -1, *x.shape[-2:])), dim=1)
        skips = []
        for i, level in enumerate(self.down):
            h = level(h, time, masks[-1])
            skips.append(h)
            if i < len(self.shrink):
                h = self.shrink[i](h * masks[-1])
                masks.append(masks[-1][..., ::2])
        h = self.middle2(self.middle_attention(self.middle1(h, time, masks[-1]), masks[-1]), time, masks[-1])
        for level, grow in zip(self.up, self.grow, strict=True):
            h = level(torch.cat((h, skips.pop()), dim=1), time, masks[-1])
            h = grow(h * masks.pop())
        out = self.head(self.final(h, masks[0])) * masks[0]
        return out.squeeze(1)[..., :frames] * mask

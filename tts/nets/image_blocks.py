"""Blocks of the image networks: adaptive group norm, residual blocks, attention over pixels and over tokens.

Shapes: x (B, C, H, W), time (B, E), condition (B, E) or (B, N, D). Nothing works in place and attention is written out, so
that forward-mode and second derivatives exist for all of it.
"""

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

CONDITIONS = ("none", "scale", "scale_shift", "tokens")


@dataclass(frozen=True, kw_only=True)
class BlockSizes:
    """What all blocks of one network share."""

    time_dim: int  # E, width of the time embedding
    condition: str = "none"  # one of CONDITIONS
    condition_dim: int = 0  # width of the vector, or of one token, that the blocks are given
    heads: int = 4
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), found {self.dropout}.")


def check_condition(condition: str, condition_dim: int) -> None:
    """Raises ValueError unless the condition is one of CONDITIONS and of 0 width for "none", of at least 1 for the others."""
    if condition not in CONDITIONS:
        raise ValueError(f"unknown condition {condition!r}. Known conditions: {', '.join(CONDITIONS)}.")
    if condition_dim < 0 or (condition == "none") != (condition_dim == 0):
        expected = "0" if condition == "none" else "at least 1"
        raise ValueError(f"condition {condition!r} needs a condition_dim of {expected}, found {condition_dim}.")


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm with up to 32 groups of at least 4 channels; `channels` is a multiple of 4."""
    return nn.GroupNorm(math.gcd(32, channels // 4), channels)


def zeroed(conv: nn.Conv2d) -> nn.Conv2d:
    """The convolution with weights and bias of 0, in place."""
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
    return conv


class AdaptiveGroupNorm(nn.Module):
    """Group norm modulated by time, and then by a condition vector.

        scale        h <- (1 + z_s) ((1 + t_s) GN(h) + t_b)
        scale_shift  h <- (1 + z_s) ((1 + t_s) GN(h) + t_b) + z_b

    t_s, t_b, z_s, z_b are linear in SiLU of the time embedding and of the condition. Other conditions leave time alone.

    Source: Preechakul et al. 2022 (Diff-AE, scale); Zhang et al. 2022 (PDAE, scale and shift).
    """

    def __init__(self, channels: int, sizes: BlockSizes) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.time = nn.Linear(sizes.time_dim, 2 * channels)
        width = {"scale": channels, "scale_shift": 2 * channels}.get(sizes.condition)
        self.condition = nn.Linear(sizes.condition_dim, width) if width else None

    def forward(self, x: Tensor, time: Tensor, condition: Tensor | None) -> Tensor:
        """x (B, C, H, W), time (B, E), condition (B, D) where the norm has one -> (B, C, H, W)."""
        channels = x.shape[1]
        scale, shift = self.time(F.silu(time))[..., None, None].chunk(2, dim=1)
        h = (1 + scale) * self.norm(x) + shift
        if self.condition is None or condition is None:
            return h
        z = self.condition(F.silu(condition))[..., None, None]
        h = (1 + z[:, :channels]) * h
        return h + z[:, channels:] if z.shape[1] > channels else h


class ResBlock2d(nn.Module):
    """Two 3x3 convolutions with a residual, the second after an adaptive group norm; it starts as its shortcut."""

    def __init__(self, in_channels: int, out_channels: int, sizes: BlockSizes) -> None:
        super().__init__()
        self.norm1 = group_norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = AdaptiveGroupNorm(out_channels, sizes)
        self.drop = nn.Dropout(sizes.dropout)
        self.conv2 = zeroed(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, time: Tensor, condition: Tensor | None) -> Tensor:
        """x (B, C, H, W), time (B, E), condition (B, D) or None -> (B, C', H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = F.silu(self.norm2(h, time, condition))
        return self.conv2(self.drop(h)) + self.shortcut(x)


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Multi-head attention softmax(q k^T / sqrt(d)) v: q (B, P, C), k and v (B, N, C) -> (B, P, C).

    Written out because the fused kernels have no forward-mode derivative, which the geometry of h-space needs.
    """
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))  # (B, heads, P or N, d)
    weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


class PixelAttention(nn.Module):
    """Residual self-attention over all pixels; it starts as the identity."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"the {channels} channels of a level with attention must be a multiple of heads, found {heads}.")
        self.heads = heads
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=-1)  # (B, HW, C)
        return x + self.out(attend(q, k, v, self.heads).transpose(1, 2).unflatten(2, x.shape[2:]))


class TokenAttention(nn.Module):
    """Residual cross-attention: every pixel asks the N tokens; the order of the tokens does not matter.

    Its output is not zeroed at the start, so that the tokens' encoder learns from the first step on.

    Source: Rombach et al. 2022; Yang et al. 2024 (EncDiff).
    """

    def __init__(self, channels: int, heads: int, token_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = group_norm(channels)
        self.query = nn.Conv2d(channels, channels, 1)
        self.key_value = nn.Linear(token_dim, 2 * channels)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """x (B, C, H, W), tokens (B, N, D) -> (B, C, H, W)."""
        q = self.query(self.norm(x)).flatten(2).transpose(1, 2)  # (B, HW, C)
        k, v = self.key_value(tokens).chunk(2, dim=-1)  # (B, N, C)
        return x + self.out(attend(q, k, v, self.heads).transpose(1, 2).unflatten(2, x.shape[2:]))


class Attention2d(nn.Module):
    """Self-attention over pixels, then cross-attention to the tokens where the network is conditioned on tokens."""

    def __init__(self, channels: int, sizes: BlockSizes) -> None:
        super().__init__()
        self.pixels = PixelAttention(channels, sizes.heads)
        has_tokens = sizes.condition == "tokens"
        self.tokens = TokenAttention(channels, sizes.heads, sizes.condition_dim) if has_tokens else None

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """x (B, C, H, W), condition (B, N, D) where the network has tokens -> (B, C, H, W)."""
        h = self.pixels(x)
        return h if self.tokens is None or condition is None else self.tokens(h, condition)

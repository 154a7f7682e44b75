"""Building blocks of every network: masked convolutions, norms, feature-wise modulation, masked attention.

Shapes: x (B, C, T) or (B, C, H, T); mask (B, 1, T), 1 = real. Every block leaves padded frames at zero, so that a
batch equals its singles.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def lengths_to_mask(lengths: Tensor, max_length: int | None = None) -> Tensor:
    """Mask (B, 1, T) of float 1 where frame index < length, for lengths (B,)."""
    steps = torch.arange(max_length or int(lengths.max()), device=lengths.device)
    return (steps[None, :] < lengths[:, None]).unsqueeze(1).float()


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over valid frames: (B, C, T) -> (B, C); 0 where nothing is valid."""
    return (x * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each frame, so padding has no say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        centred = x - x.mean(1, keepdim=True)
        return centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + 1e-5) * self.gain + self.bias


class MaskedGroupNorm(nn.Module):
    """Group norm of (B, C, H, T) whose statistics see valid frames only."""

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, H, T), mask (B, 1, 1, T) -> (B, C, H, T), zero on padding."""
        batch, channels, height, frames = x.shape
        x = x * mask
        grouped = x.view(batch, self.groups, -1, frames)
        count = (mask.sum(-1) * (channels // self.groups * height)).clamp(min=1.0).view(batch, 1, 1, 1)
        mean = grouped.sum((2, 3), keepdim=True) / count
        centred = (grouped - mean) * mask
        variance = centred.square().sum((2, 3), keepdim=True) / count
        normed = (centred * torch.rsqrt(variance + 1e-5)).view_as(x)
        return (normed * self.weight[:, None, None] + self.bias[:, None, None]) * mask


class ResBlock1d(nn.Module):
    """Two masked convolutions with a residual; `condition` scales and shifts between them (FiLM).

    The second convolution starts at zero, so the block starts as its shortcut.
    """

    def __init__(self, in_channels: int, out_channels: int, condition_dim: int, kernel_size: int = 3) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.norm1 = ChannelNorm(in_channels)
        self.conv1 = nn.Conv1d(in_channels, out_channels, kernel_size, padding=padding)
        self.modulation = nn.Linear(condition_dim, 2 * out_channels)
        self.norm2 = ChannelNorm(out_channels)
        self.conv2 = nn.Conv1d(out_channels, out_channels, kernel_size, padding=padding)
        self.shortcut = nn.Conv1d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, T), condition (B, D), mask (B, 1, T) -> (B, C', T)."""
        scale, shift = self.modulation(F.silu(condition)).unsqueeze(-1).chunk(2, dim=1)
        h = self.conv1(F.silu(self.norm1(x)) * mask)
        h = self.norm2(h) * (1 + scale) + shift
        return (self.conv2(F.silu(h) * mask) + self.shortcut(x)) * mask


class SelfAttention(nn.Module):
    """Masked multi-head self-attention over frames with rotary positions."""

    def __init__(self, channels: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if channels % (2 * heads):
            raise ValueError(f"channels must be a multiple of 2 x heads, found {channels} and {heads}.")
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, T), mask (B, 1, T) -> (B, C, T)."""
        batch, channels, frames = x.shape
        qkv = self.qkv(x).view(batch, 3, self.heads, channels // self.heads, frames).transpose(-1, -2)
        q, k, v = qkv.unbind(1)  # (B, H, T, D)
        drop = self.dropout if self.training else 0.0
        h = F.scaled_dot_product_attention(rotate(q), rotate(k), v, attn_mask=mask.unsqueeze(1).bool(), dropout_p=drop)
        return self.out(h.transpose(-1, -2).reshape(batch, channels, frames)) * mask


def rotate(x: Tensor) -> Tensor:
    """Rotary position embedding of (B, H, T, D): pair (2i, 2i+1) of frame n turns by n / 10000^(2i/D).

    Source: Su et al. 2021, RoFormer, eq. 34.
    """
    frames, width = x.shape[-2:]
    rates = 10000.0 ** (-torch.arange(0, width, 2, device=x.device, dtype=torch.float32) / width)
    angles = torch.arange(frames, device=x.device, dtype=torch.float32)[:, None] * rates  # (T, D/2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class TransformerLayer(nn.Module):
    """Pre-norm attention and a convolutional feed-forward, both residual and masked."""

    def __init__(self, channels: int, heads: int, hidden: int, kernel_size: int = 3, dropout: float = 0.1) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.norm1, self.norm2 = ChannelNorm(channels), ChannelNorm(channels)
        self.attention = SelfAttention(channels, heads, dropout)
        self.conv1 = nn.Conv1d(channels, hidden, kernel_size, padding=padding)
        self.conv2 = nn.Conv1d(hidden, channels, kernel_size, padding=padding)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, T), mask (B, 1, T) -> (B, C, T)."""
        x = x + self.drop(self.attention(self.norm1(x) * mask, mask))
        h = self.drop(F.gelu(self.conv1(self.norm2(x) * mask)))
        return (x + self.drop(self.conv2(h * mask))) * mask

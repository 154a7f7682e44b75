"""A U-Net over frames with the mel bins as channels: the fast denoiser, what a CPU wants."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.nets.blocks import ChannelNorm, ResBlock1d, SelfAttention


class UNet1d(nn.Module):
    """Residual U-Net (B, in, T) -> (B, out, T), halving the frame rate between levels.

    Lengths that are no multiple of the stride are padded and trimmed inside. The last convolution starts at zero.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int],
        condition_dim: int,
        *,
        blocks: int = 2,
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.stride = 2 ** (len(channels) - 1)
        self.stem = nn.Conv1d(in_channels, channels[0], 3, padding=1)
        widths = [channels[0], *channels]
        self.down = nn.ModuleList(
            nn.ModuleList(ResBlock1d(widths[i] if b == 0 else c, c, condition_dim) for b in range(blocks))
            for i, c in enumerate(channels)
        )
        self.middle = ResBlock1d(channels[-1], channels[-1], condition_dim)
        self.attention_norm = ChannelNorm(channels[-1])
        self.attention = SelfAttention(channels[-1], heads)
        above = [*channels[1:], channels[-1]]
        self.up = nn.ModuleList(
            nn.ModuleList(ResBlock1d(above[i] + c if b == 0 else c, c, condition_dim) for b in range(blocks))
            for i, c in reversed(list(enumerate(channels)))
        )
        self.head_norm = ChannelNorm(channels[0])
        self.head = nn.Conv1d(channels[0], out_channels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """x (B, in, T), condition (B, D), mask (B, 1, T) -> (B, out, T), zero on padding."""
        frames = x.shape[-1]
        padding = -frames % self.stride
        masks = [F.pad(mask, (0, padding))]
        h = self.stem(F.pad(x * mask, (0, padding))) * masks[0]
        skips = []
        for level, blocks in enumerate(self.down):
            if level:
                masks.append(masks[-1][..., ::2])
                h = halve(h, masks[-2]) * masks[-1]
            for block in blocks:
                h = block(h, condition, masks[-1])
            skips.append(h)
        h = self.middle(h, condition, masks[-1])
        h = h + self.attention(self.attention_norm(h) * masks[-1], masks[-1])
        for level, blocks in enumerate(self.up):
            here = masks[-1 - level]
            if level:
                h = h.repeat_interleave(2, dim=-1) * here
            h = torch.cat((h, skips[-1 - level]), dim=1)
            for block in blocks:
                h = block(h, condition, here)
        out = self.head(F.silu(self.head_norm(h)) * masks[0])
        return out[..., :frames] * mask


def halve(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of each pair of frames, over the valid ones of the pair: (B, C, T) -> (B, C, T/2)."""
    pairs = x.unflatten(-1, (-1, 2)).sum(-1)
    count = mask.unflatten(-1, (-1, 2)).sum(-1).clamp(min=1.0)
    return pairs / count

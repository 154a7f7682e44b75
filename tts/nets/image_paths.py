"""The three parts of an image U-Net: down path, middle, up path. Denoisers and gradient decoders are made of them."""

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.nets.image_blocks import Attention2d, BlockSizes, ResBlock2d, group_norm, zeroed


class Stage(nn.Module):
    """A residual block, with attention after it where the level has it."""

    def __init__(self, in_channels: int, out_channels: int, sizes: BlockSizes, attention: bool) -> None:
        super().__init__()
        self.block = ResBlock2d(in_channels, out_channels, sizes)
        self.attention = Attention2d(out_channels, sizes) if attention else None

    def forward(self, x: Tensor, time: Tensor, condition: Tensor | None) -> Tensor:
        """x (B, C, H, W), time (B, E), condition as the network has it -> (B, C', H, W)."""
        h = self.block(x, time, condition)
        return h if self.attention is None else self.attention(h, condition)


class DownPath(nn.Module):
    """`blocks` stages per level, halving height and width between levels; every stage's output is a skip."""

    def __init__(self, widths: Sequence[int], blocks: int, attention: Sequence[bool], sizes: BlockSizes) -> None:
        super().__init__()
        befores = [widths[0], *widths[:-1]]
        self.levels = nn.ModuleList(
            nn.ModuleList(Stage(before if i == 0 else width, width, sizes, attends) for i in range(blocks))
            for before, width, attends in zip(befores, widths, attention, strict=True)
        )
        self.shrink = nn.ModuleList(nn.Conv2d(width, width, 3, stride=2, padding=1) for width in widths[:-1])

    def forward(
        self, x: Tensor, time: Tensor, condition: Tensor | None, *, first: int = 0, last: int | None = None
    ) -> list[Tensor]:
        """x (B, widths[0], H, W) -> the skips, level by level; the last one is the end of the path.

        With `first` and `last` of stages number first to last - 1 alone; x is then what the stage before gave.
        """
        h, skips = x, []
        for shrink, stage in islice(self.stages(), first, last):
            h = stage(h if shrink is None else shrink(h), time, condition)
            skips.append(h)
        return skips

    def stages(self) -> Iterator[tuple[nn.Module | None, nn.Module]]:
        """Every stage in order, with what halves its input where a level begins."""
        for i, level in enumerate(self.levels):
            for j, stage in enumerate(level.children()):
                yield self.shrink[i - 1] if i and not j else None, stage


class Middle(nn.Module):
    """Residual block, attention, residual block at the lowest resolution."""

    def __init__(self, channels: int, sizes: BlockSizes) -> None:
        super().__init__()
        self.first = Stage(channels, channels, sizes, attention=True)
        self.last = Stage(channels, channels, sizes, attention=False)

    def forward(self, x: Tensor, time: Tensor, condition: Tensor | None) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return self.last(self.first(x, time, condition), time, condition)


class UpPath(nn.Module):
    """The mirror of a DownPath, whose stages take its skips one by one, and a head that filters what the path began with.

        out = b(h) + S (a(h) * A x)

    x is the folded image, the first of the skips: each of its positions is a block of pixels. A takes blocks to a learned
    basis, S back, and the features h say by which gains a and shift b: a Wiener filter of every block. Without it the noise of
    all pixels of a block has to pass through a network with no more channels than the block has numbers, and samples stay
    grainy. A starts orthogonal and S as its inverse, a and b at zero, and so does the output.
    """

    def __init__(
        self, widths: Sequence[int], blocks: int, attention: Sequence[bool], out_channels: int, sizes: BlockSizes
    ) -> None:
        super().__init__()
        belows = [*widths[1:], widths[-1]]
        levels = list(zip(belows, widths, attention, strict=True))
        self.levels = nn.ModuleList(
            nn.ModuleList(Stage((below if i == 0 else width) + width, width, sizes, attends) for i in range(blocks))
            for below, width, attends in reversed(levels)
        )
        self.grow = nn.ModuleList(nn.Conv2d(low, low, 3, padding=1) for _, low in reversed(list(pairwise(widths))))
        self.norm = group_norm(widths[0])
        self.head = zeroed(nn.Conv2d(widths[0], 2 * out_channels, 3, padding=1))
        self.analysis = nn.Conv2d(out_channels, out_channels, 1, bias=False)
        self.synthesis = nn.Conv2d(out_channels, out_channels, 1, bias=False)
        nn.init.orthogonal_(self.analysis.weight)
        with torch.no_grad():
            self.synthesis.weight.copy_(self.analysis.weight.transpose(0, 1))

    def forward(self, h: Tensor, skips: Sequence[Tensor], time: Tensor, condition: Tensor | None) -> Tensor:
        """h (B, widths[-1], H', W'), the folded image (B, out_channels, H, W) and the skips of the down path -> its shape."""
        image, *left = skips
        return self.image(self.features(h, left, time, condition), image)

    def features(
        self,
        h: Tensor,
        skips: Sequence[Tensor],
        time: Tensor,
        condition: Tensor | None,
        *,
        first: int = 0,
        last: int | None = None,
    ) -> Tensor:
        """The end of the path, (B, widths[0], H, W), or of its stages number first to last - 1, by the skips of a down path.

        Each takes the last skip that is left; h is what the stage before gave.
        """
        left = list(skips)
        for grow, stage in islice(self.stages(), first, last):
            h = h if grow is None else grow(F.interpolate(h, scale_factor=2.0, mode="nearest"))
            h = stage(torch.cat((h, left.pop()), dim=1), time, condition)
        return h

    def stages(self) -> Iterator[tuple[nn.Module | None, nn.Module]]:
        """Every stage in order, with what its doubled input goes through where a level begins."""
        for i, level in enumerate(self.levels):
            for j, stage in enumerate(level.children()):
                yield self.grow[i - 1] if i and not j else None, stage

    def image(self, h: Tensor, image: Tensor) -> Tensor:
        """The head: features (B, widths[0], H, W) and the folded image -> the shape of the image."""
        shift, gain = self.head(F.silu(self.norm(h))).chunk(2, dim=1)
        return shift + self.synthesis(gain * self.analysis(image))


def check_sizes(base: int, multipliers: Sequence[int], blocks: int, attention: Sequence[bool], unshuffle: int) -> None:
    """Raises ValueError unless the sizes make a U-Net; says which one does not."""
    if base < 4 or base % 4:
        raise ValueError(f"base must be a multiple of 4, found {base}.")
    if not multipliers or min(multipliers) < 1:
        raise ValueError(f"multipliers must be whole numbers of at least 1, one per level, found {tuple(multipliers)}.")
    if len(attention) != len(multipliers):
        raise ValueError(f"attention needs one flag per level, found {len(attention)} for {len(multipliers)} levels.")
    if blocks < 1 or unshuffle < 1:
        raise ValueError(f"blocks and unshuffle must be at least 1, found {blocks} and {unshuffle}.")

"""The U-Net of the image side, cut at its middle: `encode` to h and the skips, `decode` from them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from tts.nets.embeddings import sinusoidal_embedding
from tts.nets.image_blocks import BlockSizes, check_condition
from tts.nets.image_paths import DownPath, Middle, UpPath, check_sizes


class Encoded(NamedTuple):
    """A noisy image after the encoder half; a tuple of tensors, so `torch.func` can carry it."""

    h: Tensor  # (B, C', H', W'), the output of the middle block
    skips: tuple[Tensor, ...]  # the folded image, then every stage of the down path, from the first on; no part of h
    time: Tensor  # (B, E), the time embedding

    def detach(self) -> "Encoded":
        """The same values without their history: nothing behind gets a gradient."""
        return Encoded(self.h.detach(), tuple(skip.detach() for skip in self.skips), self.time.detach())

    def repeat_interleave(self, n: int) -> "Encoded":
        """Every sample n times in a row, (n B, ...), as N factors of each image are batched: sample b, factor c at b n + c."""
        h, *skips, time = (x.repeat_interleave(n, dim=0) for x in (self.h, *self.skips, self.time))
        return Encoded(h, tuple(skips), time)


class ImageUNet(nn.Module):
    """Residual U-Net over images: x (B, C, H, W), t (B,) and a condition -> (B, C, H, W); untrained it gives zero.

        decode(encode(x, t, z), z) = forward(x, t, z)

    Args:
        channels: C of the image.
        base: width of the first level, a multiple of 4.
        multipliers: width of each level in units of base; height and width halve between levels.
        blocks: residual blocks per level, on the way down and on the way up.
        attention: per level, whether its blocks are followed by attention; the middle always has it.
        heads: of every attention.
        unshuffle: side of the pixel blocks that are folded into channels first, which makes small machines fast.
        condition: "none"; "scale" or "scale_shift", a vector (B, condition_dim) in every adaptive group norm; "tokens",
            (B, N, condition_dim), asked by cross-attention wherever there is attention.
        condition_dim: width of the vector, or of one token; 0 for "none".
        dropout: in the residual blocks.

    Raises:
        ValueError: for sizes that make no network.

    Source: Ho et al. 2020; Dhariwal and Nichol 2021; conditions of Diff-AE, PDAE and EncDiff.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        channels: int,
        base: int,
        multipliers: Sequence[int],
        attention: Sequence[bool],
        blocks: int = 1,
        heads: int = 4,
        unshuffle: int = 1,
        condition: str = "none",
        condition_dim: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(base, multipliers, blocks, attention, unshuffle)
        check_condition(condition, condition_dim)
        self.channels, self.base, self.unshuffle = channels, base, unshuffle
        self.condition_kind, self.condition_dim = condition, condition_dim
        self.stride = unshuffle * 2 ** (len(multipliers) - 1)  # height and width must be multiples of it
        time_dim = 4 * base
        has_vector = condition in ("scale", "scale_shift")
        inner_dim = time_dim if has_vector else condition_dim
        sizes = BlockSizes(time_dim=time_dim, condition=condition, condition_dim=inner_dim, heads=heads, dropout=dropout)
        widths = [base * m for m in multipliers]
        planes = channels * unshuffle**2
        self.time = nn.Sequential(nn.Linear(base, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim))
        self.condition = nn.Linear(condition_dim, time_dim) if has_vector else nn.Identity()
        self.stem = nn.Conv2d(planes, base, 3, padding=1)
        self.down = DownPath(widths, blocks, attention, sizes)
        self.middle = Middle(widths[-1], sizes)
        self.up = UpPath(widths, blocks, attention, planes, sizes)

    def encode(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Encoded:
        """The encoder half: down path and middle block.

        Args:
            x: noisy images, (B, C, H, W), H and W multiples of `stride`.
            t: time in (0, 1], (B,).
            condition: (B, condition_dim), or tokens (B, N, condition_dim), or None, as the network was built.

        Raises:
            ValueError: if x or condition do not fit the network.
        """
        folded, time, inner = self.told(x, t, condition)
        skips = self.down(self.stem(folded), time, inner)
        return Encoded(self.middle(skips[-1], time, inner), (folded, *skips), time)

    def told(self, x: Tensor, t: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """What the paths begin with: the folded image, the time embedding and the condition as the blocks take it.

        Raises:
            ValueError: as `encode`.
        """
        if x.ndim != 4 or x.shape[1] != self.channels or x.shape[2] % self.stride or x.shape[3] % self.stride:
            raise ValueError(
                f"images must be (B, {self.channels}, H, W) with H and W multiples of {self.stride}, found {tuple(x.shape)}."
            )
        time = self.time(sinusoidal_embedding(t, self.base).to(x.dtype))
        return F.pixel_unshuffle(x, self.unshuffle), time, self.inner(condition)

    def decode(self, encoded: Encoded, condition: Tensor | None = None, *, h: Tensor | None = None) -> Tensor:
        """The decoder half: h and the skips -> (B, C, H, W); `h` takes the place of `encoded.h` where it is given."""
        h = encoded.h if h is None else h
        return F.pixel_shuffle(self.up(h, encoded.skips, encoded.time, self.inner(condition)), self.unshuffle)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """x (B, C, H, W), t (B,), condition as in `encode` -> (B, C, H, W)."""
        return self.decode(self.encode(x, t, condition), condition)

    def inner(self, condition: Tensor | None) -> Tensor | None:
        """The condition as the blocks take it, checked.

        Raises:
            ValueError: if it does not fit the network.
        """
        if self.condition_kind == "none":
            if condition is not None:
                raise ValueError(f"this network has no condition, found one of shape {tuple(condition.shape)}.")
            return None
        axes = 3 if self.condition_kind == "tokens" else 2
        if condition is None or condition.ndim != axes or condition.shape[-1] != self.condition_dim:
            found = None if condition is None else tuple(condition.shape)
            expected = f"(B, {'N, ' if axes == 3 else ''}{self.condition_dim})"
            raise ValueError(f"the condition {self.condition_kind!r} must be {expected}, found {found}.")
        return self.condition(condition)

"""Randomness that belongs to a frame: a function of seed, draw and frame number, so that pieces of a long signal agree."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_BLOCK = 64  # frames drawn from one generator


def draw_frames(draw: Callable[..., Tensor], key: tuple[int, ...], first: int, n_frames: int, width: int) -> Tensor:
    """Random numbers (n_frames, width) of the frames from `first` on; frame n has the same ones whatever piece it is asked in.

    Args:
        draw: torch.randn or torch.rand.
        key: whole numbers that name the stream.
        first: absolute number of the first frame, 0 or more.
        n_frames: how many.
        width: numbers a frame.
    """
    low, high = first // _BLOCK, -(-(first + n_frames) // _BLOCK)
    generators = [torch.Generator().manual_seed(hash((*key, block)) % 2**63) for block in range(low, high)]
    blocks = [draw(_BLOCK, width, generator=generator) for generator in generators]
    return torch.cat(blocks)[first - low * _BLOCK :][:n_frames]


class FrameNoise:
    """Standard normal noise of utterances, or of pieces of them; every call is the next draw.

    Drawn on the CPU in float32 whatever the device: a seed means the same everywhere, and a batch equals its singles.
    """

    def __init__(self, seeds: Sequence[int], lengths: Sequence[int], firsts: Sequence[int]) -> None:
        """Says what is drawn.

        Args:
            seeds: of every item.
            lengths: its frames.
            firsts: absolute number of its first frame in its utterance.
        """
        self.items = list(zip(seeds, lengths, firsts, strict=True))
        self.n_draws = 0

    def __call__(self, like: Tensor) -> Tensor:
        """Noise of the shape (B, n_mels, T) of `like`, zero on padding."""
        noise = torch.zeros(like.shape)
        for i, (seed, length, first) in enumerate(self.items):
            noise[i, :, :length] = draw_frames(torch.randn, (seed, self.n_draws), first, length, like.shape[1]).T
        self.n_draws += 1
        return noise.to(like)

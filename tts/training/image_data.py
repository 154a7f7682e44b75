"""Batches of images as a function of (seed, batch number) alone."""

import numpy as np
import torch
from torch import Tensor

from tts.data.stream import BatchStream
from tts.image.datasets import ImageSet, to_model


class ImageStream(BatchStream):
    """An endless stream of batches: images x (B, C, H, W) in [-1, 1], and their labels (B, K) or None.

    Images are drawn with replacement. Batch n is a function of the seed and n, so the stream is the same with any number of
    worker processes, and a resumed run takes it up at `first_batch`. Use it with `DataLoader(..., batch_size=None)`.

    Args:
        images: where they come from.
        batch_size: images in a batch, 1 or more.
        seed: of the draws.
        flips: mirror each image with probability one half.
        first_batch: the batch to begin with.

    Raises:
        ValueError: if batch_size is below 1 or first_batch below 0.
    """

    def __init__(self, images: ImageSet, batch_size: int, *, seed: int = 0, flips: bool = False, first_batch: int = 0) -> None:
        super().__init__()
        if batch_size < 1 or first_batch < 0:
            raise ValueError(f"need batch_size >= 1 and first_batch >= 0, found {batch_size} and {first_batch}.")
        self.images, self.batch_size, self.seed = images, batch_size, seed
        self.flips, self.first_batch = flips, first_batch

    def batch(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Batch `number` of the stream."""
        generator = np.random.default_rng((self.seed, number))
        index = generator.integers(len(self.images), size=self.batch_size)
        pixels, labels = self.images.images(index), self.images.labels(index)
        if self.flips:
            mirrored = generator.random(self.batch_size) < 0.5
            pixels = np.where(mirrored[:, None, None, None], pixels[..., ::-1], pixels)
        return to_model(pixels), None if labels is None else torch.from_numpy(labels)

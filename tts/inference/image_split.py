"""Images that a model is trained without, so that it can be measured on what it has not seen."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tts.image.datasets import ImageSet
from tts.image.factors import checked_index
from tts.metrics.partition import held_out

SEED = 0  # of what is held out: training and every evaluation agree on it


def unseen(index: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Which of the images at `index` (n,) a training with `held_out = share` leaves out, (n,); with 0 none.

    A function of the index, which on a grid of factors is the combination of their values.
    """
    return held_out(index[:, None], share, SEED) if share else np.zeros(len(index), dtype=np.bool_)


class SeenImages:
    """The images of a set that a training sees; an index counts through these alone, so there is no grid of factors.

    Args:
        images: the whole set.
        share: of it that is held out, in (0, 1).
    """

    factors = None

    def __init__(self, images: ImageSet, share: float) -> None:
        every = np.arange(len(images))
        self.whole, self.kept = images, every[~unseen(every, share)]
        self.name, self.size, self.channels = images.name, images.size, images.channels
        self.label_names = images.label_names

    def __len__(self) -> int:
        return len(self.kept)

    def images(self, index: ArrayLike) -> NDArray[np.uint8]:
        """See `ImageSet.images`."""
        return self.whole.images(self.kept[checked_index(index, len(self))])

    def labels(self, index: ArrayLike) -> NDArray[np.int64] | None:
        """See `ImageSet.labels`."""
        return self.whole.labels(self.kept[checked_index(index, len(self))])


def seen_images(images: ImageSet, share: float) -> ImageSet:
    """The set that a training with `held_out = share` draws from: the images themselves where that is 0."""
    return SeenImages(images, share) if share else images

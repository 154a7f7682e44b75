"""What a training leaves out is the same everywhere, and it never sees it."""

import numpy as np
import pytest

from tts.image.datasets import open_images
from tts.inference.image_split import seen_images, unseen


@pytest.fixture(scope="module")
def images():
    return open_images("shapes", size=16)


def test_the_seen_images_are_the_others_with_their_labels(images):
    seen, every = seen_images(images, 0.2), np.arange(len(images))
    out = unseen(every, 0.2)
    assert out.mean() == pytest.approx(0.2, abs=0.003)  # 480,000 draws, 5 standard deviations
    assert len(seen) == len(images) - out.sum() and seen.factors is None
    some = np.array([0, 7, len(seen) - 1])
    kept = every[~out][some]
    assert np.array_equal(seen.images(some), images.images(kept))
    assert np.array_equal(seen.labels(some), images.labels(kept))
    with pytest.raises(ValueError, match="need an index in 0"):
        seen.images(np.array([len(seen)]))


def test_an_image_is_held_out_whatever_others_are_asked_for_and_none_with_a_share_of_0(images):
    assert unseen(np.array([5, 9]), 0.5)[1] == unseen(np.array([9]), 0.5)[0]
    assert not unseen(np.arange(100), 0.0).any()
    assert seen_images(images, 0.0) is images

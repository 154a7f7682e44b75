import numpy as np
import pytest
import torch

from tts.errors import DataError
from tts.image.datasets import open_images, to_model, to_uint8


@pytest.mark.parametrize("name", ["sprites", "shapes"])
def test_a_rendered_set_opens_by_its_name_with_all_that_a_set_offers(name):
    images = open_images(name, size=8)
    assert (images.name, images.size) == (name, 8)
    assert images.channels == (1 if name == "sprites" else 3)
    assert images.factors is not None
    assert images.label_names == images.factors.names
    assert images.images([0, len(images) - 1]).shape == (2, images.channels, 8, 8)
    assert np.array_equal(images.labels([5]), images.factors.factors([5]))
    assert images.images([]).shape == (0, images.channels, 8, 8)
    for index in ([len(images)], [-1]):
        with pytest.raises(ValueError, match="need an index"):
            images.images(index)
        with pytest.raises(ValueError, match="need an index"):
            images.labels(index)


def test_pixels_go_to_minus_one_and_one_and_come_back():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    x = to_model(pixels)
    assert x.dtype == torch.float32
    assert x.shape == (1, 1, 16, 16)
    assert (x[0, 0, 0, 0], x[0, 0, -1, -1]) == (-1, 1)
    assert x.flatten()[51].item() == pytest.approx(-0.6)
    assert np.array_equal(to_uint8(x), pixels)


def test_images_beyond_the_range_are_clipped_and_rounded():
    assert to_uint8(torch.tensor([-7.0, -1.0, 0.0, 0.004, 1.0, 3.0])).tolist() == [0, 0, 128, 128, 255, 255]


def test_images_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        to_uint8(torch.tensor([0.0, float("nan")]))


def test_an_image_is_never_scaled_twice():
    with pytest.raises(ValueError, match=r"need pixels of uint8 in 0 … 255, found float32"):
        to_model(np.zeros((1, 1, 8, 8), np.float32))
    with pytest.raises(ValueError, match=r"need images of floating point in \[-1, 1\], found torch.uint8"):
        to_uint8(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))


def test_a_name_that_is_neither_set_nor_path_is_refused_with_the_known():
    with pytest.raises(DataError, match=r"/no/such: no such file or folder, and no set of that name. Known: sprites, shapes"):
        open_images("/no/such")


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("words")
    with pytest.raises(DataError, match=r"notes.txt: not a set of images. Expected a folder, an .npz"):
        open_images(str(path))

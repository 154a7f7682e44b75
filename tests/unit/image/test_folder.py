import logging
import os

import numpy as np
import pytest
from PIL import Image

from tts.errors import DataError
from tts.image import folder
from tts.image.datasets import open_images

RNG = np.random.default_rng(0)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def plain(path, colour, size=(12, 12), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)


def first_pixels(images):
    return images.images(np.arange(len(images)))[:, :, 0, 0].tolist()


def test_images_at_any_depth_come_in_the_order_of_their_paths(root):
    plain(root / "b" / "z.png", GREEN)
    plain(root / "a.PNG", RED)
    plain(root / "c" / "d" / "y.bmp", BLUE)
    plain(root / ".hidden" / "x.png", RED)
    plain(root / ".x.png", RED)
    (root / "notes.txt").write_text("no image")
    images = open_images(str(root), size=8)
    assert (images.name, images.size, images.channels, len(images)) == ("photos", 8, 3, 3)
    assert first_pixels(images) == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert images.factors is None
    assert images.label_names == ()
    assert images.labels([0]) is None
    assert images.images([2, 0]).dtype == np.uint8
    with pytest.raises(ValueError, match="need an index in 0 … 2"):
        images.images([3])


def test_the_largest_square_of_the_centre_is_cut_out(root):
    wide = np.zeros((8, 20, 3), np.uint8)
    wide[:, 6:14] = RNG.integers(0, 256, (8, 8, 3))
    Image.fromarray(wide).save(root / "a.png")
    Image.fromarray(wide.transpose(1, 0, 2)).save(root / "b.png")
    images = open_images(str(root), size=8).images([0, 1])
    assert np.array_equal(images[0], wide[:, 6:14].transpose(2, 0, 1))
    assert np.array_equal(images[1], wide[:, 6:14].transpose(2, 1, 0))


def test_stripes_finer_than_a_pixel_become_grey_and_no_moire(root):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 254
    Image.fromarray(stripes).save(root / "a.png")
    image = open_images(str(root), size=8).images([0])
    assert abs(image[:, :, :, 1:-1].astype(int) - 127).max() <= 2


@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (8, 1), (3, 2), (6, 3)])
def test_a_photo_is_turned_as_its_exif_says(root, orientation, turn):
    """8, 3 and 6 mean: to be shown after a quarter turn counter-clockwise, a half, and a quarter clockwise."""
    pixels = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(root / "a.png", exif=exif)
    image = open_images(str(root), size=8).images([0])[0].transpose(1, 2, 0)
    assert np.array_equal(image, np.rot90(pixels, turn))


def test_grey_images_have_one_channel_unless_one_of_them_has_colour(root):
    plain(root / "a.png", 100, mode="L")
    plain(root / "b.png", 1, mode="1")
    grey = open_images(str(root), size=8)
    assert (grey.channels, first_pixels(grey)) == (1, [[100], [255]])
    plain(root / "c.png", RED)
    mixed = open_images(str(root), size=8)
    assert (mixed.channels, first_pixels(mixed)) == (3, [[100] * 3, [255] * 3, [255, 0, 0]])


def test_what_is_left_out_and_palettes_of_greys_do_not_make_grey_images_coloured(root):
    plain(root / "a.png", 100, mode="L")
    plain(root / "grey.png", 100, mode="L")
    Image.open(root / "grey.png").convert("P").save(root / "grey.png")
    plain(root / "deep.png", 100, mode="I;16")
    plain(root / "tiny.png", RED, size=(7, 90))
    found = open_images(str(root), size=8)
    assert (found.channels, first_pixels(found)) == (1, [[100], [100]])
    plain(root / "red.png", RED)
    Image.open(root / "red.png").convert("P").save(root / "red.png")
    assert open_images(str(root), size=8).channels == 3


def test_a_stray_file_of_matlab_does_not_make_a_folder_of_photos_the_set_of_cars(root):
    plain(root / "a.png", RED)
    (root / "notes.mat").write_text("words")
    assert len(open_images(str(root), size=8)) == 1


def test_palettes_and_alpha_become_plain_colours(root):
    plain(root / "a.gif", RED)
    plain(root / "b.png", (0, 255, 0, 7), mode="RGBA")
    plain(root / "c.jpg", (0, 255, 255, 0), mode="CMYK", quality=100)
    a, b, c = first_pixels(open_images(str(root), size=8))
    assert (a, b) == ([255, 0, 0], [0, 255, 0])
    np.testing.assert_allclose(c, [255, 0, 0], atol=3)


def test_what_cannot_be_used_is_left_out_and_named_every_time(root, caplog):
    noise = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for name in ("a.png", "cut.png", "cut.jpg", "z.png"):
        Image.fromarray(noise).save(root / name)
    for name in ("cut.png", "cut.jpg"):
        (root / name).write_bytes((root / name).read_bytes()[:600])
    (root / "empty.png").touch()
    (root / "words.png").write_text("words")
    plain(root / "tiny.png", RED, size=(7, 90))
    plain(root / "deep.png", 70, mode="I;16")
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            images = open_images(str(root), size=8)
        assert [path.name for path in images.files] == ["a.png", "z.png"]
        assert images.images([0, 1]).shape == (2, 3, 8, 8)
        left_out = {"cut.png", "cut.jpg", "empty.png", "words.png", "tiny.png", "deep.png"}
        assert {path.name for path in images.skipped} == left_out
        assert "6 of 8 images left out" in caplog.text
        assert "cut.jpg" in caplog.text
    assert images.skipped[root / "tiny.png"] == "7 × 90 pixels, too small"
    assert images.skipped[root / "deep.png"] == "pixels of kind I;16, expected 8 bits a channel"


def test_images_are_decoded_once_and_again_when_one_changes(root, monkeypatch):
    plain(root / "a.png", RED)
    open_images(str(root), size=8)
    with monkeypatch.context() as patch:
        patch.setattr(folder, "square_image", lambda *_: pytest.fail("was decoded again"))
        images = open_images(str(root), size=8)
        assert isinstance(images._pixels, np.memmap)
        assert first_pixels(images) == [[255, 0, 0]]
    plain(root / "a.png", BLUE)
    os.utime(root / "a.png", (1, 1))
    assert first_pixels(open_images(str(root), size=8)) == [[0, 0, 255]]
    assert open_images(str(root), size=12).images([0]).shape == (1, 3, 12, 12)


def test_a_folder_without_images_and_one_without_usable_images_are_refused(root):
    with pytest.raises(DataError, match=r"photos: holds no image, expected files ending in .png"):
        open_images(str(root))
    plain(root / "a.png", RED, size=(16, 16))
    with pytest.raises(DataError, match=r"photos: no image of at least 32 × 32 pixels that can be read"):
        open_images(str(root), size=32)


def test_a_size_out_of_range_is_refused(root):
    plain(root / "a.png", RED)
    with pytest.raises(ValueError, match=r"size must be in \[8, 256\] pixels, found 7"):
        open_images(str(root), size=7)


def test_a_number_of_channels_can_be_asked_for(root):
    plain(root / "a.png", (10, 200, 30))
    plain(root / "b.png", 100, mode="L")
    assert first_pixels(open_images(str(root), size=8, channels=1)) == [[124], [100]]  # 2.99 + 117.4 + 3.42
    (root / "a.png").unlink()
    assert open_images(str(root), size=8).channels == 1
    assert first_pixels(open_images(str(root), size=8, channels=3)) == [[100, 100, 100]]


def test_a_folder_that_is_not_there_is_not_taken_for_an_empty_one(root):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        folder.ImageFolder(root / "nowhere", 8)

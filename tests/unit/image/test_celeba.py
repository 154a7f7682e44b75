import numpy as np
import pytest
from PIL import Image

from tts.errors import DataError
from tts.image.datasets import open_images

RNG = np.random.default_rng(0)
FACES = RNG.integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
LIST = "3\nBald Young\n000001.png -1  1\n000002.png  1  1\n000003.png  1 -1\n"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    """Three aligned images of 178 × 218, black but for 128 × 128 around column 89, row 121."""
    root = tmp_path / "celeba"
    (root / "img_align_celeba").mkdir(parents=True)
    for k, face in enumerate(FACES):
        image = np.zeros((218, 178, 3), np.uint8)
        image[121 - 64 : 121 + 64, 89 - 64 : 89 + 64] = face
        Image.fromarray(image).save(root / "img_align_celeba" / f"{k + 1:06}.png")
    (root / "list_attr_celeba.txt").write_text(LIST)
    return root


def test_faces_are_cut_out_and_attributes_are_their_labels(root):
    images = open_images(str(root), size=128)
    assert (images.name, len(images), images.channels, images.factors) == ("celeba", 3, 3, None)
    assert np.array_equal(images.images([2, 0]), FACES[[2, 0]].transpose(0, 3, 1, 2))
    assert images.label_names == ("Bald", "Young")
    assert images.labels([0, 1, 2]).tolist() == [[0, 1], [1, 1], [1, 0]]
    assert images.labels([0]).dtype == np.int64
    assert open_images(str(root), size=16).images([0]).shape == (1, 3, 16, 16)


@pytest.mark.parametrize("place", ["Img/img_align_celeba", "."])
def test_the_layouts_of_the_archives_are_known(root, place):
    (root / place).mkdir(parents=True, exist_ok=True)
    for path in (root / "img_align_celeba").iterdir():
        path.rename(root / place / path.name)
    (root / "Anno").mkdir()
    (root / "list_attr_celeba.txt").rename(root / "Anno" / "list_attr_celeba.txt")
    assert open_images(str(root), size=32).labels([2]).tolist() == [[1, 0]]


def test_a_damaged_image_takes_its_labels_with_it(root):
    (root / "img_align_celeba" / "000002.png").write_bytes(b"")
    images = open_images(str(root), size=128)
    assert images.labels(np.arange(len(images))).tolist() == [[0, 1], [1, 0]]
    assert np.array_equal(images.images([1])[0], FACES[2].transpose(2, 0, 1))


def test_missing_images_are_named(root):
    (root / "img_align_celeba" / "000003.png").unlink()
    with pytest.raises(DataError, match=r"1 images of list_attr_celeba.txt are not there: 000003.png"):
        open_images(str(root))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"found 0 line\(s\), expected a count"),
        (
            LIST.replace("000002.png  1  1", "000002.png  1"),
            r"celeba.txt:4: found '000002.png  1', expected .* and 2 times",
        ),
        (LIST.replace("1 -1\n", "1 0\n"), r"celeba.txt:5: found '000003.png  1 0'"),
        (LIST.replace("000002", "000001"), r"celeba.txt:4: '000001.png' comes twice"),
        (LIST.replace("000002", "../000002"), r"celeba.txt:4: '../000002.png' comes twice or is no name of a file"),
        (LIST[: LIST.index("000003")], r"says '3' images and lists 2. The file is cut short"),
    ],
)
def test_a_list_that_is_not_as_published_is_refused_with_the_line(root, text, message):
    (root / "list_attr_celeba.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        open_images(str(root))

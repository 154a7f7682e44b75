import itertools
import os

import numpy as np
import pytest
from scipy.io import savemat

from tts.errors import DataError
from tts.image import published
from tts.image.datasets import open_images

RNG = np.random.default_rng(0)
GRID = (1, 3, 2, 2, 2, 2)  # of dSprites, tiny
COLOURS = (2, 1, 3, 2, 2, 2)  # of 3D Shapes, tiny


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def combinations(sizes):
    return np.array(list(itertools.product(*map(range, sizes))))


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def write_dsprites(path, **changes):
    """As published: compressed, the metadata pickled."""
    classes = combinations(GRID)
    arrays = {
        "metadata": np.array({"title": Bomb(path.parent / "exploded")}, dtype=object),
        "imgs": RNG.integers(0, 2, (len(classes), 16, 16), dtype=np.uint8),
        "latents_classes": classes,
        "latents_values": classes.astype(float),
    } | changes
    np.savez_compressed(path, **{key: value for key, value in arrays.items() if value is not None})
    return arrays["imgs"]


def box_mean(images, size):
    """(n, H, H, C) to (n, C, size, size) by averaging squares."""
    n, side, _, channels = images.shape
    k = side // size
    return images.reshape(n, size, k, size, k, channels).mean(axis=(2, 4)).transpose(0, 3, 1, 2)


def test_dsprites_is_read_from_its_archive_and_its_pickle_is_not(tmp_path):
    pixels = write_dsprites(tmp_path / "d.npz")
    images = open_images(str(tmp_path / "d.npz"), size=16)
    assert (images.name, images.channels, len(images)) == ("dsprites", 1, 48)
    assert images.factors.names == ("shape", "scale", "orientation", "x", "y")
    assert images.factors.sizes == GRID[1:]
    assert np.array_equal(images.images([0, 47, 3]), 255 * pixels[[0, 47, 3], None])
    assert images.labels([47]).tolist() == [[2, 1, 1, 1, 1]]
    assert not (tmp_path / "exploded").exists()


def test_images_shrink_by_the_mean_of_what_becomes_one_pixel(tmp_path):
    pixels = write_dsprites(tmp_path / "d.npz")
    images = open_images(str(tmp_path / "d.npz"), size=8).images(np.arange(48))
    np.testing.assert_allclose(images, box_mean(255 * pixels.astype(float)[..., None], 8), atol=1)  # rounded twice


def test_pixels_are_kept_on_disk_and_made_again_when_the_file_changes(tmp_path, monkeypatch):
    path = tmp_path / "d.npz"
    write_dsprites(path)
    first = open_images(str(path), size=8)
    assert isinstance(first._pixels, np.memmap)
    with monkeypatch.context() as patch:
        patch.setattr(published, "npz_blocks", lambda *_: pytest.fail("was decoded again"))
        assert np.array_equal(open_images(str(path), size=8).images([7]), first.images([7]))
    pixels = write_dsprites(path, imgs=np.ones((48, 16, 16), dtype=np.uint8))
    os.utime(path, (1, 1))
    assert pixels.min() == 1
    assert open_images(str(path), size=8).images([7]).min() == 255


def test_kept_pixels_of_another_length_are_refused(tmp_path):
    write_dsprites(tmp_path / "d.npz")
    open_images(str(tmp_path / "d.npz"), size=8)
    (kept,) = (tmp_path / "cache").rglob("*.u8")
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"found 3071 bytes, expected 3072. Remove it"):
        open_images(str(tmp_path / "d.npz"), size=8)


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    write_dsprites(tmp_path / "d.npz")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot keep decoded images there .* set XDG_CACHE_HOME"):
        open_images(str(tmp_path / "d.npz"), size=8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imgs": None}, "found latents_classes, latents_values, metadata, expected imgs and latents_classes"),
        ({"imgs": np.zeros((47, 16, 16), np.uint8)}, r"found images of shape \(47, 16, 16\), expected \(48, 'H', 'H'\)"),
        ({"imgs": np.zeros((48, 16, 12), np.uint8)}, r"found images of shape \(48, 16, 12\)"),
        ({"imgs": np.zeros((48, 16, 16, 3), np.uint8)}, r"found images of shape \(48, 16, 16, 3\)"),
        ({"imgs": np.zeros((48, 16, 16))}, "imgs is float64 .* expected images of uint8"),
        ({"imgs": np.full((48, 16, 16), 255, np.uint8)}, "found a pixel 255 in imgs, expected 0 and 1"),
        ({"imgs": np.array([None] * 48)}, "imgs is object .* expected images of uint8"),
        ({"latents_classes": combinations(GRID)[::-1]}, "do not count through all combinations"),
        ({"latents_classes": combinations(GRID)[:-1]}, "47 labels do not count"),
        ({"latents_classes": combinations(GRID)[:, 1:]}, r"found labels of shape \(48, 5\), expected \(n, 6\)"),
        ({"latents_classes": combinations(GRID) + 0.5}, "latents_classes is float64, expected integers"),
        ({"latents_classes": combinations((2, 3, 2, 2, 2, 1))}, "found 2 colours, expected dSprites' one"),
    ],
)
def test_an_archive_that_is_not_dsprites_is_refused_with_what_it_holds(tmp_path, changes, message):
    write_dsprites(tmp_path / "d.npz", **changes)
    with pytest.raises(DataError, match=message):
        open_images(str(tmp_path / "d.npz"), size=16)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_an_archive_cut_short_and_one_with_a_flipped_byte_are_refused(tmp_path, keep):
    path = tmp_path / "d.npz"
    write_dsprites(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(DataError, match=r"d.npz: not a complete .npz archive"):
        open_images(str(path), size=16)
    at = whole.index(b"imgs.npy") + 400
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    with pytest.raises(DataError, match=r"d.npz: not a complete .npz archive"):
        open_images(str(path), size=16)


@pytest.mark.parametrize(("size", "message"), [(4, r"size must be in \[8, 256\]"), (32, "images of 16 pixels .* found 32")])
def test_a_size_out_of_range_or_above_the_files_is_refused(tmp_path, size, message):
    write_dsprites(tmp_path / "d.npz")
    with pytest.raises(ValueError, match=message):
        open_images(str(tmp_path / "d.npz"), size=size)


def test_the_grids_of_mpi3d_are_those_published():
    assert all(np.prod(sizes) == count for count, sizes in published.MPI3D_SIZES.items())
    assert {len(sizes) for sizes in published.MPI3D_SIZES.values()} == {len(published.MPI3D_NAMES)}


def test_mpi3d_is_read_from_its_archive(tmp_path, monkeypatch):
    monkeypatch.setitem(published.MPI3D_SIZES, 24, (2, 1, 2, 1, 3, 2, 1))
    pixels = RNG.integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "mpi3d_toy.npz", images=pixels)
    images = open_images(str(tmp_path / "mpi3d_toy.npz"), size=16)
    assert (images.name, images.channels, images.label_names[0]) == ("mpi3d", 3, "colour")
    assert np.array_equal(images.images([23, 1]), pixels[[23, 1]].transpose(0, 3, 1, 2))
    assert images.labels([23]).tolist() == [[1, 0, 1, 0, 2, 1, 0]]


def test_an_archive_of_another_number_of_images_is_not_mpi3d(tmp_path):
    np.savez(tmp_path / "m.npz", images=np.zeros((10, 16, 16, 3), np.uint8))
    with pytest.raises(DataError, match="found 10 images, expected MPI3D's 460800 or 1036800"):
        open_images(str(tmp_path / "m.npz"))


def write_shapes3d(path, **changes):
    h5py = pytest.importorskip("h5py")
    values = combinations(COLOURS) * 0.1
    arrays = {"images": RNG.integers(0, 256, (48, 16, 16, 3), dtype=np.uint8), "labels": values} | changes
    with h5py.File(path, "w") as file:
        for key, value in arrays.items():
            if value is not None:
                file.create_dataset(key, data=value, compression="gzip", chunks=(7, *value.shape[1:]))
    return arrays["images"]


def test_3d_shapes_is_read_from_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "_ROWS", 10)  # several blocks
    pixels = write_shapes3d(tmp_path / "3dshapes.h5")
    images = open_images(str(tmp_path / "3dshapes.h5"), size=16)
    assert (images.name, images.channels, images.factors.sizes) == ("shapes3d", 3, COLOURS)
    assert images.label_names == ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "azimuth")
    assert np.array_equal(images.images(np.arange(48)), pixels.transpose(0, 3, 1, 2))
    assert images.labels([47]).tolist() == [[1, 0, 2, 1, 1, 1]]
    small = open_images(str(tmp_path / "3dshapes.h5"), size=8).images(np.arange(48))
    np.testing.assert_allclose(small, box_mean(pixels.astype(float), 8), atol=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "has no data set 'labels', found images"),
        ({"images": None}, "has no data set 'images', found labels"),
        ({"images": np.zeros((48, 16, 16, 3))}, "images are float64, expected uint8"),
        ({"images": np.zeros((48, 16, 16), np.uint8)}, r"found images of shape \(48, 16, 16\), expected \(48, 'H', 'H', 3\)"),
        ({"labels": combinations(COLOURS)[:, :5] * 0.1}, r"found labels of shape \(48, 5\)"),
        ({"labels": np.zeros(48)}, r"found labels of shape \(48,\)"),
        ({"labels": combinations(COLOURS)[::-1] * 0.1}, "do not count through all combinations"),
    ],
)
def test_a_file_that_is_not_3d_shapes_is_refused_with_what_it_holds(tmp_path, changes, message):
    write_shapes3d(tmp_path / "s.h5", **changes)
    with pytest.raises(DataError, match=message):
        open_images(str(tmp_path / "s.h5"), size=16)


def test_a_file_that_is_no_hdf5_is_refused(tmp_path):
    pytest.importorskip("h5py")
    (tmp_path / "s.h5").write_bytes(b"not HDF5")
    with pytest.raises(DataError, match=r"s.h5: not a complete HDF5 file"):
        open_images(str(tmp_path / "s.h5"))


def test_without_h5py_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "s.h5").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(DataError, match=r"needs h5py .*: pip install 'glottis\[image\]'"):
        open_images(str(tmp_path / "s.h5"))


def test_cars3d_is_read_car_by_car_into_its_grid(tmp_path):
    cars = RNG.integers(0, 256, (3, 16, 16, 3, 24, 4), dtype=np.uint8)
    for k, car in enumerate(cars):
        savemat(tmp_path / f"car_{k + 1:03}_mesh.mat", {"im": car})
    images = open_images(str(tmp_path), size=16)
    assert (images.name, images.label_names) == ("cars3d", ("elevation", "azimuth", "car"))
    assert images.factors.sizes == (4, 24, 3)
    for elevation, azimuth, car in ((0, 0, 0), (3, 23, 2), (1, 7, 2), (2, 20, 0)):
        index = images.factors.index([[elevation, azimuth, car]])
        expected = cars[car, :, :, :, azimuth, elevation].transpose(2, 0, 1)
        assert np.array_equal(images.images(index)[0], expected)


def test_a_car_that_is_damaged_or_shaped_otherwise_is_named(tmp_path):
    savemat(tmp_path / "car_001.mat", {"im": np.zeros((16, 16, 3, 24, 4), np.uint8)})
    savemat(tmp_path / "car_002.mat", {"im": np.zeros((8, 8, 3, 24, 4), np.uint8)})
    with pytest.raises(DataError, match=r"car_002.mat: found images 8 pixels wide, expected 16 as in car_001.mat"):
        open_images(str(tmp_path), size=8)
    savemat(tmp_path / "car_002.mat", {"im": np.zeros((16, 16, 3, 24), np.uint8)})
    with pytest.raises(DataError, match=r"car_002.mat: found im uint8 \(16, 16, 3, 24\)"):
        open_images(str(tmp_path), size=8)
    savemat(tmp_path / "car_002.mat", {"other": np.zeros(3)})
    with pytest.raises(DataError, match=r"car_002.mat: not a complete MATLAB file with an array 'im'"):
        open_images(str(tmp_path), size=8)
    whole = (tmp_path / "car_001.mat").read_bytes()
    (tmp_path / "car_002.mat").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"car_002.mat: not a complete MATLAB file"):
        open_images(str(tmp_path), size=8)

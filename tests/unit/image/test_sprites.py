import numpy as np
import pytest

from tts.image.sprites import Sprites

SQUARE, ELLIPSE, HEART = range(3)


@pytest.fixture(scope="module")
def sprites():
    return Sprites(32)


def show(sprites, factors):
    return sprites.images(sprites.factors.index(np.array(factors)))[:, 0].astype(float) / 255


def test_the_grid_is_that_of_dsprites(sprites):
    assert sprites.factors.sizes == (3, 6, 40, 32, 32)
    assert len(sprites) == 737_280
    assert sprites.label_names == ("shape", "scale", "orientation", "x", "y")
    assert sprites.labels([0, 1, 32, 1024, 737_279]).tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0],
        [2, 5, 39, 31, 31],
    ]


@pytest.mark.parametrize("size", [20, 32])
def test_the_centroid_of_every_shape_goes_right_with_x_and_down_with_y(size, sprites):
    rng = np.random.default_rng(0)
    sprites = sprites if size == 32 else Sprites(size)
    factors = np.stack([rng.integers(0, n, 300) for n in sprites.factors.sizes], axis=1)
    images = show(sprites, factors)
    middle = np.arange(size) + 0.5
    mass = images.sum(axis=(1, 2))
    centroid = np.stack([(images * middle).sum(axis=(1, 2)) / mass, (images * middle[:, None]).sum(axis=(1, 2)) / mass], axis=1)
    expected = size * (0.21 + 0.58 * factors[:, 3:] / 31)
    np.testing.assert_allclose(centroid, expected, atol=0.12)


@pytest.mark.parametrize("scale", range(6))
def test_the_area_is_that_of_the_outline_and_grows_with_the_square_of_the_scale(sprites, scale):
    """The square and the ellipse in a circle of radius r; the heart's 3.6607 (r / 1.2935)² is from quadrature."""
    r = 0.2 * (0.5 + 0.1 * scale)
    expected = [2 * r**2, np.pi * r * (r / 2), 3.6607 * (r / 1.2935) ** 2]
    angles = [[shape, scale, k, 7, 20] for shape in range(3) for k in range(40)]
    areas = show(sprites, angles).mean(axis=(1, 2)).reshape(3, 40).mean(axis=1)
    np.testing.assert_allclose(areas, expected, rtol=0.02)  # a mask has 23 cells along the smallest square


@pytest.mark.parametrize("shape", range(3))
def test_ten_orientations_are_a_quarter_turn_counter_clockwise(sprites, shape):
    for k in (0, 3, 17, 35):
        before = show(sprites, [[shape, 5, k, 3, 20]])[0]
        after = show(sprites, [[shape, 5, (k + 10) % 40, 20, 31 - 3]])[0]
        np.testing.assert_allclose(np.rot90(before), after, atol=0.02)


def test_a_square_repeats_at_a_quarter_turn_an_ellipse_at_a_half_and_a_heart_never(sprites):
    images = show(sprites, [[shape, 5, k, 12, 12] for shape in range(3) for k in range(40)]).reshape(3, 40, -1)
    for shape, period in ((SQUARE, 10), (ELLIPSE, 20)):
        np.testing.assert_allclose(images[shape, period:], images[shape, :-period], atol=0.02)
    distances = abs(images[HEART, :, None] - images[HEART]).sum(axis=-1) + 99 * np.eye(40)
    assert distances.min() > 1


def test_at_orientation_zero_the_heart_stands_on_its_tip(sprites):
    heart = show(sprites, [[HEART, 5, 0, 15, 15]])[0]
    rows = np.flatnonzero(heart.sum(axis=1) > 0.2)
    first, last = heart[rows[1]], heart[rows[-2]]
    tip = last.argmax()
    assert heart[rows[-1]].sum() < 3
    assert first[tip] < min(first[:tip].max(), first[tip + 1 :].max())  # the notch between two lobes
    assert heart.sum(axis=1).argmax() < (rows[0] + rows[-1]) / 2


def test_no_sprite_is_cut_at_the_border(sprites):
    angles = [(shape, 5, k) for shape in range(3) for k in range(40)]
    middle, corner, other = (show(sprites, [[*a, p, p] for a in angles]).sum(axis=(1, 2)) for p in (15, 0, 31))
    np.testing.assert_allclose(corner, middle, atol=0.1)
    np.testing.assert_allclose(other, middle, atol=0.1)


def test_images_are_bytes_the_same_in_every_order_and_from_every_instance(sprites):
    index = np.random.default_rng(1).integers(0, len(sprites), 600)
    images = sprites.images(index)
    assert images.dtype == np.uint8
    assert images.shape == (600, 1, 32, 32)
    assert (images.min(), images.max()) == (0, 255)
    assert np.array_equal(Sprites(32).images(index[::-1]), images[::-1])
    assert np.array_equal(np.concatenate([sprites.images([i]) for i in index[:20]]), images[:20])


@pytest.mark.parametrize("size", [7, 257])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(ValueError, match=rf"size must be in \[8, 256\] pixels, found {size}"):
        Sprites(size)

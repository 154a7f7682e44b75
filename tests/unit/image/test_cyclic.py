"""Sprites on a torus: moves are shifts of the array, and a group."""

import numpy as np
import pytest

from tts.image.cyclic import CyclicSprites


@pytest.fixture(scope="module")
def sprites():
    return CyclicSprites(16, positions=16, orientations=4, shapes=3)


def show(sprites, factors):
    return sprites.images(sprites.factors.index(np.array(factors)))[:, 0].astype(float) / 255


def test_a_step_of_one_pixel_rolls_the_image_around_the_border(sprites):
    first = show(sprites, [[0, 1, 5, 9]])[0]
    for dx, dy in ((1, 0), (0, 1), (7, 0), (12, 10)):
        moved = show(sprites, [[0, 1, (5 + dx) % 16, (9 + dy) % 16]])[0]
        np.testing.assert_allclose(moved, np.roll(first, (dy, dx), axis=(0, 1)), atol=0.005)


def test_every_position_shows_the_same_area_and_the_circular_mean_is_the_centroid(sprites):
    factors = np.array([[0, 1, x, y] for x in range(16) for y in range(16)])
    images = show(sprites, factors)
    np.testing.assert_allclose(images.sum((1, 2)), images[0].sum(), atol=0.1)
    waves = np.exp(2j * np.pi * (np.arange(16) + 0.5) / 16)
    for k, profile in ((2, images.sum(1)), (3, images.sum(2))):
        angle = np.angle(profile @ waves / waves[factors[:, k]])  # from the centroid, the same for all
        np.testing.assert_allclose(angle, angle[0], atol=0.01)
        assert abs(angle[0]) < 0.05  # the heart is not symmetric


def test_an_orientation_of_four_is_a_quarter_turn_counter_clockwise(sprites):
    for shape in range(3):
        before, after = show(sprites, [[shape, 0, 3, 5], [shape, 1, 5, 15 - 3]])
        np.testing.assert_allclose(np.rot90(before), after, atol=0.02)


def test_only_the_heart_differs_from_all_its_turns(sprites):
    for shape, distinct in ((0, 4), (1, 1), (2, 2)):
        images = show(sprites, [[shape, k, 8, 8] for k in range(4)]).reshape(4, -1)
        distances = abs(images[:, None] - images).sum(-1)
        assert len({tuple(row) for row in (distances < 1).tolist()}) == distinct


def test_moves_are_a_group_that_leaves_the_shape(sprites):
    assert sprites.moves == (1, 2, 3) and CyclicSprites(16).moves == (2, 3)
    rng = np.random.default_rng(0)
    factors = sprites.factors.factors(rng.integers(0, len(sprites), 50))
    a, b = rng.integers(-9, 10, (2, 50, 3))
    np.testing.assert_array_equal(sprites.moved(sprites.moved(factors, a), b), sprites.moved(factors, a + b))
    np.testing.assert_array_equal(sprites.moved(factors, np.tile([4, -16, 32], (50, 1))), factors)
    np.testing.assert_array_equal(sprites.moved(factors, a)[:, 0], factors[:, 0])
    assert sprites.moved(np.array([[2, 3, 15, 0]]), np.array([[1, 1, -1]])).tolist() == [[2, 0, 0, 15]]


@pytest.mark.parametrize("arguments", [{"positions": 1}, {"orientations": 3}, {"orientations": 0}, {"shapes": 4}, {"size": 7}])
def test_a_grid_out_of_range_is_refused(arguments):
    with pytest.raises(ValueError, match="found"):
        CyclicSprites(**arguments)

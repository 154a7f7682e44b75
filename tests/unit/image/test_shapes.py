import colorsys

import numpy as np
import pytest

from tts.image.rays import AIM_HEIGHT, CAMERA, OPENING, SOLIDS, WALL_DISTANCE, View, cast
from tts.image.shapes import Shapes

SIZE = 16
CUBE, CYLINDER, SPHERE, CAPSULE = range(4)


@pytest.fixture(scope="module")
def shapes():
    return Shapes(SIZE)


def show(shapes, factors):
    return shapes.images(shapes.factors.index(np.array(factors)))


def test_the_grid_is_that_of_3d_shapes(shapes):
    assert shapes.factors.sizes == (10, 10, 10, 8, 4, 15)
    assert len(shapes) == 480_000
    assert shapes.label_names == ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "azimuth")
    assert shapes.labels([0, 1, 15, 479_999]).tolist() == [[0] * 6, [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0], [9, 9, 9, 7, 3, 14]]


@pytest.mark.parametrize("hue", range(10))
def test_the_floor_has_the_colour_of_the_palette(shapes, hue):
    image = show(shapes, [[hue, 3, 5, 2, SPHERE, 4]])[0]
    assert image[:, -1, -1].tolist() == [round(255 * c) for c in colorsys.hsv_to_rgb(hue / 10, 1, 1)]


@pytest.mark.parametrize("surface", range(3))
def test_a_hue_changes_its_own_surface_and_no_other(shapes, surface):
    """Against cover worked out from black and white pictures of the view: hue 0 is red alone, hue 5 green and blue."""
    factors = np.tile([0, 0, 0, 6, CUBE, 9], (10, 1))
    factors[:, surface] = np.arange(10)
    images = show(shapes, factors).astype(int)
    mine = images[5, 1] / 255  # green where this surface is cyan and the others are red
    pure = np.array([colorsys.hsv_to_rgb(hue / 10, 1, 1) for hue in range(10)])
    np.testing.assert_allclose(images[:, 1], 255 * pure[:, 1, None, None] * mine, atol=1.01)
    np.testing.assert_allclose(images[:, 2], 255 * pure[:, 2, None, None] * mine, atol=1.01)
    assert 0.1 < (mine > 0).mean() < 0.6


def distance_to(solid, p):
    """Signed distance of points (..., 3) to a solid of scale 1, positive outside."""
    x, y, z = np.moveaxis(p, -1, 0)
    around = np.hypot(x, z)
    if solid == CUBE:
        q = abs(p - [0, 0.46, 0]) - 0.46
        return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(axis=-1), 0)
    if solid == CYLINDER:
        q = np.stack([around - 0.48, abs(y - 0.49) - 0.49], axis=-1)
        return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(axis=-1), 0)
    if solid == SPHERE:
        return np.linalg.norm(p - [0, 0.58, 0], axis=-1) - 0.58
    return np.hypot(around, y - np.clip(y, 0.43, 1.2 - 0.43)) - 0.43


@pytest.mark.parametrize("solid", range(4))
@pytest.mark.parametrize("scale", [0.75, 1.25])
def test_rays_hit_the_solid_where_marching_through_its_distance_field_does(solid, scale):
    """A second program: sphere tracing, and the normal as the gradient of the distance."""
    view = View.at(0.3, 20)
    directions = (view.directions / np.linalg.norm(view.directions, axis=-1, keepdims=True)).astype(float)
    travelled = np.zeros(directions.shape[:2])
    for _ in range(300):
        travelled += scale * distance_to(solid, (view.origin + travelled[..., None] * directions) / scale)
        travelled = np.minimum(travelled, 20)
    point = (view.origin + travelled[..., None] * directions) / scale
    away = distance_to(solid, point)
    step = 1e-4 * np.eye(3)
    normal = np.stack([distance_to(solid, point + e) - distance_to(solid, point - e) for e in step], axis=-1) / 2e-4
    expected = np.where(away < 1e-4, 0.3 + 0.7 * np.maximum(normal @ [0.2, 0.8, np.sqrt(0.32)], 0), 0)
    found = cast(view, SOLIDS[solid], scale)[2]
    close = abs(found - expected) < 0.01
    assert close.mean() > 0.99  # of 400 rays; edges, where the gradient has none, may differ
    assert (found > 0).sum() == pytest.approx((expected > 0).sum(), abs=2)


@pytest.mark.parametrize("azimuth", [-0.5, 0.0, 0.25])
def test_the_corner_of_the_room_stands_where_its_projection_is(azimuth):
    n = 200
    forward = np.array([0, AIM_HEIGHT, 0]) - CAMERA
    forward /= np.linalg.norm(forward)
    up = np.array([0, -forward[2], forward[1]])
    height = np.linspace(0, 3, 3001)
    far = WALL_DISTANCE * np.sqrt(2)
    corner = np.stack([0 * height + far * np.sin(azimuth), height, 0 * height - far * np.cos(azimuth)], axis=1) - CAMERA
    depth = corner @ forward
    column, row = n / 2 * (1 + corner[:, 0] / depth / OPENING), n / 2 * (1 - corner @ up / depth / OPENING)
    walls = View.at(azimuth, n).background[1]
    for r in (5, 20):
        edges = np.flatnonzero(np.diff(walls[r])) + 1
        assert edges == pytest.approx([column[abs(row - r - 0.5).argmin()]], abs=1)


def test_the_corner_wanders_to_the_right_with_azimuth_and_mirrors(shapes):
    walls = show(shapes, [[0, 5, 0, 0, SPHERE, k] for k in range(15)])[:, 1].astype(int)  # cyan walls, no other green
    columns = [int(abs(np.diff(row[0])).argmax()) for row in walls]
    assert columns == sorted(columns)
    assert len({*columns}) > 7
    corners = np.array([(np.diff(View.at(a, 400).background[1][0]) != 0).argmax() for a in (-0.4, 0.4)])
    assert corners.sum() == pytest.approx(398, abs=2)


def test_the_object_grows_with_scale_and_stays_inside(shapes):
    for shape in range(4):
        cover = show(shapes, [[0, 0, 5, s, shape, 7] for s in range(8)])[:, 1] > 0
        areas = cover.sum(axis=(1, 2))
        assert (np.diff(areas) > 0).all()
        assert areas[7] / areas[0] == pytest.approx((1.25 / 0.75) ** 2, rel=0.25)  # larger: nearer, too
        for azimuth in (-np.pi / 6, 0, np.pi / 6):
            largest = cast(View.at(azimuth, 100), SOLIDS[shape], 1.25)[2]
            assert largest[[0, -1]].max() == largest[:, [0, -1]].max() == 0


def test_floor_walls_and_object_cover_comparable_areas(shapes):
    index = np.random.default_rng(0).integers(0, 480, 100)
    cover = [
        (shapes.images(index + shapes.factors.index([[*hues, 0, 0, 0]])[0])[:, 1] > 50).mean()
        for hues in ([5, 0, 0], [0, 5, 0], [0, 0, 5])
    ]
    assert all(0.25 < share < 0.42 for share in cover)


def test_a_cube_of_the_walls_hue_stands_out(shapes):
    cube = show(shapes, [[5, 0, 0, 7, CUBE, 0]])[0, 0].astype(int)
    faces = cube[SIZE // 2 :, SIZE // 2 - 3 : SIZE // 2 + 3].max()
    assert faces < 0.75 * 255 < cube[0, [0, -1]].min()


def test_all_480_views_differ(shapes):
    views = shapes.images(np.arange(480)).reshape(480, -1)
    assert len(np.unique(views, axis=0)) == 480


def test_images_are_bytes_the_same_in_every_order_and_from_every_instance(shapes):
    index = np.random.default_rng(1).integers(0, len(shapes), 300)
    images = shapes.images(index)
    assert images.dtype == np.uint8
    assert images.shape == (300, 3, SIZE, SIZE)
    assert (images.min(), images.max()) == (0, 255)
    assert np.array_equal(Shapes(SIZE).images(index[::-1]), images[::-1])
    assert np.array_equal(np.concatenate([shapes.images([i]) for i in index[:20]]), images[:20])


@pytest.mark.parametrize("size", [7, 257])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(ValueError, match=rf"size must be in \[8, 256\] pixels, found {size}"):
        Shapes(size)

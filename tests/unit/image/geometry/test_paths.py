"""Straightness and evenness of paths: closed forms of linear maps on arcs and lines (T8)."""

import math

import pytest
import torch

from tts.image.geometry.paths import Path, angle_between, frame_distances, mean_rtl, path_lengths, ppl, rtl, slerp, unevenness


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def at_angles(degrees, radius=3.0):
    """Pairs of length `radius` in 5 dimensions with the given angles."""
    theta = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    axes = torch.linalg.qr(normal(5, 2, seed=4)).Q
    a = radius * axes[:, 0].expand(len(degrees), 5)
    return a, radius * (theta.cos()[:, None] * axes[:, 0] + theta.sin()[:, None] * axes[:, 1])


def squared(a, b):
    return (a - b).flatten(1).square().sum(1)


def test_slerp_keeps_the_norm_of_noise_and_takes_equal_angles():
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert torch.allclose(slerp(a, b, 1 / 3), torch.tensor([[0.75**0.5, 0.5]]))
    assert torch.allclose(slerp(a, a, 0.3), a)


def test_every_pair_of_a_batch_is_on_its_own_arc_with_its_own_weight():
    a, b = at_angles([30.0, 90.0, 150.0])
    w = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    points = slerp(a, b, w)
    assert torch.allclose(points.norm(dim=1), torch.full((3,), 3.0, dtype=torch.float64))
    assert torch.allclose(angle_between(a, points), w * angle_between(a, b))
    assert all(torch.allclose(points[i], slerp(a[i : i + 1], b[i : i + 1], w[i].item())[0]) for i in range(3))


def test_a_linear_isometry_bends_an_arc_by_theta_over_twice_the_sine_of_half_of_it():
    a, b = at_angles([40.0, 90.0, 150.0])
    q = torch.linalg.qr(normal(7, 7)).Q[:, :5]
    theta = torch.tensor([40.0, 90, 150], dtype=torch.float64).deg2rad()
    limit = theta / (2 * (theta / 2).sin())
    value, ideal = rtl(lambda x: 0.01 * x @ q.mT, a, b, 20)
    assert torch.allclose(value, ideal, rtol=1e-9)
    assert torch.allclose(value, limit, atol=1e-3)
    # golden: 1.1096 with 10 parts, 1.1104 with 20, 1.1107 in the limit, at a right angle
    right = rtl(lambda x: x, *at_angles([90.0]), 10)[0].item(), value[1].item(), math.pi / (2 * math.sqrt(2))
    assert right == pytest.approx((1.1096, 1.1104, 1.1107), abs=1e-4)


def test_a_linear_map_keeps_lines_and_no_path_is_straighter_than_straight():
    a, b = normal(6, 4, seed=1), normal(6, 4, seed=2)
    matrix = normal(3, 4, seed=3)
    value, ideal = rtl(lambda x: x @ matrix.mT, a, b, path=Path.lerp)
    assert torch.allclose(value, torch.ones(6, dtype=torch.float64)) and torch.allclose(ideal, value)
    bent, _ = rtl(lambda x: (x @ matrix.mT).sin(), a, b)
    assert bool((bent >= 1).all()) and bent.max() > 1.05


def test_the_mean_is_over_pairs_and_maps():
    a, b = at_angles([90.0, 60.0])
    maps = [lambda x: x, lambda x: x**3]
    rows = [rtl(f, a, b)[0].mean().item() for f in maps]
    assert mean_rtl(maps, a, b)[0] == pytest.approx(sum(rows) / 2)
    assert mean_rtl(maps, a, b)[1] == pytest.approx(rows[0])


@pytest.mark.parametrize("ends", [False, True])
def test_the_path_length_of_the_identity_is_the_squared_length_of_its_arc(ends):
    # |d slerp / dw| = r theta at every w
    a, b = at_angles([70.0] * 40)
    expected = (3.0 * math.radians(70)) ** 2
    assert ppl(path_lengths(lambda z: z, squared, a, b, generator(), ends=ends)) == pytest.approx(expected, rel=1e-6)
    assert ppl(path_lengths(lambda z: 2 * z, squared, a, b, generator(), ends=ends)) == pytest.approx(4 * expected, rel=1e-6)


def test_the_path_length_leaves_out_the_pairs_beyond_the_trim_and_looks_at_the_ends_when_asked():
    a, b = at_angles([90.0] * 100)

    def one_outlier(x, y):
        values = squared(x, y)
        values[0] *= 1e6
        return values

    plain = ppl(path_lengths(lambda z: z, squared, a, b, generator()))
    tailed = path_lengths(lambda z: z, one_outlier, a, b, generator())
    assert ppl(tailed) == pytest.approx(plain)
    assert ppl(tailed, (0.0, 1.0)) > 1e3 * plain and tailed.median().item() == pytest.approx(plain)
    seen = []
    path_lengths(lambda z: seen.append(z) or z, squared, a, b, generator(), ends=True)
    degrees = angle_between(a, seen[0]).rad2deg()
    assert bool(((degrees < 0.1) | (degrees > 89.9)).all()) and 20 < int((degrees < 45).sum()) < 80


def test_distances_of_adjacent_frames_and_how_even_they_are():
    frames = torch.tensor([0.0, 1, 2, 5])[:, None]
    steps = frame_distances(frames, squared)
    assert steps.tolist() == [1, 1, 9]
    assert unevenness(steps) == pytest.approx(27 / 11)
    assert unevenness(torch.tensor([0.0, 4.0, 0.0])) == pytest.approx(3)
    assert math.isnan(unevenness(torch.zeros(3)))


def test_paths_that_are_none_are_refused():
    a, b = at_angles([90.0])
    with pytest.raises(ValueError, match="at least one part, found 0"):
        rtl(lambda x: x, a, b, 0)
    with pytest.raises(ValueError, match="at least one map"):
        mean_rtl([], a, b)
    with pytest.raises(ValueError, match="need eps"):
        path_lengths(lambda z: z, squared, a, b, generator(), eps=0.0)
    for trim in ((0.5, 0.5), (-0.1, 1.0)):
        with pytest.raises(ValueError, match="need a trim"):
            ppl(torch.ones(3), trim)
    with pytest.raises(ValueError, match="at least two frames, found 1"):
        frame_distances(a, squared)

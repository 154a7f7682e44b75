"""Singular values on the tangent space, their condition and variation: linear maps and numpy (T9)."""

import numpy as np
import pytest
import torch

from tts.image.geometry.spectrum import SpectrumMethod, jacobian, mcn, riemannian_spectrum, vor, vor_sorted
from tts.image.geometry.tangent import Manifold


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(a):
    return lambda x: x @ a.mT


def bent(x):
    return torch.stack((x[:, 0] + x[:, 1] ** 2, x[:, 1].sin() + 2 * x[:, 2], x[:, 0] * x[:, 2] + 3 * x[:, 1]), dim=1)


@pytest.mark.parametrize("m", [3, 4, 9])
def test_the_spectrum_of_a_linear_map_is_that_of_a_times_the_projection(m):
    a, x = normal(m, 5, seed=1), normal(3, 5)
    found = riemannian_spectrum(linear(a), x)
    assert found.shape == (3, min(m, 4))
    for row, point in zip(found, x.numpy(), strict=True):
        projection = np.eye(5) - np.outer(point, point) / (point @ point)
        expected = np.linalg.svd(a.numpy() @ projection, compute_uv=False)[: min(m, 4)]
        assert row.numpy() == pytest.approx(expected, rel=1e-9)
    flat = riemannian_spectrum(linear(a), x, 2, manifold=Manifold.flat)
    assert torch.allclose(flat, torch.linalg.svdvals(a)[:2].expand(3, 2))


def test_the_iteration_finds_the_largest_values_of_the_exact_method():
    a, x = normal(12, 9, seed=2), normal(4, 9)
    generator = torch.Generator().manual_seed(0)
    found = riemannian_spectrum(linear(a), x, 3, method=SpectrumMethod.power, generator=generator)
    assert torch.allclose(found, riemannian_spectrum(linear(a), x, 3), rtol=1e-4)


def test_the_jacobian_keeps_the_axes_of_images_and_of_h():
    f = lambda x: torch.nn.functional.avg_pool2d(x**2, 2)  # noqa: E731
    x = normal(2, 1, 4, 4)
    expected = torch.stack([torch.autograd.functional.jacobian(f, x[i : i + 1]).reshape(4, 16) for i in range(2)])
    assert torch.allclose(jacobian(f, x), expected)


def test_the_condition_of_a_linear_map_is_largest_over_smallest_value_and_1_for_an_isometry():
    a, x = normal(6, 4, seed=3), normal(5, 4)
    values = torch.linalg.svdvals(a)
    assert mcn(linear(a), x, manifold=Manifold.flat).item() == pytest.approx((values[0] / values[-1]).item())
    q = torch.linalg.qr(normal(4, 4)).Q
    assert mcn(linear(0.2 * q), x).item() == pytest.approx(1)


@pytest.mark.parametrize("m", [2, 4, 6])
def test_a_constant_metric_does_not_vary(m):
    a, x = normal(m, 4, seed=4), normal(8, 4)
    assert vor(linear(a), x, manifold=Manifold.flat).item() == pytest.approx(0, abs=1e-20)
    assert vor_sorted(linear(a), x, manifold=Manifold.flat).item() == pytest.approx(0, abs=1e-20)


def test_the_variation_is_that_of_two_scales_and_blind_to_linear_maps_of_its_space():
    radii = torch.tensor([1.0, 1.0, 3.0, 3.0], dtype=torch.float64)[:, None]
    x = normal(4, 5)
    # G = c I in 3 dimensions with c = 1 and 9 and mean 5
    expected = 3 * (np.log(1 / 5) ** 2 + np.log(9 / 5) ** 2) / 2
    assert vor(lambda x: radii * x[:, :3], x, manifold=Manifold.flat).item() == pytest.approx(expected)
    # sorted: 3 times the variance of ln 1 and ln 3, of four values
    spread = vor_sorted(lambda x: radii * x[:, :3], x, manifold=Manifold.flat).item()
    assert spread == pytest.approx(3 * np.var([0, 0, np.log(3), np.log(3)], ddof=1))
    a = normal(3, 3, seed=6)
    x = normal(8, 4, seed=7)
    assert vor(lambda x: bent(x) @ a.mT, x).item() == pytest.approx(vor(bent, x).item(), rel=1e-6)


def test_all_depend_on_the_points_that_are_given():
    x, y = normal(8, 4, seed=1), normal(8, 4, seed=2)
    for score in (mcn, vor, vor_sorted):
        assert score(bent, x).item() == score(bent, x).item()
        assert abs(score(bent, x).item() - score(bent, y).item()) > 1e-3


def test_numbers_of_values_that_are_not_there_are_refused_and_a_metric_without_a_common_basis():
    a, x = linear(normal(6, 4)), normal(5, 4)
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"need 1 to 3 values, found {k}"):
            riemannian_spectrum(a, x, k)
    with pytest.raises(ValueError, match="pass a generator"):
        riemannian_spectrum(a, x, 1, method=SpectrumMethod.power)
    with pytest.raises(ValueError, match="found 6 and 4"):
        vor(a, x)

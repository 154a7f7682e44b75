"""Projections are orthonormal; noise stays noise; complement statistics are those of the data."""

import pytest
import torch

from tts.image.subspace.complement import Complement, measure_complement
from tts.image.subspace.projections import AveragePool, LinearProjection, principal_components

F64 = torch.float64


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def matrix(projection, shape):
    """U^T of a projection, (n, d), by its answers to the unit images."""
    d = torch.Size(shape).numel()
    return projection.down(torch.eye(d, dtype=F64).reshape(d, *shape)).flatten(1).T


def basis(d, n, seed=3):
    return torch.linalg.qr(normal(d, n, seed=seed)).Q


@pytest.mark.parametrize(
    "projection", [AveragePool(1), AveragePool(2), AveragePool(3), LinearProjection(basis(64, 5), (1, 8, 8))]
)
def test_columns_are_orthonormal_and_the_projector_is_symmetric_and_idempotent(projection):
    down = matrix(projection, (1, 8, 8))
    n, d = down.shape
    up = projection.up(torch.eye(n, dtype=F64).reshape(n, *projection.down(torch.zeros(1, 1, 8, 8, dtype=F64)).shape[1:]))
    torch.testing.assert_close(down @ down.T, torch.eye(n, dtype=F64), rtol=0, atol=1e-12)
    torch.testing.assert_close(up.flatten(1), down, rtol=0, atol=1e-12)  # the transpose of the one is the other
    projector = down.T @ down
    torch.testing.assert_close(projector @ projector, projector, rtol=0, atol=1e-12)
    x = normal(3, 1, 8, 8)
    torch.testing.assert_close(projection.complement(x).flatten(1), x.flatten(1) @ (torch.eye(d, dtype=F64) - projector))
    assert projection.complement_dims(x) == d - n


def test_two_halvings_are_one_after_the_other_and_keep_the_mean_of_each_square():
    x = normal(2, 3, 8, 8)
    torch.testing.assert_close(AveragePool(2).down(x), AveragePool(1).down(AveragePool(1).down(x)))
    assert AveragePool(2).down(x)[1, 2, 0, 1].item() == pytest.approx(4 * x[1, 2, :4, 4:8].mean().item())


def test_unit_noise_stays_unit():
    y = AveragePool(2).down(normal(200, 3, 16, 16)).flatten()
    assert y.var().item() == pytest.approx(1, abs=3 * (2 / len(y)) ** 0.5)  # three standard errors; the seed is fixed


def test_principal_components_are_those_of_a_separate_decomposition_and_leave_the_least_out():
    x = normal(60, 1, 4, 4) @ normal(4, 4, seed=1)
    projection = principal_components(x, 3)
    centred = x.flatten(1) - x.flatten(1).mean(0)
    _, values, vectors = torch.linalg.svd(centred, full_matrices=False)
    found = projection.basis.T @ vectors[:3].T
    torch.testing.assert_close(found.abs(), torch.eye(3, dtype=F64), rtol=0, atol=1e-8)
    left = projection.complement(centred.reshape(x.shape)).square().sum()
    torch.testing.assert_close(left, values[3:].square().sum())


def test_the_complement_of_pooled_images_needs_no_offset_for_a_plain_colour():
    x, colour = normal(50, 3, 8, 8), torch.tensor([0.7, -0.2, 0.1], dtype=F64)[:, None, None]
    plain, shifted = (measure_complement([images], AveragePool(1)) for images in (x, x + colour))
    assert plain.std == pytest.approx(shifted.std, rel=1e-12)
    torch.testing.assert_close(plain.mean, shifted.mean, rtol=0, atol=1e-12)


def test_complement_statistics_are_those_of_all_images_at_once():
    x, projection = 0.3 * normal(40, 2, 4, 4) + 0.5, AveragePool(1)
    found = measure_complement([x[:7], x[7:15], x[15:]], projection)
    rest = projection.complement(x)
    torch.testing.assert_close(found.mean, rest.mean(0))
    assert found.std == pytest.approx(((rest - rest.mean(0)).square().sum() / 40 / (32 - 8)).sqrt().item(), rel=1e-12)


def test_what_is_no_projection_or_no_complement_is_refused():
    with pytest.raises(ValueError, match="levels must be at least 1, found 0"):
        AveragePool(0)
    with pytest.raises(ValueError, match="multiples of 4"):
        AveragePool(2).down(torch.zeros(1, 1, 6, 8))
    with pytest.raises(ValueError, match="orthonormal"):
        LinearProjection(torch.ones(4, 2), (1, 2, 2))
    with pytest.raises(ValueError, match="must be"):
        LinearProjection(torch.eye(4), (1, 2, 3))
    with pytest.raises(ValueError, match="n must be 1 to 2"):
        principal_components(torch.zeros(3, 1, 2, 2), 3)
    with pytest.raises(ValueError, match="finite and above 0"):
        Complement(0.0)
    with pytest.raises(ValueError, match="at least 2 images"):
        measure_complement([torch.zeros(1, 1, 2, 2)], AveragePool(1))

"""Pullback directions against the singular vectors of PyTorch, and principal directions of a Gaussian h (T14)."""

import pytest
import torch
from torch import nn

from tts.diffusion import vp_linear
from tts.image.geometry.pca import principal_directions, principal_directions_by_step
from tts.image.geometry.pullback import (
    pullback_directions,
    pullback_edit,
    pullback_length,
    shared_directions,
    transported,
)
from tts.image.geometry.spectrum import jacobian
from tts.image.geometry.tangent import Manifold, jvp


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def mlp():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(20, 30), nn.Tanh(), nn.Linear(30, 15), nn.Unflatten(1, (3, 5))).double()


@pytest.mark.parametrize("manifold", Manifold)
def test_the_iteration_finds_the_singular_triples_of_a_random_network(manifold):
    f, x = mlp(), 0.5 * normal(3, 4, 5)
    with torch.no_grad():
        found = pullback_directions(f, x, 4, generator(), manifold=manifold, iterations=200, tolerance=1e-6)
        u, s, v = torch.linalg.svd(jacobian(f, x, manifold), full_matrices=False)
    assert torch.allclose(found.values, s[:, :4], rtol=1e-4)
    assert found.x_directions.shape == (3, 4, 4, 5) and found.h_directions.shape == (3, 4, 3, 5)
    for mine, exact in ((found.x_directions.flatten(2), v[:, :4]), (found.h_directions.flatten(2), u.mT[:, :4])):
        assert torch.allclose(mine @ mine.mT, torch.eye(4, dtype=torch.float64).expand(3, 4, 4), atol=1e-9)
        cosines = torch.linalg.svdvals(mine @ exact.mT)
        assert torch.allclose(cosines, torch.ones_like(cosines), atol=5e-7)  # sine of the angle below 1e-3
    pushed = jvp(f, x, found.x_directions[:, 1])[1]
    assert torch.allclose(pushed, found.values[:, 1, None, None] * found.h_directions[:, 1], atol=1e-9)
    assert torch.allclose(pullback_length(f, x, found.x_directions[:, 1]), found.values[:, 1])
    assert bool((found.change < 1e-6).all())


def test_a_batch_is_its_singles_up_to_sign_and_an_iteration_that_was_cut_off_says_so():
    f, x = mlp(), normal(2, 4, 5)
    with torch.no_grad():
        both = pullback_directions(f, x, 2, generator(), iterations=200, tolerance=1e-8)
        one = pullback_directions(f, x[1:], 2, generator(), iterations=200, tolerance=1e-8)
        short = pullback_directions(f, x, 2, generator(), iterations=1)
    inner = (both.x_directions[1] * one.x_directions[0]).flatten(1).sum(1).abs()
    assert torch.allclose(inner, torch.ones(2, dtype=torch.float64), atol=1e-6)
    assert bool((short.change > 1e-3).all())


def test_directions_that_samples_share_are_found_beside_those_they_do_not():
    q = torch.linalg.qr(normal(9, 9)).Q
    mine = torch.stack([torch.stack((q[0], q[i])) for i in (3, 4, 5)])
    shared = shared_directions(mine.reshape(3, 2, 3, 3))
    assert shared.shape == (2, 3, 3)
    assert abs((shared[0].flatten() @ q[0]).item()) == pytest.approx(1)
    same = shared_directions(mine[:1].expand(4, 2, 9))
    assert torch.allclose(same.mT @ same, mine[0].mT @ mine[0], atol=1e-12)


def test_transport_along_a_linear_map_changes_nothing_and_over_h_it_goes_by_what_h_sees():
    q, p = torch.linalg.qr(normal(6, 6)).Q, torch.linalg.qr(normal(6, 6, seed=1)).Q
    scale = torch.tensor([5.0, 4, 3, 1, 1, 1], dtype=torch.float64)
    f, g = (lambda x, w=w: scale * (x @ w) for w in (q, p))
    x = normal(1, 6)
    here, there = (pullback_directions(h, x, 3, generator(), iterations=300, tolerance=1e-9) for h in (f, g))
    v = q[:, 1][None]
    assert torch.allclose(transported(v, here, here), v, atol=1e-6)
    # the second axis of h belongs to the second column of p there
    assert torch.allclose(transported(v, here, there), p[:, 1][None], atol=1e-6)


def test_an_edit_moves_x_by_the_change_of_the_noise_prediction():
    # eps = sigma x of unit Gaussian data: each step adds rate sigma delta v
    schedule = vp_linear()
    denoiser = lambda u, t: schedule.sigma(t)[:, None] * u  # noqa: E731
    x, v, t = normal(2, 3), normal(2, 3, seed=1), torch.tensor([0.4, 0.8], dtype=torch.float64)
    moved = pullback_edit(denoiser, x, t, v, delta=-2.0, rate=0.1, repeats=5)
    assert torch.allclose(moved, x - 5 * 0.1 * 2.0 * schedule.sigma(t)[:, None] * v)


def test_principal_directions_are_the_eigenvectors_of_the_covariance():
    axes = torch.linalg.qr(normal(12, 12, seed=3)).Q
    deviations = torch.tensor([5.0, 3, 2, *[0.1] * 9], dtype=torch.float64)
    h = (normal(4000, 12) * deviations @ axes.mT + 1).reshape(4000, 3, 2, 2)
    found = principal_directions(h, 3)
    inner = (found.directions.flatten(1) * axes.mT[:3]).sum(1).abs()
    assert torch.allclose(inner, torch.ones(3, dtype=torch.float64), atol=2e-3)
    assert torch.allclose(found.deviations, deviations[:3], rtol=0.05)
    covariance = h.flatten(1).T.cov()
    values = torch.linalg.eigvalsh(covariance).flip(0)
    assert torch.allclose(found.deviations**2, values[:3]) and torch.allclose(found.share, values[:3] / values.sum())
    coordinates = found.coordinates(h)
    assert torch.allclose(coordinates.T.cov(), torch.eye(3, dtype=torch.float64), atol=1e-9)
    moved = found.coordinates(h[:2] + found.shift(1, -2.0)) - coordinates[:2]
    assert torch.allclose(moved, torch.tensor([0.0, -2, 0], dtype=torch.float64).expand(2, 3), atol=1e-9)


def test_directions_of_all_steps_point_to_the_side_of_the_first():
    h = normal(50, 4, 1, 1) * torch.tensor([4.0, 3, 2, 1]).double()[:, None, None]
    steps = [h, -h, 0.5 * h + 1]
    found = principal_directions_by_step(steps, 3)
    for step in found[1:]:
        assert torch.allclose(step.directions, found[0].directions, atol=1e-9)
    assert torch.allclose(found[2].deviations, 0.5 * found[0].deviations)


def test_numbers_of_directions_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="need 1 to 15 directions and at least one iteration, found 16 and 50"):
        pullback_directions(mlp(), normal(1, 4, 5), 16, generator())
    with pytest.raises(ValueError, match="found 1 and 0"):
        pullback_directions(mlp(), normal(1, 4, 5), 1, generator(), iterations=0)
    for k in (0, 5):
        with pytest.raises(ValueError, match=f"1 to 4 principal directions, found {k}"):
            principal_directions(normal(5, 8), k)
    with pytest.raises(ValueError, match="direction must be 0 to 1, found 2"):
        principal_directions(normal(5, 8), 2).shift(2, 1.0)

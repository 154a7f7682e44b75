"""Affine maps of denoising: the group law, the run that they compose to, the Jacobian, and the Gaussian case (T5)."""

from functools import reduce
from itertools import pairwise

import pytest
import torch

from tts.diffusion import from_betas, sample, time_grid, vp_linear
from tts.image.groups.affine import AffineMap, compose, ddim_affine, ddim_maps, gaussian_affine, jacobian_affine

F64 = torch.float64
SCHEDULE = vp_linear()
LAM = torch.tensor([4, 1, 0.25, 0.01], dtype=F64)
MEAN = torch.tensor([0.5, -1, 2, 0], dtype=F64)


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def random_maps(dense):
    linear = normal(3, 4, 4, seed=1) if dense else normal(3, seed=1)
    return AffineMap(linear, normal(3, 4, seed=2))


def gaussian(schedule, mean=MEAN, variance=LAM):
    def denoiser(u, t):
        alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
        return sigma * (u - alpha * mean) / (alpha**2 * variance + sigma**2)

    return denoiser


def curved(u, t):
    """A noise prediction that is no affine function of the state, of images."""
    return torch.tanh(u * (1 + t[:, None, None, None]) + u.roll(1, -1)) + u.flatten(1).square().mean(1)[:, None, None, None]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_composition_inverse_and_determinant_are_those_of_the_augmented_matrices(first, second):
    earlier, later = random_maps(first), random_maps(second)
    x = normal(3, 2, 2, seed=3)
    torch.testing.assert_close((later @ earlier)(x), later(earlier(x)))
    torch.testing.assert_close((later @ earlier).matrix(), later.matrix() @ earlier.matrix())
    torch.testing.assert_close(later.inverse().matrix(), torch.linalg.inv(later.matrix()))
    torch.testing.assert_close(later.inverse()(later(x)), x)
    sign, logarithm = later.slogdet()
    torch.testing.assert_close(sign * logarithm.exp(), torch.linalg.det(later.matrix()))


def test_a_map_outside_the_group_has_no_inverse_and_shapes_must_fit():
    for linear in (torch.tensor([1.0, 0.0]), torch.stack([torch.eye(3), torch.ones(3, 3)])):
        assert AffineMap(linear, torch.ones(2, 3)).slogdet()[0].tolist() == [1, 0]
        with pytest.raises(ValueError, match=r"maps \[1\] of the batch have determinant 0"):
            AffineMap(linear, torch.ones(2, 3)).inverse()
    with pytest.raises(ValueError, match=r"found \(2, 3\) with \(2, 3\)"):
        AffineMap(torch.ones(2, 3), torch.ones(2, 3))
    with pytest.raises(ValueError, match="at least one map"):
        compose([])


def test_the_maps_of_a_run_compose_to_the_sample_of_a_denoiser_that_is_not_affine():
    u, times = normal(2, 1, 3, 3), time_grid(SCHEDULE, 7)
    maps = ddim_maps(curved, u, SCHEDULE, times)
    torch.testing.assert_close(compose(maps)(u), sample(curved, u, SCHEDULE, times, sampler="ddim"), rtol=0, atol=1e-10)
    # dilations multiply to alpha_0 / alpha_T; divided by alpha the steps are translations, so they add up in any order
    torch.testing.assert_close(compose(maps).linear, 1 / SCHEDULE.alpha(times[:1]).expand(2))
    alpha = SCHEDULE.alpha(times)
    shifts = sum(m.offset / alpha[i + 1] for i, m in enumerate(maps))
    torch.testing.assert_close(compose(maps)(u).flatten(1), u.flatten(1) / alpha[0] + shifts, rtol=0, atol=1e-10)


def test_with_eta_1_the_step_is_the_ancestral_one():
    u, noise, times = normal(2, 1, 3, 3), normal(2, 1, 3, 3, seed=5), torch.tensor([0.7, 0.4], dtype=F64)
    expected = sample(curved, u, SCHEDULE, times, sampler="ancestral", noise=lambda _: noise)
    step = ddim_affine(SCHEDULE, 0.7, 0.4, curved(u, torch.full((2,), 0.7, dtype=F64)), eta=1.0, noise=noise)
    torch.testing.assert_close(step(u), expected, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="eta must be within 0 and 1"):
        ddim_affine(SCHEDULE, 0.7, 0.4, u, eta=1.0)


def test_the_jacobian_map_is_the_derivative_of_the_step_and_meets_it_at_its_point():
    u, times = normal(2, 1, 2, 2), torch.tensor([0.7, 0.4], dtype=F64)

    def step(x):
        return sample(curved, x, SCHEDULE, times, sampler="ddim")

    linearised = jacobian_affine(curved, u, SCHEDULE, 0.7, 0.4)
    torch.testing.assert_close(linearised(u), step(u), rtol=0, atol=1e-12)
    v = normal(2, 1, 2, 2, seed=7)
    difference = (step(u + 1e-6 * v) - step(u - 1e-6 * v)) / 2e-6
    torch.testing.assert_close(linearised(u + v) - linearised(u), difference, rtol=0, atol=1e-8)


def test_products_of_jacobian_maps_are_the_jacobian_of_the_sampler():
    times, u = time_grid(SCHEDULE, 3), normal(1, 1, 2, 2)
    states, maps = [u], []
    for t, s in pairwise(times.tolist()):
        maps.append(jacobian_affine(curved, states[-1], SCHEDULE, t, s))
        states.append(maps[-1](states[-1]))
    whole = torch.autograd.functional.jacobian(lambda x: sample(curved, x, SCHEDULE, times, sampler="ddim"), u)
    torch.testing.assert_close(compose(maps).linear, whole.reshape(1, 4, 4), rtol=1e-9, atol=1e-9)


def test_for_gaussian_data_the_step_is_affine_its_jacobian_everywhere_and_all_steps_commute():
    t, s, r = 0.8, 0.5, 0.2
    step, other = gaussian_affine(SCHEDULE, t, s, MEAN, LAM), gaussian_affine(SCHEDULE, s, r, MEAN, LAM)
    for u in (normal(1, 4), 9 * normal(1, 4, seed=1)):
        grid = torch.tensor([t, s], dtype=F64)
        torch.testing.assert_close(step(u), sample(gaussian(SCHEDULE), u, SCHEDULE, grid, sampler="ddim"))
        found = jacobian_affine(gaussian(SCHEDULE), u, SCHEDULE, t, s)
        torch.testing.assert_close(found.matrix(), step.matrix(), rtol=0, atol=1e-10)
    torch.testing.assert_close((step @ other).linear, (other @ step).linear)


@pytest.mark.parametrize(
    ("n_steps", "golden"), [(10, (2.8616, 0.6636, 0.1308, 0.0012)), (50, (3.7617, 0.9281, 0.2227, 0.0061))]
)
def test_the_product_of_gaussian_maps_has_the_known_variance(n_steps, golden):
    schedule = from_betas(torch.linspace(1e-4, 0.02, 1000, dtype=F64))
    indices = torch.linspace(0, 999, n_steps, dtype=F64).round().flip(0)
    times = [*((indices + 1) / 1000).tolist(), 0.0]
    maps = [gaussian_affine(schedule, t, s, 0 * MEAN, LAM) for t, s in pairwise(times)]
    variance = reduce(lambda a, b: b @ a, maps).linear[0].diagonal() ** 2
    torch.testing.assert_close(variance, torch.tensor(golden, dtype=F64), rtol=0, atol=5.1e-5)


def test_the_exact_denoiser_is_invertible_above_0_and_singular_at_0_where_the_data_are_known():
    variance = torch.tensor([1, 0, 0.25, 0.01], dtype=F64)
    inside, last = (gaussian_affine(SCHEDULE, 0.9, s, MEAN, variance) for s in (0.01, 0.0))
    assert inside.slogdet()[0].item() == 1
    with pytest.raises(ValueError, match="no inverse"):
        last.inverse()

"""Priors draw what their densities say, and their divergences are the integrals they stand for."""

import math

import pytest
import torch

from tts.image.priors import PRIORS, Bernoulli, Categorical, Cube, Gaussian, Ring, SwissRoll

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def integral_over_plane(prior, half=4.0, n=401):
    """The sum of p over a grid of the plane, times the area of a cell, and the second moment of a number."""
    axis = torch.linspace(-half, half, n, dtype=F64)
    z = torch.cartesian_prod(axis, axis)[:, :, None]
    mass = prior.log_prob(z).exp() * (2 * half / (n - 1)) ** 2
    return mass.sum().item(), (mass * z[:, 0, 0] ** 2).sum().item()


@pytest.mark.parametrize(
    ("prior", "second_moment"), [(Gaussian(2), 1.0), (Ring(2), None), (Cube(2), 1.0)], ids=["gaussian", "ring", "cube"]
)
def test_densities_integrate_to_one_and_have_the_spread_of_the_draws(prior, second_moment):
    total, moment = integral_over_plane(prior)
    draws = prior.sample(20_000, generator())
    assert draws.shape == (20_000, 2, 1)
    assert total == pytest.approx(1, abs=0.02)  # the edge of the cube falls between points of the grid
    assert draws.square().mean().item() == pytest.approx(moment, rel=0.03)
    assert isinstance(prior, Ring) or moment == pytest.approx(1, rel=0.03)


def test_the_gaussian_density_and_kl_are_those_of_torch():
    prior, mean, log_variance = Gaussian(3, 2), torch.randn(5, 3, 2, generator=generator()), torch.randn(5, 3, 2)
    q = torch.distributions.Normal(mean, (log_variance / 2).exp())
    p = torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(prior.kl(mean, log_variance), torch.distributions.kl_divergence(q, p).sum((1, 2)))
    torch.testing.assert_close(prior.log_prob(mean), p.log_prob(mean).sum((1, 2)))


def test_the_ring_has_ten_modes_at_1_4_from_the_origin_long_along_the_radius():
    prior = Ring(2)
    angle = torch.arange(10) * (2 * math.pi / 10) + 1e-3
    modes = 1.4 * torch.stack((angle.cos(), angle.sin()), dim=1)[:, :, None]
    between = 1.4 * torch.stack(((angle + math.pi / 10).cos(), (angle + math.pi / 10).sin()), dim=1)[:, :, None]
    assert (prior.log_prob(modes) - prior.log_prob(between)).min() > 4
    # one mode apart from the others: standard deviations .5 and .1
    further = modes * (1.9 / 1.4)
    torch.testing.assert_close(prior.log_prob(modes) - prior.log_prob(further), torch.full((10,), 0.5), rtol=0, atol=0.05)
    pairs = Ring(2, 3)
    z = pairs.sample(7, generator())
    apart = sum(prior.log_prob(pair[:, :, None]) for pair in z.flatten(1).split(2, dim=1))
    torch.testing.assert_close(pairs.log_prob(z), apart)


def test_the_swiss_roll_winds_one_and_a_half_times_with_a_growing_radius():
    x, y = SwissRoll(1, 2).sample(5000, generator()).flatten(1).T
    radius = (x**2 + y**2).sqrt() * 5
    assert radius.min() == pytest.approx(1.5 * math.pi, abs=0.02) and radius.max() == pytest.approx(4.5 * math.pi, abs=0.02)
    torch.testing.assert_close(torch.stack((radius.cos(), radius.sin())) * radius / 5, torch.stack((x, y)), rtol=0, atol=1e-4)
    assert SwissRoll(2).log_prob(torch.zeros(1, 2, 1)) is None


def test_discrete_divergences_are_the_sums_over_all_values():
    logits = torch.randn(4, 3, 5, generator=generator())
    p = logits.softmax(-1)
    torch.testing.assert_close(Categorical(3, 5).kl(logits), (p * (p * 5).log()).sum((1, 2)))
    p = torch.stack((logits.sigmoid(), (-logits).sigmoid()))
    torch.testing.assert_close(Bernoulli(3, 5).kl(logits), (p * (p * 2).log()).sum((0, 2, 3)))
    certain = torch.full((1, 3, 5), 200.0)
    torch.testing.assert_close(Bernoulli(3, 5).kl(certain), torch.tensor([15 * math.log(2)]))  # no 0 ln 0


@pytest.mark.parametrize("prior", [Bernoulli(3, 4), Categorical(3, 4)], ids=["bernoulli", "categorical"])
def test_relaxed_draws_harden_as_the_temperature_falls_with_the_posteriors_frequencies(prior):
    logits = torch.tensor([1.5, 0.0, -1.0, 0.5]).expand(20_000, 3, 4)
    z = prior.relax(logits, 0.01, generator())
    assert ((z < 0.01) | (z > 0.99)).float().mean() > 0.97
    expected = logits[0].sigmoid() if isinstance(prior, Bernoulli) else logits[0].softmax(-1)
    torch.testing.assert_close(z.mean(0), expected, rtol=0, atol=0.015)  # four standard errors
    soft = prior.relax(logits[:50].clone().requires_grad_(), 1.0, generator())
    assert soft.min() > 0 and soft.max() < 1 and soft.requires_grad
    hard = prior.harden(logits[:1])
    assert hard[0, 0].tolist() == ([1, 0, 0, 1] if isinstance(prior, Bernoulli) else [1, 0, 0, 0])
    draws = prior.sample(64, generator())
    assert prior.log_prob(draws).unique().numel() == 1 and prior.log_prob(draws).isfinite().all()
    assert prior.log_prob(draws + 0.5).isinf().all()


@pytest.mark.parametrize("name", ["cube", "ring", "swiss_roll"])
def test_a_prior_without_a_closed_divergence_says_none(name):
    prior = PRIORS[name](1, 2)
    assert prior.kl(torch.zeros(3, 1, 2), torch.zeros(3, 1, 2)) is None


def test_priors_of_pairs_refuse_codes_without_them():
    with pytest.raises(ValueError, match="an even number of numbers, found 3"):
        Ring(3)
    with pytest.raises(ValueError, match="two numbers, found 4"):
        SwissRoll(2, 2)

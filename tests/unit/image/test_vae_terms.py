"""The terms of VAE losses against closed forms, torch.distributions and codes of known statistics."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence

from tts.image.vae_config import Likelihood
from tts.image.vae_terms import (
    gaussian_kl,
    identity_distance,
    permute_units,
    pixel_means,
    posterior_covariance,
    reconstruction_error,
    sample_posterior,
    total_correlation,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_kl_is_that_of_torch_distributions():
    mean, log_variance = torch.randn(2, 7, 3, generator=generator())
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(gaussian_kl(mean, log_variance), expected)


def test_the_bernoulli_error_is_its_negative_log_likelihood_summed_over_pixels_and_channels():
    draw = generator()
    logits = torch.randn(4, 3, 5, 5, generator=draw)
    y = torch.randint(2, logits.shape, generator=draw).float()
    expected = -Bernoulli(logits=logits).log_prob(y).sum(dim=(1, 2, 3))
    torch.testing.assert_close(reconstruction_error(logits, 2 * y - 1, Likelihood.bernoulli, 1.0), expected)


def test_the_bernoulli_error_of_grey_is_ln_2_a_pixel_and_is_least_at_the_image():
    grey = torch.zeros(1, 1, 2, 2)
    assert reconstruction_error(grey, grey, Likelihood.bernoulli, 1.0).item() == pytest.approx(4 * math.log(2))
    x = torch.tensor([-0.5]).view(1, 1, 1, 1)  # y = 1/4
    errors = [reconstruction_error(x * 0 + math.log(p / (1 - p)), x, Likelihood.bernoulli, 1.0) for p in (0.2, 0.25, 0.3)]
    assert errors[1] < min(errors[0], errors[2])


def test_the_gaussian_error_is_its_negative_log_likelihood_without_the_constant():
    mean, x = torch.randn(4, 3, 5, 5, generator=generator()), torch.rand(4, 3, 5, 5, generator=generator(1)) * 2 - 1
    constant = 75 * math.log(0.3 * math.sqrt(2 * math.pi))
    expected = -Normal(mean, 0.3).log_prob(x).sum(dim=(1, 2, 3)) - constant
    torch.testing.assert_close(reconstruction_error(mean, x, Likelihood.gaussian, 0.3), expected)


def test_a_deviation_of_root_2_is_the_sum_of_squared_errors_of_pixels_from_0_to_1():
    mean, y = torch.rand(2, 1, 3, 3, generator=generator()), torch.rand(2, 1, 3, 3, generator=generator(1))
    expected = (mean - y).square().sum(dim=(1, 2, 3))
    torch.testing.assert_close(reconstruction_error(2 * mean - 1, 2 * y - 1, Likelihood.gaussian, math.sqrt(2)), expected)


def test_a_gaussian_mean_far_below_black_is_still_pulled_back_and_is_painted_black():
    decoded = torch.full((1, 1, 1, 1), -40.0, requires_grad=True)
    reconstruction_error(decoded, torch.ones(1, 1, 1, 1), Likelihood.gaussian, 1.0).backward()
    assert decoded.grad.item() == -41  # (decoded - x) / std^2
    assert pixel_means(decoded, Likelihood.gaussian).item() == -1


def test_the_image_of_bernoulli_pixels_is_their_probability_scaled_to_the_range_of_images():
    logits = torch.randn(2, 1, 3, 3, generator=generator())
    torch.testing.assert_close(pixel_means(logits, Likelihood.bernoulli), 2 * torch.sigmoid(logits) - 1)


def test_a_sample_has_the_moments_of_its_posterior():
    mean, log_variance = torch.tensor([1.0, -2.0]), torch.tensor([0.25, 4.0]).log()
    z = sample_posterior(mean.expand(40000, 2), log_variance.expand(40000, 2), generator())
    torch.testing.assert_close(z.mean(0), mean, atol=0.05, rtol=0)  # 5 standard errors of the wider unit
    torch.testing.assert_close(z.var(0), torch.tensor([0.25, 4.0]), atol=0, rtol=0.05)


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9])
def test_the_total_correlation_of_a_gaussian_is_found(correlation):
    # q(z) = N(0, V), means drawn from N(0, V - s^2 I), posteriors N(mean, s^2); TC = -ln det(V) / 2 for unit variances
    variance = (1 - correlation) / 2
    covariance = torch.eye(2)
    covariance[0, 1] = covariance[1, 0] = correlation
    root = torch.linalg.cholesky(covariance - variance * torch.eye(2))
    mean = torch.randn(1500, 2, generator=generator()) @ root.T
    log_variance = torch.full_like(mean, math.log(variance))
    z = sample_posterior(mean, log_variance, generator(1))
    expected = -math.log(1 - correlation**2) / 2
    # 4 standard deviations over seeds
    assert total_correlation(z, mean, log_variance).item() == pytest.approx(
        expected, abs=0.08
    )  # 4 standard deviations over seeds


def test_the_total_correlation_is_the_definition_over_the_mixture_of_the_batch():
    mean, log_variance, z = torch.randn(3, 5, 3, generator=generator(), dtype=torch.float64)
    deviation = (log_variance / 2).exp()
    terms = []
    for point in z:
        joint = sum(MultivariateNormal(m, torch.diag(s**2)).log_prob(point).exp() for m, s in zip(mean, deviation, strict=True))
        units = [Normal(mean[:, d], deviation[:, d]).log_prob(point[d]).exp().mean() for d in range(3)]
        terms.append((joint / 5).log() - sum(unit.log() for unit in units))
    torch.testing.assert_close(total_correlation(z, mean, log_variance), torch.stack(terms).mean())


def test_the_covariance_of_codes_adds_the_mean_variance_of_the_posteriors():
    mean = torch.randn(50, 3, generator=generator(), dtype=torch.float64)
    log_variance = torch.randn(50, 3, generator=generator(1), dtype=torch.float64)
    of_means = torch.cov(mean.T, correction=0)
    torch.testing.assert_close(posterior_covariance(mean, log_variance, of_codes=False), of_means)
    expected = of_means + torch.diag(log_variance.exp().mean(0))
    torch.testing.assert_close(posterior_covariance(mean, log_variance, of_codes=True), expected)


def test_the_dip_penalties_of_codes_of_known_covariance_are_worked_out_by_hand():
    # the corners of a square, stretched: covariance [[4, 2], [2, 2]]
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    mean = corners @ torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    log_variance = torch.full_like(mean, math.log(0.5))
    off, on = identity_distance(posterior_covariance(mean, log_variance, of_codes=False))
    assert (off.item(), on.item()) == pytest.approx((2 * 2**2, 3**2 + 1**2))
    off, on = identity_distance(posterior_covariance(mean, log_variance, of_codes=True))
    assert (off.item(), on.item()) == pytest.approx((2 * 2**2, 3.5**2 + 1.5**2))
    assert [distance.item() for distance in identity_distance(torch.eye(4))] == [0, 0]


def test_permuted_units_keep_their_marginals_and_lose_each_other():
    first = torch.randn(2000, 1, generator=generator())
    z = torch.cat((first, first, 2 * first), dim=1)
    permuted = permute_units(z, generator(1))
    assert torch.equal(permuted.sort(0).values, z.sort(0).values)
    correlation = torch.corrcoef(permuted.T) - torch.eye(3)
    assert correlation.abs().max() < 0.1  # 4.5 standard errors of 1 / sqrt(2000)
    assert torch.corrcoef(z.T).min() > 0.999
    assert torch.equal(permuted, permute_units(z, generator(1)))

"""The orthogonal Fisher divergence: golden values, closed form against model, and the time chosen by it."""

import pytest
import torch

from tts.diffusion import from_betas, vp_linear
from tts.image.subspace.complement import Complement
from tts.image.subspace.projections import AveragePool, LinearProjection
from tts.image.subspace.times import choose_time, gaussian_fisher, gaussian_spectrum, orthogonal_fisher

F64 = torch.float64
SCHEDULE = vp_linear(0.1, 20.0)


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def noise_of(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda u: torch.randn(u.shape, dtype=u.dtype, generator=generator)


def exact(covariance):
    """eps_hat of N(0, covariance) on flattened images, by solving with the marginal covariance."""

    def denoiser(x, t):
        alpha, sigma = SCHEDULE.alpha(t)[:, None, None], SCHEDULE.sigma(t)[:, None, None]
        marginal = alpha**2 * covariance + sigma**2 * torch.eye(len(covariance), dtype=F64)
        eps = sigma * torch.linalg.solve(marginal, x.flatten(1)[..., None])
        return eps[..., 0].reshape(x.shape)

    return denoiser


def test_the_closed_form_has_the_golden_values():
    lam = torch.tensor([0.3, 0.2, 0.1, 0.05], dtype=F64)
    alpha_bar = torch.tensor([0.9, 0.5, 0.1, 0.01], dtype=F64)
    times = SCHEDULE.time_of_log_snr(torch.logit(alpha_bar))
    found = gaussian_fisher(lam, torch.ones(4), lam.mean().sqrt().item(), SCHEDULE, times)
    golden = torch.tensor([0.13483, 0.0067355, 1.0951e-4, 9.37e-7], dtype=F64)
    torch.testing.assert_close(found, golden, rtol=1e-3, atol=0)


def test_the_model_of_any_gaussian_measures_what_its_spectrum_says():
    factor = normal(16, 16, seed=5)
    covariance, projection = factor @ factor.T / 16, AveragePool(1)
    x0 = (normal(4000, 16) @ torch.linalg.cholesky(covariance).T).reshape(-1, 1, 4, 4)
    times, complement = torch.tensor([0.1, 0.3, 0.6], dtype=F64), Complement(0.8)
    measured = orthogonal_fisher(
        exact(covariance), [x0[:1000], x0[1000:]], projection, complement, SCHEDULE, times, noise_of(1)
    )
    variances, vectors = torch.linalg.eigh(covariance)
    shares = projection.complement(vectors.T.reshape(16, 1, 4, 4)).square().flatten(1).sum(1)
    closed = gaussian_fisher(variances, shares, 0.8, SCHEDULE, times)
    torch.testing.assert_close(measured, closed, rtol=0.05, atol=0)  # 48 000 terms: some standard errors of 1 %


def test_the_spectrum_of_samples_adds_up_to_their_variance_in_and_out_of_the_subspace():
    x, projection = normal(80, 2, 4, 4) * torch.linspace(0.2, 1, 4, dtype=F64), AveragePool(1)
    variances, shares = gaussian_spectrum(x, projection)
    centred = x - x.mean(0)
    assert variances.sum().item() == pytest.approx(centred.square().sum().item() / 79)
    assert shares.sum().item() == pytest.approx(24)  # d - n
    assert (variances * shares).sum().item() == pytest.approx(projection.complement(centred).square().sum().item() / 79)


@pytest.mark.parametrize("std", [0.3, 1.0])
def test_an_isotropic_complement_has_no_divergence_at_any_time(std):
    d, n = 12, 4
    basis = torch.linalg.qr(normal(d, n, seed=2)).Q
    projection = LinearProjection(basis, (d,))
    inner = torch.diag(torch.tensor([2.0, 1.0, 0.5, 0.1], dtype=F64))
    covariance = basis @ inner @ basis.T + std**2 * (torch.eye(d, dtype=F64) - basis @ basis.T)
    x0, times = normal(50, d), torch.linspace(0.05, 1, 5, dtype=F64)
    found = orthogonal_fisher(exact(covariance), [x0], projection, Complement(std), SCHEDULE, times, noise_of(3))
    assert found.max().item() < 1e-20


def test_the_divergence_does_not_depend_on_the_discretisation_of_the_schedule():
    discrete = from_betas(torch.linspace(1e-4, 0.02, 1000, dtype=F64))
    lam, times = torch.tensor([0.3, 0.05], dtype=F64), torch.tensor([0.5], dtype=F64)
    there = discrete.time_of_log_snr(SCHEDULE.log_snr(times))
    a, b = (gaussian_fisher(lam, torch.ones(2), 0.4, s, t) for s, t in ((SCHEDULE, times), (discrete, there)))
    torch.testing.assert_close(a, b)


def test_the_time_is_where_the_logarithm_crosses_the_threshold_for_the_last_time():
    times = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5], dtype=F64)
    fisher = torch.tensor([1.0, 1e-3, 1e-1, 1e-3, 1e-4], dtype=F64)  # not monotone: noise at 0.2
    assert choose_time(times, fisher, 1e-2) == pytest.approx(0.35)
    assert choose_time(times.flip(0), fisher.flip(0), 1e-2) == pytest.approx(0.35)
    assert choose_time(times, fisher, 2.0) == 0.1
    assert choose_time(times, torch.tensor([1.0, 0.1, 0.0, 0.0, 0.0]), 1e-2) > 0.2


def test_a_threshold_that_is_never_reached_is_refused_with_what_was_found():
    with pytest.raises(ValueError, match=r"D_F is 0\.5 at t = 1, not below 0\.01"):
        choose_time(torch.tensor([0.5, 1.0]), torch.tensor([1.0, 0.5]), 1e-2)
    with pytest.raises(ValueError, match="threshold must be finite and above 0"):
        choose_time(torch.tensor([0.5, 1.0]), torch.tensor([1.0, 0.5]), 0.0)
    with pytest.raises(ValueError, match="at least one image"):
        orthogonal_fisher(lambda x, t: x, [], AveragePool(1), Complement(1.0), SCHEDULE, torch.ones(1), noise_of(0))

"""The log-likelihood of the probability flow against Gaussian densities."""

import pytest
import torch

from tts.diffusion import Composite, Parametrization, time_grid, vp_linear
from tts.diffusion.likelihood import log_likelihood

F64 = torch.float64
SCHEDULE = vp_linear()
TIMES = time_grid(SCHEDULE, 100, "log_snr", t_min=1e-3)[:-1]


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def test_a_gaussian_has_its_own_density_and_a_batch_equals_its_singles():
    # the Jacobian of independent numbers is diagonal, so one vector of signs gives its trace exactly
    mean, std = torch.tensor([0.5, -1.0, 0.0], dtype=F64), torch.tensor([0.3, 1.0, 0.6], dtype=F64)
    denoiser = Composite(SCHEDULE, [], Parametrization("preconditioned", std), mean)
    x0, signs = mean + std * normal(4, 3), torch.tensor([[[1.0, -1.0, 1.0]]], dtype=F64)
    found = log_likelihood(denoiser, x0, SCHEDULE, TIMES, signs)
    blur = SCHEDULE.sigma(TIMES[-1]) / SCHEDULE.alpha(TIMES[-1])
    exact = torch.distributions.Normal(mean, (std**2 + blur**2).sqrt()).log_prob(x0).sum(1)
    torch.testing.assert_close(found, exact, rtol=0, atol=0.02)
    torch.testing.assert_close(log_likelihood(denoiser, x0[2:3], SCHEDULE, TIMES, signs), found[2:3])


def test_the_midpoint_rule_is_of_second_order():
    denoiser, x0 = Composite(SCHEDULE, [], Parametrization("preconditioned", 0.2)), torch.full((1, 1), 0.3, dtype=F64)
    signs = torch.ones(1, 1, 1, dtype=F64)
    values = [
        log_likelihood(denoiser, x0, SCHEDULE, torch.linspace(0.9**0.5, 0.05**0.5, n + 1, dtype=F64) ** 2, signs).item()
        for n in (40, 80, 160)
    ]
    assert (values[0] - values[1]) / (values[1] - values[2]) == pytest.approx(4, rel=0.15)


def test_a_grid_that_reaches_the_data_is_refused():
    with pytest.raises(ValueError, match=r"strictly falling values in \(0, 1\]"):
        log_likelihood(lambda u, t: u, torch.zeros(1, 2), SCHEDULE, time_grid(SCHEDULE, 4), torch.ones(1, 1, 2))

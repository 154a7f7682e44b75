"""eps, v and preconditioned outputs stand for the same noise and data."""

import pytest
import torch

from tts.diffusion import Parametrization, add_noise, cosine, expand_like, shifted, vp_linear
from tts.diffusion.parametrization import LEAST_SIGNAL

F64 = torch.float64
STD = torch.tensor([0.3, 1.0, 2.5], dtype=F64).reshape(3, 1)


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def coefficients(t, x, schedule=None):
    schedule = schedule or vp_linear()
    return expand_like(schedule.alpha(t), x), expand_like(schedule.sigma(t), x)


@pytest.mark.parametrize("kind", ["eps", "v", "preconditioned"])
def test_the_target_stands_for_the_noise_and_the_data_it_was_made_of(kind):
    mean, x0, eps = normal(6, 3, 5, seed=2), normal(6, 3, 5), normal(6, 3, 5, seed=1)
    alpha, sigma = coefficients(torch.linspace(0.01, 1, 6, dtype=F64), x0)
    u = add_noise(x0, eps, alpha, sigma)
    head = Parametrization(kind, STD)
    target = head.target(x0, eps, alpha, sigma, mean)
    torch.testing.assert_close(head.eps(target, u, alpha, sigma, mean), eps, rtol=0, atol=1e-11)
    torch.testing.assert_close(head.x0(target, u, alpha, sigma, mean), x0, rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", ["eps", "v", "preconditioned"])
def test_eps_gain_is_the_derivative_of_the_noise_by_the_output(kind):
    u, output = normal(4, 3, 5), normal(4, 3, 5, seed=1)
    alpha, sigma = coefficients(torch.linspace(0.01, 1, 4, dtype=F64), u)
    head = Parametrization(kind, STD)
    slope = head.eps(output + 1, u, alpha, sigma) - head.eps(output, u, alpha, sigma)
    torch.testing.assert_close(slope.abs(), head.eps_gain(alpha, sigma).expand_as(u))


@pytest.mark.parametrize("t", [0.0, 0.02, 0.3, 1.0])
def test_preconditioned_targets_have_unit_variance_for_data_of_the_stated_spread(t):
    x0, eps = 1.5 + 0.3 * normal(20000, 1), normal(20000, 1, seed=1)
    alpha, sigma = (f(torch.tensor(t, dtype=F64)) for f in (vp_linear().alpha, vp_linear().sigma))
    target = Parametrization("preconditioned", 0.3).target(x0, eps, alpha, sigma, 1.5)
    assert target.var().item() == pytest.approx(1, rel=0.03)


def test_preconditioned_with_a_zero_output_is_the_posterior_mean_of_the_gaussian():
    u, mean, std, alpha, sigma = normal(4), 0.7, 0.3, 0.6, 0.8
    gain = alpha * std**2 / (alpha**2 * std**2 + sigma**2)  # Kalman
    found = Parametrization("preconditioned", std).x0(torch.zeros(4, dtype=F64), u, alpha, sigma, mean)
    torch.testing.assert_close(found, mean + gain * (u - alpha * mean))


def test_preconditioned_with_unit_spread_and_no_mean_is_minus_v():
    u, output, alpha, sigma = normal(4), normal(4, seed=1), 0.6, 0.8
    torch.testing.assert_close(
        Parametrization("preconditioned").eps(output, u, alpha, sigma), Parametrization("v").eps(-output, u, alpha, sigma)
    )


@pytest.mark.parametrize("kind", ["v", "preconditioned"])
def test_data_are_read_at_both_ends_of_time_in_float32(kind):
    u, output = normal(2, 4).float(), normal(2, 4, seed=1).float()
    for t in (0.0, 1.0):
        x0 = Parametrization(kind, 0.3).x0(output, u, *coefficients(torch.full((2,), t), u), 0.5)
        assert x0.dtype == torch.float32 and x0.isfinite().all()
        assert t > 0 or torch.allclose(x0, u)


def test_an_unknown_kind_and_an_impossible_spread_are_refused():
    with pytest.raises(ValueError, match="eps, v, preconditioned"):
        Parametrization("x0")
    for std in (0.0, -1.0, float("nan"), float("inf"), torch.tensor([1.0, 0.0])):
        with pytest.raises(ValueError, match="data_std"):
            Parametrization("preconditioned", std)


def test_sampling_begins_at_one_but_for_noise_whose_schedule_ends_with_less_signal_than_linear_ones():
    schedules = {"linear": vp_linear(0.1, 20.0), "cosine": cosine(), "shifted": shifted(cosine(), 4.0)}
    for kind in ("v", "preconditioned"):
        assert [Parametrization(kind).first_time(schedule) for schedule in schedules.values()] == [1.0, 1.0, 1.0]
    first = {name: Parametrization("eps").first_time(schedule) for name, schedule in schedules.items()}
    assert first["linear"] == 1.0
    for name in ("cosine", "shifted"):
        assert schedules[name].alpha(torch.tensor(first[name], dtype=torch.float64)).item() == pytest.approx(LEAST_SIGNAL)
    assert first["cosine"] == pytest.approx(0.99615, abs=1e-5)  # cos(pi/2 (t + .008) / 1.008) = .006 cos(pi/2 .008 / 1.008)

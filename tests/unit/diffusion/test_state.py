"""Conversions between state, noise, data, velocity and score are inverses of each other."""

import pytest
import torch

from tts.diffusion import (
    add_noise,
    asymmetric_edit,
    eps_from_score,
    eps_from_v,
    eps_from_x0,
    expand_like,
    initial_state,
    sample,
    score_from_eps,
    v_from,
    vp_linear,
    x0_from_eps,
    x0_from_v,
)
from tts.diffusion.state import masked

F64 = torch.float64


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def test_every_conversion_recovers_what_made_the_state():
    x0, eps, t = normal(5, 3, 7), normal(5, 3, 7, seed=1), torch.linspace(0.02, 1, 5, dtype=F64)
    alpha, sigma = (expand_like(f(t), x0) for f in (vp_linear().alpha, vp_linear().sigma))
    u = add_noise(x0, eps, alpha, sigma)
    v = v_from(x0, eps, alpha, sigma)
    for found, expected in [
        (x0_from_eps(u, eps, alpha, sigma), x0),
        (eps_from_x0(u, x0, alpha, sigma), eps),
        (x0_from_v(u, v, alpha, sigma), x0),
        (eps_from_v(u, v, alpha, sigma), eps),
        (eps_from_score(score_from_eps(eps, sigma), sigma), eps),
    ]:
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_the_score_is_the_gradient_of_the_log_density():
    u, x0, alpha, sigma = normal(4).requires_grad_(), normal(4, seed=1), 0.6, 0.8
    torch.distributions.Normal(alpha * x0, sigma).log_prob(u).sum().backward()
    torch.testing.assert_close(score_from_eps(eps_from_x0(u, x0, alpha, sigma), sigma).detach(), u.grad)


def test_expand_like_lines_a_vector_up_with_the_batch_axis_and_leaves_a_scalar():
    assert expand_like(torch.ones(4), torch.ones(4, 80, 9)).shape == (4, 1, 1)
    assert expand_like(torch.ones(4), torch.ones(4)).shape == (4,)
    assert expand_like(torch.tensor(2.0), torch.ones(4, 3)).ndim == 0


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_marginals_have_the_stated_mean_and_variance(t):
    # 100 000 draws: 2 % is 4.5 standard errors of the variance (false alarm 1e-5, and the seed is fixed)
    schedule, mean, std = vp_linear(), 1.5, 0.4
    u = initial_state(schedule, t, normal(100000), mean, std)
    alpha, sigma = schedule.alpha(torch.tensor(t, dtype=F64)), schedule.sigma(torch.tensor(t, dtype=F64))
    assert u.mean().item() == pytest.approx((alpha * mean).item(), abs=0.02)
    assert u.var().item() == pytest.approx((alpha**2 * std**2 + sigma**2).item(), rel=0.02)


def test_initial_state_takes_a_time_per_sample_a_tensor_std_and_keeps_the_dtype():
    noise, std = normal(3, 2, 4).float(), torch.tensor([[0.5], [2.0]])
    u = initial_state(vp_linear(), torch.tensor([0.0, 0.5, 1.0]), noise, 1.0, std)
    assert u.dtype == torch.float32
    torch.testing.assert_close(u[0], 1 + std * noise[0])
    torch.testing.assert_close(initial_state(vp_linear(), 0.5, noise, 1.0, std)[1], u[1])


def test_temperature_0_starts_at_the_scaled_mean():
    u = initial_state(vp_linear(), 1.0, normal(2, 3), mean=2.0, temperature=0.0)
    torch.testing.assert_close(u, torch.full((2, 3), 2 * vp_linear().alpha(torch.tensor(1.0, dtype=F64)).item(), dtype=F64))


@pytest.mark.parametrize("temperature", [-0.1, float("nan"), float("inf")])
def test_a_temperature_out_of_range_is_refused(temperature):
    with pytest.raises(ValueError, match="0 or more"):
        initial_state(vp_linear(), 1.0, normal(1), temperature=temperature)


def test_masked_gives_exact_zeros_even_for_nan():
    x = torch.tensor([[[1.0, float("nan")], [2.0, float("inf")]]])
    assert torch.equal(masked(x, torch.tensor([[[1.0, 0.0]]])), torch.tensor([[[1.0, 0.0], [2.0, 0.0]]]))
    assert masked(x, None) is x


def test_asymmetric_edit_makes_a_ddim_step_keep_the_unedited_direction():
    schedule, times = vp_linear(), torch.tensor([0.7, 0.4], dtype=F64)
    (a_t, a_s), (s_t, s_s) = schedule.alpha(times).tolist(), schedule.sigma(times).tolist()
    u, eps, shift = normal(2, 5), normal(2, 5, seed=1), normal(2, 5, seed=2)

    def hook(i, t, x0):
        return asymmetric_edit(x0, x0 + shift, (a_t, s_t), (a_s, s_s))

    found = sample(lambda *_: eps, u, schedule, times, sampler="ddim", hook=hook)
    expected = a_s * (x0_from_eps(u, eps, a_t, s_t) + shift) + s_s * eps
    torch.testing.assert_close(found, expected)

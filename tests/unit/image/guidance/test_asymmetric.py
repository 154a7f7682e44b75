"""Guidance of the predicted x0 alone is the asymmetric DDIM step, in closed form for a Gaussian and one noisy attribute."""

from itertools import pairwise

import pytest
import torch

from tts.diffusion import sample, time_grid, vp_linear
from tts.image.frozen_path import Once
from tts.image.guidance.asymmetric import asymmetric
from tts.image.guidance.guide import guided
from tts.image.model import clip_to_pixels

F64 = torch.float64
SCHEDULE = vp_linear(0.1, 20.0)
TIMES = time_grid(SCHEDULE, 7)
LAM, TAU, Y = torch.tensor([1.0, 0.3, 0.6], dtype=F64), 0.4, torch.tensor([0.9, -0.5, 0.2], dtype=F64)
U = torch.randn(5, 3, dtype=F64, generator=torch.Generator().manual_seed(0))


def coefficients(t):
    return SCHEDULE.alpha(t)[:, None], SCHEDULE.sigma(t)[:, None]


def base(u, t):
    alpha, sigma = coefficients(t)
    return sigma * u / (alpha**2 * LAM + sigma**2)


def log_prob(x, t):
    """ln p(y | x_t) of y = x0 + N(0, TAU^2), up to a constant, (1, B)."""
    alpha, sigma = coefficients(t)
    marginal = alpha**2 * LAM + sigma**2
    spread = LAM * sigma**2 / marginal + TAU**2
    return -((Y - alpha * LAM / marginal * x) ** 2 / (2 * spread)).sum(1)[None]


def run(weight, hook=None, calls=None):
    def counted(u, t):
        calls is not None and calls.append(t[0].item())
        return base(u, t)

    shared = Once(counted, trained=False)
    aim = asymmetric(shared, guided(shared, SCHEDULE, log_prob, [weight]), SCHEDULE, TIMES, hook)
    return sample(shared, U, SCHEDULE, TIMES, sampler="ddim", hook=aim)


def closed_form(clip):
    """U_s = a_s E[x0 | x_t, y] + sigma_s eps, with E by precisions and eps that of the state and the unconditional E."""
    u, coefficient = U, [(float(SCHEDULE.alpha(t)), float(SCHEDULE.sigma(t))) for t in TIMES]
    for (a_t, s_t), (a_s, s_s) in pairwise(coefficient):
        aimed = (a_t / s_t**2 * u + Y / TAU**2) / (1 / LAM + a_t**2 / s_t**2 + 1 / TAU**2)
        own = a_t / s_t**2 * u / (1 / LAM + a_t**2 / s_t**2)
        aimed, own = (x.clamp(-1, 1) if clip else x for x in (aimed, own))
        u = a_s * aimed + s_s * (u - a_t * own) / s_t
    return u


@pytest.mark.parametrize("clip", [False, True])
def test_a_run_is_the_closed_form_of_asymmetric_steps(clip):
    found = run(1.0, clip_to_pixels if clip else None)
    torch.testing.assert_close(found, closed_form(clip), rtol=0, atol=1e-9)
    symmetric = sample(guided(base, SCHEDULE, log_prob, [1.0]), U, SCHEDULE, TIMES, sampler="ddim")
    assert (found - symmetric).abs().max() > 0.05


@pytest.mark.parametrize("hook", [None, clip_to_pixels])
def test_weight_zero_is_the_unguided_run_to_the_last_bit(hook):
    assert torch.equal(run(0.0, hook), sample(base, U, SCHEDULE, TIMES, sampler="ddim", hook=hook))


def test_a_step_asks_the_base_once():
    calls = []
    run(1.0, calls=calls)
    assert calls == pytest.approx(TIMES[:-1].tolist())


def test_times_that_do_not_fall_are_refused():
    with pytest.raises(ValueError, match="strictly falling"):
        asymmetric(Once(base, trained=False), base, SCHEDULE, TIMES.flip(0))

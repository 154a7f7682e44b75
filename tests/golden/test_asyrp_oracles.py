"""Known numbers of Asyrp: its coefficients, and what symmetric and asymmetric edits add up to at several numbers of steps."""

import pytest
import torch

from tts.diffusion import Composite, Parametrization, Term, from_betas, sample, time_grid, vp_linear
from tts.image.asyrp import edited, sample_edited
from tts.image.edit_steps import Attribute, Injection, StrengthUnit
from tts.image.frozen_path import FrozenPath
from tts.image.h_space import HSpace
from tts.nets.image_unet import Encoded

F64 = torch.float64
DDPM = from_betas(torch.linspace(1e-4, 0.02, 1000, dtype=F64))


class GaussianTap:
    """The exact noise of N(0, 1) data, sigma U, whose h is the state itself and adds to the noise what is added to it."""

    def __init__(self, schedule=DDPM):
        self.schedule = schedule

    def encode(self, x, t, condition=None):
        return Encoded(x, (x,), t[:, None])

    def decode(self, encoded, condition=None, *, h=None):
        x = encoded.skips[0]
        sigma = self.schedule.sigma(encoded.time).reshape(-1, *[1] * (x.ndim - 1))
        return sigma * x + (0 if h is None else h - x)


def gaussian_space(schedule=DDPM):
    path, eps = FrozenPath(GaussianTap(schedule)), Parametrization("eps")
    return HSpace(Composite(schedule, [Term(path.output)], eps), path, schedule, eps)


def ddpm_grid(n_steps):
    indices = torch.linspace(0, 999, n_steps, dtype=F64).round().flip(0)
    return torch.cat([(indices + 1) / 1000, indices.new_zeros(1)])


def one(t_edit=0.0, strength=1.0, steps=40):
    return [Attribute(delta=lambda encoded, t: torch.ones_like(encoded.h), steps=steps, t_edit=t_edit, strength=strength)]


def shift(times, injection, attributes, unit=StrengthUnit.step, schedule=DDPM):
    """How far the edit moves what the steps lead to."""
    u, space = torch.full((1, 1), 0.3, dtype=F64), gaussian_space(schedule)
    denoiser = edited(space, attributes, times, injection=injection, unit=unit)
    plain = sample(space.composite, u, schedule, times, sampler="ddim")
    return (sample(denoiser, u, schedule, times, sampler="ddim") - plain).item()


@pytest.mark.parametrize(
    ("index", "to", "symmetric", "asymmetric"),
    [(999, 998, -0.0102, -1.010), (500, 499, -0.0053, -0.965), (100, 99, -0.0032, -0.324), (999, 973, -0.2961, -1.296)],
)
def test_one_step_moves_by_the_coefficients_of_theorem_1(index, to, symmetric, asymmetric):
    times = torch.tensor([index + 1, to + 1], dtype=F64) / 1000
    alpha, sigma = DDPM.alpha(times), DDPM.sigma(times)
    ratio = sigma / alpha
    for injection, golden, digits, formula in (
        (Injection.symmetric, symmetric, 5.1e-5, alpha[1] * (ratio[1] - ratio[0])),
        (Injection.asymmetric, asymmetric, 5.1e-4, -alpha[1] * ratio[0]),
    ):
        found = shift(times, injection, one())
        assert found == pytest.approx(golden, abs=digits)
        assert found == pytest.approx(formula.item(), rel=1e-9)


@pytest.mark.parametrize(
    ("n_steps", "symmetric", "asymmetric", "scaled"),
    [(20, -4.43, -13.4, -26.8), (40, -4.09, -23.0, -23.0), (80, -3.94, -42.7, -21.4), (160, -3.87, -82.4, -20.6)],
)
def test_a_symmetric_edit_stays_small_and_an_asymmetric_one_grows_with_the_steps_unless_scaled(
    n_steps, symmetric, asymmetric, scaled
):
    times, t_edit = ddpm_grid(n_steps), 0.501
    assert shift(times, Injection.symmetric, one(t_edit)) == pytest.approx(symmetric, abs=0.0051)
    assert shift(times, Injection.asymmetric, one(t_edit)) == pytest.approx(asymmetric, abs=0.051)
    assert shift(times, Injection.asymmetric, one(t_edit, 40 / n_steps)) == pytest.approx(scaled, abs=0.051)


def test_strength_per_time_is_that_of_the_step_counts_ratio_and_reaches_one_limit_on_every_grid():
    schedule = vp_linear(0.1, 20.0)

    def total(n_steps, kind, unit=StrengthUnit.time, strength=1.0):
        return shift(time_grid(schedule, n_steps, kind), Injection.asymmetric, one(0.3, strength), unit, schedule)

    found = {n: total(n, "uniform") for n in (40, 50, 100)}
    assert found[100] == pytest.approx(total(100, "uniform", StrengthUnit.step, 40 / 100), rel=1e-9)
    assert found[40] == pytest.approx(total(40, "uniform", StrengthUnit.step), rel=1e-9)
    # first order in the step: extrapolated to none
    limits = [2 * found[100] - found[50], 2 * total(100, "quadratic") - total(50, "quadratic")]
    assert limits[0] == pytest.approx(limits[1], rel=0.02)
    assert abs(found[40]) < 1.2 * abs(limits[0])


def test_no_change_of_h_is_ddim_to_the_last_bit_and_an_edit_with_boost_is_still_asymmetric():
    times, u = time_grid(DDPM, 12), torch.randn(3, 4, dtype=F64, generator=torch.Generator().manual_seed(0))
    space = gaussian_space()
    nothing = [Attribute(delta=lambda encoded, t: torch.zeros_like(encoded.h), steps=40, t_edit=0.0)]
    plain = sample(space.composite, u, DDPM, times, sampler="ddim")
    assert torch.equal(sample_edited(space, nothing, u, times), plain)
    # one boosted step, by hand: a_s (U - sigma (eps + 1)) / a_t + kept eps + fresh xi, eta = 1
    step = torch.tensor([0.2, 0.1], dtype=F64)
    (a_t, a_s), (s_t, s_s) = DDPM.alpha(step).tolist(), DDPM.sigma(step).tolist()
    fresh = s_s / s_t * (1 - (a_t / a_s) ** 2) ** 0.5
    eps = s_t * u
    by_hand = a_s * (u - s_t * (eps + 1)) / a_t + (s_s**2 - fresh**2) ** 0.5 * eps + fresh * 0.7
    found = sample_edited(space, one(steps=10), u, step, t_boost=0.5, noise=lambda mean: torch.full_like(mean, 0.7))
    torch.testing.assert_close(found, by_hand)


def test_a_batch_of_mixed_times_and_thresholds_is_edited_only_where_t_is_at_least_t_edit():
    times = time_grid(DDPM, 10)
    space, u = gaussian_space(), torch.ones(4, 3, dtype=F64)
    t = torch.tensor([0.9, 0.5, 0.4, 0.5], dtype=F64)
    t_edit = torch.tensor([0.5, 0.5, 0.5, 0.6], dtype=F64)
    difference = edited(space, one(t_edit), times)(u, t) - space.composite(u, t)
    assert (difference[:2] > 0.1).all() and (difference[2:] == 0).all()


def test_the_second_decoder_pass_is_taken_only_where_an_attribute_is_on_and_the_encoder_once_a_step():
    calls = {"encode": 0, "decode": 0}

    class Counted(GaussianTap):
        def encode(self, *arguments):
            calls["encode"] += 1
            return super().encode(*arguments)

        def decode(self, *arguments, **options):
            calls["decode"] += 1
            return super().decode(*arguments, **options)

    path, eps = FrozenPath(Counted()), Parametrization("eps")
    space = HSpace(Composite(DDPM, [Term(path.output)], eps), path, DDPM, eps)
    sample_edited(space, one(t_edit=0.7), torch.ones(2, 3, dtype=F64), time_grid(DDPM, 10))
    assert calls == {"encode": 10, "decode": 10 + 4}  # t = 1, .9, .8, .7

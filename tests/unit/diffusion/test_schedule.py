"""Schedules keep alpha^2 + sigma^2 = 1, invert, differentiate to beta, and refuse what they cannot do."""

import math

import pytest
import torch

from tts.diffusion import cosine, from_betas, shifted, time_grid, vp_linear

F64 = torch.float64
SCHEDULES = {
    "vp_linear": vp_linear(),
    "constant": vp_linear(2.0, 2.0),
    "cosine": cosine(),
    "from_betas": from_betas(torch.linspace(1e-4, 0.02, 1000, dtype=F64)),
    "shifted_cosine": shifted(cosine(), 4.0),
    "shifted_vp_linear": shifted(vp_linear(), 0.5),
}
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


@every_schedule
def test_alpha_and_sigma_are_data_at_0_and_fall_towards_noise_at_1(schedule):
    t = torch.linspace(0, 1, 501, dtype=F64)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(t), rtol=0, atol=1e-14)
    assert (alpha[0], sigma[0]) == (1, 0)
    assert (alpha.diff() < 0).all() and (sigma.diff() > 0).all()
    assert alpha[-1] > 0 and torch.isinf(schedule.log_snr(t[0]))


@every_schedule
def test_log_snr_is_the_log_ratio_and_time_of_log_snr_inverts_it(schedule):
    t = torch.linspace(1e-4, 1, 777, dtype=F64)
    log_snr = schedule.log_snr(t)
    torch.testing.assert_close(log_snr, 2 * torch.log(schedule.alpha(t) / schedule.sigma(t)), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(schedule.time_of_log_snr(log_snr), t, rtol=0, atol=5e-8)


@every_schedule
def test_beta_is_minus_two_d_log_alpha_dt(schedule):
    t, step = (torch.arange(1, 990, 3, dtype=F64) + 0.5) / 1000, 1e-6  # between the points of `from_betas`
    slope = (schedule.alpha(t + step).log() - schedule.alpha(t - step).log()) / (2 * step)
    torch.testing.assert_close(-2 * slope, schedule.beta(t), rtol=1e-5, atol=1e-6)


@every_schedule
def test_dtype_and_shape_are_kept_and_float32_does_not_cancel_near_0(schedule):
    t = torch.tensor([[1e-6, 1e-3], [0.5, 1.0]])
    for function in (schedule.alpha, schedule.sigma, schedule.beta, schedule.log_snr):
        assert function(t).dtype == torch.float32 and function(t).shape == t.shape
        torch.testing.assert_close(function(t), function(t.double()).float(), rtol=1e-7, atol=0)
    assert schedule.sigma(t)[0, 0] > 0


class OnMps(torch.Tensor):
    """A float32 tensor that says it lies on a device without float64."""

    device = torch.device("mps")

    def double(self):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


@every_schedule
def test_a_device_without_float64_gets_the_values_of_the_cpu_in_float32(schedule):
    t = torch.tensor([0.01, 0.5, 1.0])
    for function in (schedule.alpha, schedule.sigma, schedule.beta, schedule.log_snr, schedule.time_of_log_snr):
        found = function(t.as_subclass(OnMps))
        assert found.dtype == torch.float32 and torch.equal(found.as_subclass(torch.Tensor), function(t))


def test_from_betas_hits_every_point_of_the_discrete_grid():
    betas = torch.rand(50, dtype=F64, generator=torch.Generator().manual_seed(0)) * 0.3 + 1e-4
    t = torch.arange(1, 51, dtype=F64) / 50
    torch.testing.assert_close(from_betas(betas).alpha(t) ** 2, (1 - betas).cumprod(0), rtol=1e-13, atol=0)


def test_cosine_equals_the_published_form_to_1e_8():
    t = torch.linspace(0, 1, 101, dtype=F64)
    published = torch.cos((t + 0.008) / 1.008 * torch.pi / 2) ** 2
    torch.testing.assert_close(cosine().alpha(t) ** 2, published / published[0], rtol=0, atol=1.01e-8)


def test_the_shifted_cosine_is_the_angle_whose_tangent_is_k_times_that_of_the_cosine():
    t = torch.linspace(0, 0.99, 100, dtype=F64)
    plain = shifted(cosine(1e-12), 4.0)
    angle = torch.atan(4 * torch.tan(torch.pi * t / 2))
    # the floor of the cosine, alpha(1)^2 = 1e-8, moves alpha^2 by 1e-8 tan^2 of its angle at most
    torch.testing.assert_close(plain.alpha(t), angle.cos(), rtol=5e-5, atol=0)
    torch.testing.assert_close(plain.sigma(t), angle.sin(), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("base", [vp_linear(), cosine(), SCHEDULES["from_betas"]], ids=["vp_linear", "cosine", "from_betas"])
@pytest.mark.parametrize("k", [0.25, 1.0, 4.0])
def test_a_shift_multiplies_sigma_over_alpha_by_k_at_every_time(base, k):
    t = torch.linspace(1e-4, 1, 200, dtype=F64)
    moved = shifted(base, k)
    torch.testing.assert_close(moved.sigma(t) / moved.alpha(t), k * base.sigma(t) / base.alpha(t), rtol=1e-10, atol=0)
    torch.testing.assert_close(moved.log_snr(t), base.log_snr(t) - 2 * math.log(k), rtol=0, atol=1e-10)
    torch.testing.assert_close(moved.time_of_log_snr(base.log_snr(t) - 2 * math.log(k)), t, rtol=0, atol=5e-8)
    torch.testing.assert_close(shifted(moved, 1 / k).alpha(t), base.alpha(t), rtol=1e-9, atol=0)


@pytest.mark.parametrize("kind", ["uniform", "quadratic", "log_snr"])
@pytest.mark.parametrize("n_steps", [1, 2, 7, 1000])
@pytest.mark.parametrize("start", [1.0, 0.6])
def test_a_grid_falls_strictly_from_start_to_exactly_0(kind, n_steps, start):
    times = time_grid(vp_linear(), n_steps, kind, start)
    assert times.shape == (n_steps + 1,) and times.dtype == F64
    assert times[0] == start and times[-1] == 0
    assert (times.diff() < 0).all()


def test_the_grids_are_the_formulas():
    uniform, quadratic, log_snr = (time_grid(vp_linear(), 4, kind) for kind in ("uniform", "quadratic", "log_snr"))
    torch.testing.assert_close(uniform, torch.tensor([1, 0.75, 0.5, 0.25, 0], dtype=F64))
    torch.testing.assert_close(quadratic, uniform**2)
    spacing = vp_linear().log_snr(log_snr[:-1]).diff()
    torch.testing.assert_close(spacing, spacing[:1].expand(3), rtol=1e-9, atol=0)
    assert log_snr[-2] == pytest.approx(1e-3)


@pytest.mark.parametrize("n_steps", [0, -1, True, 1001, 10**6, 2.0, "8", None])
def test_an_n_steps_out_of_range_is_refused_with_the_range(n_steps):
    with pytest.raises(ValueError, match="from 1 to 1000"):
        time_grid(vp_linear(), n_steps)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "karras"}, "uniform, quadratic, log_snr"),
        ({"start": 0.0}, r"\(0, 1\]"),
        ({"start": 1.5}, r"\(0, 1\]"),
        ({"start": float("nan")}, r"\(0, 1\]"),
        ({"kind": "log_snr", "t_min": 0.0}, "t_min"),
        ({"kind": "log_snr", "start": 0.5, "t_min": 0.5}, "t_min"),
    ],
)
def test_a_grid_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        time_grid(vp_linear(), 4, **arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda: vp_linear(0.0, 20.0),
        lambda: vp_linear(2.0, 1.0),
        lambda: vp_linear(0.1, float("nan")),
        lambda: cosine(0.0),
        lambda: shifted(cosine(), 0.0),
        lambda: shifted(cosine(), float("inf")),
        lambda: from_betas(torch.tensor([])),
        lambda: from_betas(torch.tensor([0.1, 1.0])),
        lambda: from_betas(torch.tensor([[0.1]])),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(make):
    with pytest.raises(ValueError, match="needs"):
        make()

"""Orders of convergence, ends of the grid, hooks, temperature, and what is refused."""

import pytest
import torch

from tts.diffusion import SAMPLERS, Composite, Parametrization, cosine, initial_state, invert, sample, time_grid, vp_linear

F64 = torch.float64
SCHEDULE = vp_linear()
STOCHASTIC = ("ancestral", "euler_maruyama")
DETERMINISTIC = tuple(name for name in SAMPLERS if name not in STOCHASTIC)
ONE = torch.ones(1, 1, dtype=F64)


def gaussian(mean, std, schedule=SCHEDULE):
    return Composite(schedule, [], Parametrization("preconditioned", std), torch.tensor(mean, dtype=F64))


def normal_noise(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return lambda u: torch.randn(u.shape, dtype=u.dtype, generator=generator)


def affine_variance(denoiser, times, sampler, variance):
    """The variance a stochastic sampler ends with: its steps are affine, so row 0 answers to the start and row k to noise k."""
    rows = torch.eye(len(times), dtype=F64)
    impulses = iter(rows[1:])
    answers = sample(denoiser, rows[:, :1], SCHEDULE, times, sampler=sampler, noise=lambda _: next(impulses)[:, None])
    return (answers[0] ** 2 * variance + (answers[1:] ** 2).sum()).item()


@pytest.mark.parametrize(("sampler", "order"), [("ddim", 1), ("heun", 2), ("dpmpp_2m", 2)])
def test_the_probability_flow_solvers_converge_at_their_order(sampler, order):
    mean, std, end = 0.5, 0.2, 0.05
    q = [((SCHEDULE.alpha(ONE * t) * std) ** 2 + SCHEDULE.sigma(ONE * t) ** 2).sqrt().item() for t in (1.0, end)]
    alpha = [SCHEDULE.alpha(ONE * t).item() for t in (1.0, end)]
    exact = alpha[1] * mean + q[1] / q[0] * (1 - alpha[0] * mean)  # the PF-ODE carries quantiles
    errors = []
    for n in (100, 200):
        times = torch.linspace(1, end**0.5, n + 1, dtype=F64) ** 2
        errors.append(abs(sample(gaussian(mean, std), ONE, SCHEDULE, times, sampler=sampler).item() - exact))
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.12)


@pytest.mark.parametrize("sampler", STOCHASTIC)
def test_the_stochastic_samplers_converge_in_variance_at_first_order(sampler):
    std, end = 0.4, 0.05
    exact = ((SCHEDULE.alpha(ONE * end) * std) ** 2 + SCHEDULE.sigma(ONE * end) ** 2).item()
    start = ((SCHEDULE.alpha(ONE) * std) ** 2 + SCHEDULE.sigma(ONE) ** 2).item()
    errors = [
        abs(affine_variance(gaussian(0.0, std), torch.linspace(1, end, n + 1, dtype=F64), sampler, start) - exact)
        for n in (60, 120)
    ]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("sampler", DETERMINISTIC)
def test_preconditioned_with_no_network_samples_its_gaussian_in_the_limit(sampler):
    mean, std, noise = 1.3, 0.2, torch.tensor([[-1.0], [0.0], [2.0]], dtype=F64)
    u = initial_state(SCHEDULE, 1.0, noise, mean, std)
    errors = []
    for n in (40, 400):
        x0 = sample(gaussian(mean, std), u, SCHEDULE, time_grid(SCHEDULE, n, "quadratic"), sampler=sampler)
        assert x0[1].item() == pytest.approx(mean, abs=1e-12)  # the mean is exact at any number of steps
        errors.append((x0 - (mean + std * noise)).abs().max().item())
    assert errors[1] < (3e-3 if sampler == "ddim" else 1e-4)
    assert errors[1] < errors[0] / 8


def test_ancestral_with_preconditioned_and_no_network_reaches_the_variance_of_its_gaussian():
    std = 0.2
    start = ((SCHEDULE.alpha(ONE) * std) ** 2 + SCHEDULE.sigma(ONE) ** 2).item()
    variance = affine_variance(gaussian(0.0, std), time_grid(SCHEDULE, 400, "quadratic"), "ancestral", start)
    assert variance**0.5 == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("sampler", [s for s in SAMPLERS if s != "euler_maruyama"])
def test_the_step_to_0_returns_the_last_prediction_exactly(sampler):
    seen = []
    grid, model = time_grid(SCHEDULE, 3, "quadratic"), gaussian(0.3, 0.5)
    hook = lambda i, t, x0: seen.append(x0)  # noqa: E731
    out = sample(
        model, torch.linspace(-2, 2, 10).reshape(2, 5), SCHEDULE, grid, sampler=sampler, noise=normal_noise(), hook=hook
    )
    assert torch.equal(out, seen[-1])


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("schedule", [vp_linear(), cosine()], ids=["vp_linear", "cosine"])
@pytest.mark.parametrize("times", [[1.0, 0.0], [1.0, 1e-7, 0.0], [1.0, 1.0 - 1e-9, 0.5, 1e-5, 0.0]])
def test_float32_stays_finite_at_both_ends_of_time(sampler, schedule, times):
    u = torch.linspace(-3, 3, 8).reshape(2, 4)
    grid = torch.tensor(times, dtype=F64)
    out = sample(gaussian(0.3, 0.5, schedule), u, schedule, grid, sampler=sampler, noise=normal_noise())
    assert out.dtype == torch.float32 and out.isfinite().all()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_float32_agrees_with_float64(sampler):
    u = torch.linspace(-2, 2, 6).reshape(2, 3)
    grid = time_grid(SCHEDULE, 50, "quadratic")
    narrow, wide = (
        sample(gaussian(0.3, 0.5), x, SCHEDULE, grid, sampler=sampler, noise=torch.ones_like) for x in (u, u.double())
    )
    torch.testing.assert_close(narrow.double(), wide, rtol=2e-4, atol=2e-4)


def test_the_input_is_not_changed():
    u = torch.ones(2, 3)
    for sampler in SAMPLERS:
        sample(gaussian(0.3, 0.5), u, SCHEDULE, time_grid(SCHEDULE, 3), sampler=sampler, noise=normal_noise())
    assert torch.equal(u, torch.ones(2, 3))


@pytest.mark.parametrize("sampler", ["ancestral", "ddim", "heun", "euler_maruyama"])
def test_a_run_may_stop_half_way_and_go_on(sampler):
    u, grid = torch.linspace(-2, 2, 10, dtype=F64).reshape(2, 5), time_grid(SCHEDULE, 6)
    whole = sample(gaussian(0.3, 0.5), u, SCHEDULE, grid, sampler=sampler, noise=normal_noise())
    noise = normal_noise()
    half = sample(gaussian(0.3, 0.5), u, SCHEDULE, grid[:4], sampler=sampler, noise=noise)
    assert torch.equal(sample(gaussian(0.3, 0.5), half, SCHEDULE, grid[3:], sampler=sampler, noise=noise), whole)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_hook_sees_every_step_and_its_replacement_is_where_the_sample_ends(sampler):
    steps = []

    def hook(i, t, x0):
        steps.append((i, t))
        return torch.full_like(x0, 7.0)

    grid = time_grid(SCHEDULE, 40)
    u = torch.linspace(-2, 2, 6, dtype=F64).reshape(2, 3)
    out = sample(gaussian(0.0, 1.0), u, SCHEDULE, grid, sampler=sampler, noise=torch.zeros_like, hook=hook)
    assert {i for i, _ in steps} == set(range(40)) and {t for _, t in steps} == set(grid[:-1].tolist())
    torch.testing.assert_close(out, torch.full_like(out, 7.0), rtol=0, atol=0.3 if sampler == "euler_maruyama" else 1e-12)


@pytest.mark.parametrize("sampler", STOCHASTIC)
def test_temperature_scales_only_the_injected_noise(sampler):
    grid, u = time_grid(SCHEDULE, 5), torch.ones(1, 4, dtype=F64)

    def at(temperature):
        return sample(gaussian(0.0, 0.5), u, SCHEDULE, grid, sampler=sampler, noise=normal_noise(), temperature=temperature)

    torch.testing.assert_close(at(2.0) - at(0.0), 2 * (at(1.0) - at(0.0)))
    quiet = sample(gaussian(0.0, 0.5), u, SCHEDULE, grid, sampler=sampler, noise=torch.zeros_like)
    assert torch.equal(at(0.0), quiet) and not torch.equal(at(1.0), quiet)


def test_dpmpp_2m_needs_one_network_call_a_step_and_heun_two_but_the_last():
    calls = []

    def denoiser(u, t):
        calls.append(t)
        return u

    for sampler, expected in (("dpmpp_2m", 8), ("heun", 15)):
        calls.clear()
        sample(denoiser, torch.ones(3, 2), SCHEDULE, time_grid(SCHEDULE, 8), sampler=sampler)
        assert len(calls) == expected and all(t.shape == (3,) and t.dtype == torch.float32 for t in calls)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sampler": "pf"}, "unknown sampler 'pf'. Known samplers: ancestral, ddim"),
        ({"sampler": "ancestral"}, "pass noise"),
        ({"temperature": -1.0}, "temperature must be a finite number, 0 or more"),
        ({"temperature": float("nan")}, "temperature"),
        ({"times": torch.tensor([1.0])}, "strictly falling"),
        ({"times": torch.tensor([0.0, 1.0])}, "strictly falling"),
        ({"times": torch.tensor([1.0, 0.5, 0.5, 0.0])}, "strictly falling"),
        ({"times": torch.tensor([1.1, 0.0])}, r"\[0, 1\]"),
        ({"times": torch.tensor([1.0, -0.1])}, r"\[0, 1\]"),
        ({"times": torch.tensor([1.0, float("nan")])}, r"\[0, 1\]"),
    ],
)
def test_what_cannot_be_sampled_is_refused(arguments, message):
    arguments = {"times": time_grid(SCHEDULE, 4), **arguments}
    with pytest.raises(ValueError, match=message):
        sample(lambda u, t: u, torch.ones(1, 2), SCHEDULE, **arguments)


@pytest.mark.parametrize("iterations", [-1, True, 1.5])
def test_inversion_refuses_a_wrong_number_of_iterations(iterations):
    with pytest.raises(ValueError, match="fixed_point_iterations"):
        invert(lambda u, t: u, torch.ones(1, 2), SCHEDULE, time_grid(SCHEDULE, 4), iterations)

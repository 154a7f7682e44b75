"""Edit-friendly inversion: exact for any denoiser, independent noises, the sampler's own eta; and the sampler with an eta."""

import pytest
import torch

from tts.diffusion import (
    Composite,
    Parametrization,
    add_noise,
    asymmetric_edit,
    asymmetric_gain,
    from_betas,
    invert_noises,
    sample,
    time_grid,
    vp_linear,
    x0_from_eps,
)
from tts.diffusion.samplers import ddim_noise, grid_points

F64 = torch.float64
SCHEDULE = vp_linear()


def normal(*shape, seed=0, dtype=F64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def noise_of(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return lambda u: torch.randn(u.shape, dtype=u.dtype, generator=generator)


def gaussian(std=0.5):
    return Composite(SCHEDULE, [], Parametrization("preconditioned", std), torch.tensor(0.3, dtype=F64))


def crooked(u, t):
    """A denoiser of no distribution: bends, and mixes neighbours."""
    return torch.tanh(2 * u) + 0.3 * u.roll(1, -1) * t[:, None]


@pytest.mark.parametrize("denoiser", [gaussian(), crooked], ids=["gaussian", "crooked"])
@pytest.mark.parametrize("eta", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("n_steps", [1, 2, 30])
def test_the_replay_is_the_data_whatever_the_denoiser(denoiser, eta, n_steps):
    x0, times = normal(3, 5, seed=1), time_grid(SCHEDULE, n_steps)
    path = invert_noises(denoiser, x0, SCHEDULE, times, noise_of(), eta=eta)
    assert path.noises.shape == (n_steps - 1, 3, 5)
    torch.testing.assert_close(path.replay(denoiser, SCHEDULE, times), x0, rtol=0, atol=1e-10)


def test_float32_is_exact_to_rounding_after_many_steps_from_almost_no_signal():
    x0, times = normal(3, 5, seed=1, dtype=torch.float32), time_grid(SCHEDULE, 200)
    path = invert_noises(crooked, x0, SCHEDULE, times, noise_of())
    torch.testing.assert_close(path.replay(crooked, SCHEDULE, times), x0, rtol=0, atol=1e-5)


def test_the_states_are_noised_independently_so_the_noises_are_those_of_the_published_formula():
    x0, times = normal(2, 4, seed=1), time_grid(SCHEDULE, 6, "quadratic")
    path = invert_noises(gaussian(), x0, SCHEDULE, times, noise_of(7))
    alpha, sigma = SCHEDULE.alpha(times), SCHEDULE.sigma(times)
    draw = noise_of(7)
    states = [add_noise(x0, draw(x0), a, s) for a, s in zip(alpha[:-1], sigma[:-1], strict=True)]
    assert torch.equal(path.start, states[0])
    for i in range(5):
        x0_hat = gaussian().x0(states[i], times[i].expand(2))
        a_step = alpha[i] / alpha[i + 1]
        variance = sigma[i + 1] ** 2 / sigma[i] ** 2 * (1 - a_step**2)
        # the mean of q(U_s | U_t, x0)
        mean = a_step * sigma[i + 1] ** 2 / sigma[i] ** 2 * states[i] + alpha[i + 1] * (1 - a_step**2) / sigma[i] ** 2 * x0_hat
        torch.testing.assert_close(path.noises[i], (states[i + 1] - mean) / variance.sqrt(), rtol=1e-9, atol=1e-9)


def test_fixed_points_bring_the_last_prediction_to_the_data():
    x0, times = normal(3, 5, seed=1), time_grid(SCHEDULE, 50)
    residuals = [
        invert_noises(gaussian(), x0, SCHEDULE, times, noise_of(), fixed_point_iterations=n).residual.abs().max().item()
        for n in (0, 2, 20)
    ]
    assert residuals[2] < 1e-12 < residuals[1] < residuals[0]


def test_an_edited_denoiser_edits_the_replay_by_more_than_the_residual_gives_back():
    x0, times = 0.3 + 0.5 * normal(2000, 1, seed=1), time_grid(SCHEDULE, 100)
    path = invert_noises(gaussian(), x0, SCHEDULE, times, noise_of())
    moved = Composite(SCHEDULE, [], Parametrization("preconditioned", 0.5), torch.tensor(1.3, dtype=F64))
    change = path.replay(moved, SCHEDULE, times) - x0
    assert change.std() < 1e-9  # the same for every image: what the noises carry is kept
    assert 0.9 < change.mean() < 1.01  # the mean of the data rose by 1, of which the start at alpha(1) knows nothing


def test_masked_places_stay_zero():
    mask = torch.ones(2, 5)
    mask[0, 3:] = 0
    x0, times = normal(2, 5, seed=1), time_grid(SCHEDULE, 8)
    path = invert_noises(crooked, x0, SCHEDULE, times, noise_of(), mask=mask)
    back = path.replay(crooked, SCHEDULE, times, mask)
    torch.testing.assert_close(back, x0 * mask)
    assert (path.noises[:, 0, 3:] == 0).all() and (back[0, 3:] == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"times": torch.tensor([1.0, 0.5])}, "end at 0"),
        ({"eta": 0.0}, "eta must be above 0"),
        ({"eta": 1.5}, "eta must be above 0"),
        ({"fixed_point_iterations": -1}, "fixed_point_iterations"),
        ({"fixed_point_iterations": True}, "fixed_point_iterations"),
    ],
)
def test_what_cannot_be_inverted_is_refused(arguments, message):
    arguments = {"times": time_grid(SCHEDULE, 4), **arguments}
    with pytest.raises(ValueError, match=message):
        invert_noises(crooked, normal(1, 3), SCHEDULE, noise=noise_of(), **arguments)


def test_a_path_is_refused_another_number_of_steps():
    path = invert_noises(crooked, normal(1, 3), SCHEDULE, time_grid(SCHEDULE, 4), noise_of())
    with pytest.raises(ValueError, match="this path has 4 steps, found 5"):
        path.replay(crooked, SCHEDULE, time_grid(SCHEDULE, 5))


def test_ddim_with_eta_1_is_the_ancestral_sampler_and_with_eta_0_needs_no_noise():
    u, times = normal(3, 5, seed=2), time_grid(SCHEDULE, 12, "quadratic")

    def run(**options):
        return sample(gaussian(), u, SCHEDULE, times, **options)

    torch.testing.assert_close(
        run(sampler="ddim", eta=1.0, noise=noise_of()), run(sampler="ancestral", noise=noise_of()), rtol=0, atol=1e-12
    )
    assert torch.equal(run(sampler="ddim", eta=0.0), run(sampler="ddim"))


@pytest.mark.parametrize("eta", [0.25, 0.5, 1.0])
def test_a_step_injects_eta_squared_times_the_variance_of_the_posterior_and_keeps_the_marginal(eta):
    t, s = grid_points(from_betas(torch.linspace(1e-4, 0.02, 1000, dtype=F64)), torch.tensor([0.6, 0.5], dtype=F64))
    kept, fresh = ddim_noise(t, s, eta)
    posterior = s.sigma**2 / t.sigma**2 * (1 - t.alpha**2 / s.alpha**2)
    assert fresh**2 == pytest.approx(eta**2 * posterior, rel=1e-12)
    assert kept**2 + fresh**2 == pytest.approx(s.sigma**2, rel=1e-12)


@pytest.mark.parametrize("options", [{"eta": -0.1}, {"eta": 1.1}, {"eta": float("nan")}, {"eta": 0.5, "sampler": "heun"}])
def test_an_eta_out_of_range_or_with_another_sampler_is_refused(options):
    with pytest.raises(ValueError, match="eta must be from 0 to 1"):
        sample(
            gaussian(), normal(1, 2), SCHEDULE, time_grid(SCHEDULE, 4), **{"sampler": "ddim", "noise": noise_of(), **options}
        )


def test_eta_without_noise_is_refused():
    with pytest.raises(ValueError, match="pass noise"):
        sample(gaussian(), normal(1, 2), SCHEDULE, time_grid(SCHEDULE, 4), sampler="ddim", eta=0.5)


def test_the_asymmetric_gain_holds_for_fresh_noise_too():
    points = grid_points(SCHEDULE, torch.tensor([0.7, 0.4], dtype=F64))
    kept, fresh = ddim_noise(*points, 0.5)
    t, s = points
    u, eps, shift, xi = (normal(2, 5, seed=i) for i in range(4))
    gain = asymmetric_gain((t.alpha, t.sigma), (s.alpha, kept))
    times = torch.tensor([t.t, s.t], dtype=F64)
    found = sample(lambda *_: eps + gain * shift, u, SCHEDULE, times, sampler="ddim", eta=0.5, noise=lambda _: xi)
    expected = s.alpha * x0_from_eps(u, eps + shift, t.alpha, t.sigma) + kept * eps + fresh * xi
    torch.testing.assert_close(found, expected)
    x0 = normal(2, 5, seed=9)
    edited = asymmetric_edit(x0, x0 + shift, (t.alpha, t.sigma), (s.alpha, kept))
    torch.testing.assert_close(edited - x0, gain * shift)

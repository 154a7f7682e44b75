"""Guidance is exact where the classifier is: linear-Gaussian attributes, alone, jointly, and as a sum; in every sampler."""

import pytest
import torch

from tts.diffusion import SAMPLERS, initial_state, sample, time_grid, vp_linear
from tts.image.guidance.guide import guided, mean_form, through_x0

F64 = torch.float64
SCHEDULE = vp_linear(0.1, 20.0)
LAM = torch.tensor([1.0, 0.3, 0.6], dtype=F64)  # variances of the data
TAU = 0.4  # noise of every attribute y_k = w_k . x0 + N(0, TAU^2)
W = torch.tensor([[0.8, -0.5, 0.3], [0.2, 0.9, -0.4]], dtype=F64)
Y = torch.tensor([1.2, -0.6], dtype=F64)


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def coefficients(t):
    return SCHEDULE.alpha(t)[:, None], SCHEDULE.sigma(t)[:, None]


def base(u, t):
    alpha, sigma = coefficients(t)
    return sigma * u / (alpha**2 * LAM + sigma**2)


def posterior(x, t):
    """Mean (B, D) and variances (B, D) of x0 given x_t."""
    alpha, sigma = coefficients(t)
    gain = alpha * LAM / (alpha**2 * LAM + sigma**2)
    return gain * x, LAM * sigma**2 / (alpha**2 * LAM + sigma**2)


def marginals(x, t, w=W, y=Y):
    """ln p_t(y_k | x) of each attribute, (K, B)."""
    mean, variance = posterior(x, t)
    spread = (variance @ (w**2).T + TAU**2).sqrt()
    return torch.distributions.Normal(mean @ w.T, spread).log_prob(y).T


def joint(x, t):
    """ln p_t(y_1, y_2 | x), (1, B)."""
    mean, variance = posterior(x, t)
    covariance = (W * variance[:, None]) @ W.T + TAU**2 * torch.eye(2, dtype=F64)
    return torch.distributions.MultivariateNormal(mean @ W.T, covariance).log_prob(Y)[None]


def conditional(w, y):
    """Mean and covariance of x0 given y = w x0 + noise."""
    covariance = torch.linalg.inv(torch.diag(1 / LAM) + w.T @ w / TAU**2)
    return covariance @ w.T @ y / TAU**2, covariance


def exact(u, t, w, y):
    """eps of the conditional Gaussian."""
    mean, covariance = conditional(w, y)
    alpha, sigma = coefficients(t)
    marginal = alpha[..., None] ** 2 * covariance + sigma[..., None] ** 2 * torch.eye(3, dtype=F64)
    return sigma * torch.linalg.solve(marginal, u - alpha * mean)


U, T = normal(4, 3), torch.tensor([0.05, 0.2, 0.5, 0.9], dtype=F64)


def test_one_attribute_and_two_told_jointly_give_the_noise_of_the_conditional():
    one = guided(base, SCHEDULE, lambda x, t: marginals(x, t, W[:1], Y[:1]), [1.0])
    torch.testing.assert_close(one(U, T), exact(U, T, W[:1], Y[:1]), rtol=0, atol=1e-12)
    torch.testing.assert_close(guided(base, SCHEDULE, joint, [1.0])(U, T), exact(U, T, W, Y), rtol=0, atol=1e-12)


def test_the_sum_of_attributes_is_exact_exactly_where_they_are_orthogonal_under_the_posterior():
    t = T[1:2].expand(4)
    summed = guided(base, SCHEDULE, marginals, [1.0, 1.0])
    assert (summed(U, t) - exact(U, t, W, Y)).norm() / exact(U, t, W, Y).norm() > 0.01
    # w_2 made orthogonal to w_1 under C_t = Cov[x0 | x_t] of this time
    c = posterior(U, t)[1][0]
    w = torch.stack([W[0], W[1] - W[0] * (W[0] * c * W[1]).sum() / (W[0] * c * W[0]).sum()])
    orthogonal = guided(base, SCHEDULE, lambda x, t: marginals(x, t, w), [1.0, 1.0])
    torch.testing.assert_close(orthogonal(U, t), exact(U, t, w, Y), rtol=0, atol=1e-12)
    elsewhere = T[2:3].expand(4)  # at another time they are not
    assert (orthogonal(U, elsewhere) - exact(U, elsewhere, w, Y)).norm() > 1e-4


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_reaches_the_conditional(sampler):
    mean, covariance = conditional(W, Y)
    generator = torch.Generator().manual_seed(3)
    noise = lambda u: torch.randn(u.shape, dtype=F64, generator=generator)  # noqa: E731
    u = initial_state(SCHEDULE, 1.0, noise(torch.empty(2000, 3)))
    times = time_grid(SCHEDULE, 60, "uniform" if sampler == "euler_maruyama" else "quadratic")
    x0 = sample(guided(base, SCHEDULE, joint, [1.0]), u, SCHEDULE, times, sampler=sampler, noise=noise)
    # one standard error of the mean is below .015, of a variance below 3 %; first-order samplers miss a few percent more
    torch.testing.assert_close(x0.mean(0), mean, rtol=0, atol=0.04)
    torch.testing.assert_close(x0.var(0), covariance.diagonal(), rtol=0.15, atol=0)


def test_an_attribute_acts_in_its_interval_only_and_each_sample_by_its_own_time():
    asked = []

    def recorded(x, t):
        asked.append(t.tolist())
        return marginals(x, t)

    model = guided(base, SCHEDULE, recorded, [1.0, 1.0], intervals=[(0.3, 1.0), (0.1, 0.5)])
    found = model(U, T)
    none, first, second = base(U, T), *(guided(base, SCHEDULE, marginals, w)(U, T) for w in ([1.0, 0.0], [0.0, 1.0]))
    torch.testing.assert_close(found[0], none[0])
    torch.testing.assert_close(found[1], second[1])
    torch.testing.assert_close(found[2], first[2] + second[2] - none[2])
    torch.testing.assert_close(found[3], first[3])
    asked.clear()
    assert torch.equal(model(U[:1], T[:1]), none[:1]) and asked == []


def test_weights_multiply_the_gradient_and_none_is_the_base():
    single = lambda w: guided(base, SCHEDULE, lambda x, t: marginals(x, t, W[:1], Y[:1]), [w])(U, T) - base(U, T)  # noqa: E731
    torch.testing.assert_close(single(3.0), 3 * single(1.0))
    torch.testing.assert_close(single(-1.0), -single(1.0))
    assert torch.equal(guided(base, SCHEDULE, marginals, [])(U, T), base(U, T))


def test_guidance_through_x0_is_the_gradient_of_the_clean_likelihood_at_the_estimate():
    clean = lambda x0: torch.distributions.Normal(x0 @ W.T, TAU).log_prob(Y).T  # noqa: E731
    found = guided(base, SCHEDULE, through_x0(clean, base, SCHEDULE), [1.0, 1.0])(U, T) - base(U, T)
    mean, _ = posterior(U, T)  # x0_hat of the exact denoiser
    alpha, sigma = coefficients(T)
    gradient = ((Y - mean @ W.T) / TAU**2) @ W * (alpha * LAM / (alpha**2 * LAM + sigma**2))
    torch.testing.assert_close(found, -sigma * gradient, rtol=0, atol=1e-12)


def test_the_mean_form_moves_an_ancestral_step_by_its_variance_times_the_gradient():
    times = torch.tensor([0.6, 0.55, 0.2], dtype=F64)
    u, t = normal(2, 3), torch.full((2,), 0.6, dtype=F64)
    model = guided(base, SCHEDULE, joint, [mean_form(times, SCHEDULE, 2.0)])
    noise = lambda x: torch.zeros_like(x)  # noqa: E731
    plain, moved = (sample(m, u, SCHEDULE, times[:2], sampler="ancestral", noise=noise) for m in (base, model))
    alpha, sigma = SCHEDULE.alpha(times), SCHEDULE.sigma(times)
    variance = (sigma[1] / sigma[0]) ** 2 * (1 - (alpha[0] / alpha[1]) ** 2)  # of q(x_s | x_t, x0)
    gradient = (base(u, t) - exact(u, t, W, Y)) / sigma[0]
    torch.testing.assert_close(moved - plain, 2 * variance * gradient, rtol=1e-10, atol=1e-14)


def test_both_forms_agree_as_the_steps_shrink():
    gaps = []
    for n in (20, 40, 80):
        times = torch.linspace(0.9, 0.1, n + 1, dtype=F64)
        zero = torch.zeros_like
        pair = [
            sample(guided(base, SCHEDULE, joint, [w]), U, SCHEDULE, times, sampler="ancestral", noise=zero)
            for w in (1.0, mean_form(times, SCHEDULE))
        ]
        gaps.append((pair[0] - pair[1]).abs().max().item())
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.2) and gaps[1] / gaps[2] == pytest.approx(2, rel=0.2)


def test_weights_and_intervals_that_make_no_sense_are_refused():
    for weights, options, message in [
        ([float("nan")], {}, "weights must be finite"),
        ([1.0, 1.0], {"intervals": [(0.0, 1.0)]}, "1 intervals for 2 weights"),
        ([1.0], {"intervals": [(0.5, 0.5)]}, "0 <= low < high <= 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            guided(base, SCHEDULE, marginals, weights, **options)
    with pytest.raises(ValueError, match="found 1 weights for 2 log-probabilities"):
        guided(base, SCHEDULE, marginals, [1.0])(U, T)

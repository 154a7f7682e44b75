"""A composite sums its terms, shifts each to its own prior, and adds guidance exactly."""

import pytest
import torch

from tts.diffusion import Composite, Parametrization, Term, classifier_free, classifier_guidance, expand_like, vp_linear

F64 = torch.float64
SCHEDULE = vp_linear()


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def test_each_term_sees_the_state_shifted_to_its_own_mean_and_is_weighted_by_time():
    u, t, mean = normal(2, 3, 4), torch.tensor([0.2, 0.9], dtype=F64), normal(2, 3, 4, seed=1)
    seen = {}

    def record(name, factor):
        def network(x, t):
            seen[name] = x
            return factor * x

        return network

    terms = [Term(record("a", 1.0), mean), Term(record("b", 2.0), weight=lambda t: 3 * t)]
    composite = Composite(SCHEDULE, terms, Parametrization("eps"))
    out = composite(u, t)
    alpha = expand_like(SCHEDULE.alpha(t), u)
    torch.testing.assert_close(seen["a"], u + (1 - alpha) * mean)
    assert torch.equal(seen["b"], u)
    torch.testing.assert_close(out, seen["a"] + 6 * expand_like(t, u) * u)


def test_a_network_is_called_only_where_its_weight_is_not_zero():
    calls = []

    def record(name):
        def network(x, t):
            calls.append((name, t.tolist()))
            return torch.full_like(x, 1.0 if name == "early" else 2.0)

        return network

    early = Term(record("early"), weight=lambda t: (t > 0.5).to(t))
    late = Term(record("late"), weight=lambda t: (t <= 0.5).to(t))
    never = Term(record("never"), weight=0.0)
    composite = Composite(SCHEDULE, [early, late, never], Parametrization("eps"))
    for times, expected in (([0.9, 0.6], [1, 1]), ([0.5, 0.1], [2, 2]), ([0.9, 0.1], [1, 2])):
        out = composite(torch.zeros(2, 3, dtype=F64), torch.tensor(times, dtype=F64))
        assert out[:, 0].tolist() == expected
    both = [0.9, 0.1]
    assert calls == [("early", [0.9, 0.6]), ("late", [0.5, 0.1]), ("early", both), ("late", both)]


@pytest.mark.parametrize("kind", ["eps", "v", "preconditioned"])
def test_x0_and_eps_of_a_composite_name_the_same_point(kind):
    u, t, mean = normal(2, 3, 4), torch.tensor([0.2, 0.9], dtype=F64), normal(2, 3, 4, seed=1)
    composite = Composite(SCHEDULE, [Term(lambda x, t: torch.sin(x), mean)], Parametrization(kind, 0.4), mean)
    alpha, sigma = expand_like(SCHEDULE.alpha(t), u), expand_like(SCHEDULE.sigma(t), u)
    torch.testing.assert_close(alpha * composite.x0(u, t) + sigma * composite(u, t), u)


def test_a_base_is_added_and_subtracted_from_the_target_and_gets_no_gradient():
    u, t = normal(2, 3), torch.tensor([0.2, 0.9], dtype=F64)
    scale = torch.tensor(2.0, dtype=F64, requires_grad=True)
    composite = Composite(SCHEDULE, [Term(lambda x, t: -x)], Parametrization("eps"), base=lambda u, t: scale * u)
    torch.testing.assert_close(composite(u, t), u)
    target = composite.target(torch.zeros_like(u), normal(2, 3, seed=1), u, t)
    torch.testing.assert_close(target, normal(2, 3, seed=1) - 2 * u)
    assert not target.requires_grad


def test_a_base_with_a_head_that_counts_the_state_itself_is_refused():
    with pytest.raises(ValueError, match="Parametrization\\('eps'\\)"):
        Composite(SCHEDULE, [], Parametrization("preconditioned"), base=lambda u, t: u)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -float("inf")])
def test_a_weight_that_is_no_finite_number_is_refused(weight):
    with pytest.raises(ValueError, match="the weight of a term must be a finite number"):
        Term(lambda x, t: x, weight=weight)
    with pytest.raises(ValueError, match="the weight of a term must be a finite number"):
        classifier_free(lambda x, t: x, lambda x, t: x, scale=weight)
    with pytest.raises(ValueError, match="the weight of a term must be a finite number"):
        classifier_guidance(lambda x, t: x.sum(1), SCHEDULE, scale=weight)


def test_float32_states_stay_float32():
    composite = Composite(SCHEDULE, [Term(lambda x, t: x)], Parametrization("preconditioned", 0.4), torch.ones(1, 3))
    assert composite(torch.ones(2, 3), torch.tensor([0.1, 1.0])).dtype == torch.float32


@pytest.mark.parametrize("inference", [False, True])
def test_classifier_guidance_with_the_exact_likelihood_gives_the_exact_conditional_noise(inference):
    # data x0 ~ N(0, diag(lam)), observation y = w x0 + N(0, tau^2): the conditional is Gaussian
    lam, w, tau, y = torch.tensor([1.0, 0.3], dtype=F64), torch.tensor([0.8, -0.5], dtype=F64), 0.4, 1.2
    u, t = normal(3, 2), torch.tensor([0.1, 0.4, 0.9], dtype=F64)
    alpha, sigma = SCHEDULE.alpha(t)[:, None], SCHEDULE.sigma(t)[:, None]

    def base(u, t):
        return sigma * u / (alpha**2 * lam + sigma**2)

    def log_prob(x, t):
        posterior_mean = alpha * lam / (alpha**2 * lam + sigma**2) * x
        posterior_var = lam * sigma**2 / (alpha**2 * lam + sigma**2)
        return torch.distributions.Normal(
            (w * posterior_mean).sum(1), ((w**2 * posterior_var).sum(1) + tau**2).sqrt()
        ).log_prob(torch.tensor(y, dtype=F64))

    cov = torch.linalg.inv(torch.diag(1 / lam) + torch.outer(w, w) / tau**2)
    mean = cov @ w * y / tau**2
    marginal = alpha[..., None] ** 2 * cov + sigma[..., None] ** 2 * torch.eye(2, dtype=F64)
    exact = sigma * torch.linalg.solve(marginal, u - alpha * mean)
    guided = Composite(SCHEDULE, [classifier_guidance(log_prob, SCHEDULE)], Parametrization("eps"), base=base)
    with torch.inference_mode(inference):
        found = guided(u.clone(), t)
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-12)


def test_classifier_free_guidance_moves_away_from_the_unconditional_output():
    u, t = normal(2, 3), torch.tensor([0.2, 0.9], dtype=F64)
    terms = classifier_free(lambda x, t: 2 * x, lambda x, t: x, scale=1.5)
    torch.testing.assert_close(Composite(SCHEDULE, terms, Parametrization("v")).output(u, t), 2 * u + 1.5 * (2 * u - u))

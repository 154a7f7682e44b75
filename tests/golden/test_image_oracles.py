"""Known answers of representation learning by diffusion: guidance on mixtures, the best gradient head, codes, divergences."""

import pytest
import torch

from tts.diffusion import (
    Composite,
    Parametrization,
    Term,
    add_noise,
    classifier_guidance,
    cosine,
    denoising_loss,
    expand_like,
    from_betas,
    vp_linear,
)
from tts.image.config import UNetConfig
from tts.image.divergence import mmd
from tts.image.encdiff import EncDiff, EncDiffConfig

F64 = torch.float64
SCHEDULE = cosine()
BANDWIDTH = {4: 0.134, 32: 9.5e-3, 256: 2.9e-4}  # the published kernel: MMD of N(0, I) and N(0, 4 I) at each dimension


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def coefficients(t, x):
    return expand_like(SCHEDULE.alpha(t), x), expand_like(SCHEDULE.sigma(t), x)


def test_ddpms_betas_and_the_linear_schedule_differ_by_8e_4_at_most():
    t = torch.arange(1, 1001, dtype=F64) / 1000
    discrete = from_betas(torch.linspace(1e-4, 0.02, 1000, dtype=F64))
    difference = (discrete.alpha(t) ** 2 - vp_linear(0.1, 20.0).alpha(t) ** 2).abs().max().item()
    assert difference == pytest.approx(8.1e-4, abs=5e-6)


def test_guiding_a_mixture_by_its_exact_label_posterior_gives_the_noise_of_the_labels_own_component():
    # p(x0) = sum_k pi_k N(m_k, s_k^2): the component's own noise is sigma (u - alpha m_k) / (alpha^2 s_k^2 + sigma^2)
    share, mean, std = torch.tensor([[0.2, 0.5, 0.3], [-2.0, 0.3, 1.5], [0.3, 0.6, 0.2]], dtype=F64)
    u, t, wanted = normal(4, 1), torch.tensor([0.05, 0.3, 0.6, 0.95], dtype=F64), 2
    alpha, sigma = coefficients(t, u)

    def log_joint(u, t):  # ln pi_k p_t(u | k), (B, 3)
        alpha, sigma = coefficients(t, u)
        spread = (alpha**2 * std**2 + sigma**2).sqrt()
        return torch.distributions.Normal(alpha * mean, spread).log_prob(u) + share.log()

    def base(u, t):
        leaf = u.clone().requires_grad_()
        (score,) = torch.autograd.grad(log_joint(leaf, t).logsumexp(1).sum(), leaf)
        return -sigma * score

    guide = classifier_guidance(lambda u, t: log_joint(u, t).log_softmax(1)[:, wanted], SCHEDULE)
    found = Composite(SCHEDULE, [guide], Parametrization("eps"), base=base)(u, t)
    exact = sigma * (u - alpha * mean[wanted]) / (alpha**2 * std[wanted] ** 2 + sigma**2)
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-10)


@pytest.mark.parametrize("time", [0.2, 0.5, 0.8])
def test_the_best_gradient_head_over_a_frozen_base_is_the_gap_of_the_two_scores(time):
    # x0 = z + s n with z, n standard normal: E[eps | u, z] and the base's noise are linear, so least squares finds the minimum
    n, s = 40_000, 0.5
    z, x0, eps = normal(n, 1, seed=1), normal(n, 1, seed=1) + s * normal(n, 1, seed=2), normal(n, 1, seed=3)
    t = torch.full((n,), time, dtype=F64)
    alpha, sigma = coefficients(t[:1], x0[:1])
    u = add_noise(x0, eps, alpha, sigma)

    def base(u, t):
        return sigma * u / (alpha**2 * (1 + s**2) + sigma**2)

    target = Composite(SCHEDULE, [], Parametrization("eps"), base=base).target(x0, eps, u, t)
    inputs = torch.cat((u, z), dim=1)
    fit = torch.linalg.lstsq(inputs, target).solution
    # h = -sigma (E[grad log q(u | x0) | u, z] - s_theta(u)),  grad log q(u | x0) = -eps / sigma
    within = alpha**2 * s**2 + sigma**2
    known = torch.cat((sigma / within - sigma / (alpha**2 * (1 + s**2) + sigma**2), -sigma * alpha / within))
    residual = (target - inputs @ known).std()
    standard_errors = (torch.linalg.inv(inputs.T @ inputs).diagonal()[:, None]).sqrt() * residual
    assert ((fit - known).abs() < 4 * standard_errors).all()  # false alarm 1e-4 over seeds; the seeds are fixed

    def loss(head):
        term = Term(lambda u, t: torch.cat((u, z), dim=1) @ head)
        composite = Composite(SCHEDULE, [term], Parametrization("eps"), base=base)
        return denoising_loss(composite, x0, t, eps, weighting="pdae").mean()

    assert loss(known) < loss(known * 0.9) < loss(known * 0)


def test_a_score_increment_moves_the_estimate_of_the_data_by_sigma_squared_over_alpha():
    u, t, g = normal(3, 2), torch.tensor([0.1, 0.5, 0.9], dtype=F64), normal(3, 2, seed=1)
    alpha, sigma = coefficients(t, u)
    base = Composite(SCHEDULE, [Term(lambda u, t: torch.tanh(u))], Parametrization("v"))
    guided = Composite(SCHEDULE, [Term(lambda u, t: -sigma * g)], Parametrization("eps"), base=base)
    torch.testing.assert_close(guided.x0(u, t) - base.x0(u, t), sigma**2 / alpha * g)


def test_swapping_every_unit_makes_the_denoiser_that_of_the_other_code_and_swapping_some_makes_neither():
    unet = UNetConfig(base=8, multipliers=(1,), attention=(True,), heads=1, unshuffle=2)
    model = EncDiff(EncDiffConfig(channels=1, size=8, n_units=3, unet=unet, encoder_width=4)).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    z, other = torch.randn(2, 2, 3, 1, generator=generator)
    u, t = torch.randn(2, 1, 8, 8, generator=generator), torch.tensor([0.4, 0.8])
    mine, theirs = model.composite(z)(u, t), model.composite(other)(u, t)
    swapped = z.clone()
    for n in range(3):
        assert not torch.allclose(model.composite(swapped)(u, t), theirs)
        swapped[:, n] = other[:, n]
        assert not torch.allclose(model.composite(swapped)(u, t), mine)
    assert torch.equal(model.composite(swapped)(u, t), theirs)


def published(squared_distance, dim):
    """InfoDiffusion's kernel, whose bandwidth is d^2."""
    return (-squared_distance / dim**2).exp()


@pytest.mark.parametrize("dim", [4, 32, 256])
def test_the_published_bandwidth_loses_the_divergence_as_the_dimension_grows(dim):
    # E exp(-|x - y|^2 / h) = (1 + 2 v / h)^(-d/2) for x - y ~ N(0, v I)
    def expected(variance):
        return (1 + 2 * variance / dim**2) ** (-dim / 2)

    exact = expected(2) + expected(8) - 2 * expected(5)
    # their estimate counts the diagonals, which adds (1 - E k) / n for each sample; n = 256
    n = 256
    biased = exact + (1 - expected(2)) / n + (1 - expected(8)) / n
    assert biased == pytest.approx(BANDWIDTH[dim], rel=0.06)
    found = [mmd(normal(n, dim, seed=i), 2 * normal(n, dim, seed=100 + i), published).item() for i in range(10)]
    mean, error = torch.tensor(found).mean().item(), torch.tensor(found).std().item() / 10**0.5
    assert mean == pytest.approx(exact, abs=4 * error)
    assert exact < 2e-4 or dim < 256


@pytest.mark.parametrize("dim", [4, 32, 256])
def test_the_house_kernel_has_power_at_every_dimension(dim):
    n = 64
    null = torch.stack([mmd(normal(n, dim, seed=i), normal(n, dim, seed=50 + i)) for i in range(20)])
    wider = torch.stack([mmd(normal(n, dim, seed=i), 2 * normal(n, dim, seed=50 + i)) for i in range(20)])
    moved = torch.stack([mmd(normal(n, dim, seed=i), normal(n, dim, seed=50 + i) + 0.7) for i in range(20)])
    assert null.mean().abs() < 3 * null.std() / 20**0.5  # unbiased
    for other in (wider, moved):
        assert other.min() > null.max()
        assert other.min() > 0.03

"""Guided models whose networks are formulas: gradients add up to the right conditional, losses pull the right way."""

import math

import pytest
import torch
from torch import Tensor, nn

from tts.diffusion import add_noise, cosine, expand_like, initial_state, sample, time_grid
from tts.image.config import DiffusionConfig, ParametrizationKind, UNetConfig, Weighting
from tts.image.disdiff import ChangeSpace, DisDiff, DisDiffConfig, FactorLossConfig
from tts.image.factor_provider import FactorEncoder
from tts.image.frozen_path import FrozenPath
from tts.image.gap import gap_profile
from tts.image.guided import tweedie_shift
from tts.image.pdae import Pdae, PdaeConfig
from tts.nets.image_unet import Encoded

F64 = torch.float64
SCHEDULE = cosine()
UNET = UNetConfig(base=8, multipliers=(1,), attention=(False,), unshuffle=1)


class ExactUNet(nn.Module):
    """A U-Net whose answer is a formula eps(u, t); its encoder half hands on the state itself."""

    def __init__(self, eps):
        super().__init__()
        self.eps = eps

    def encode(self, u: Tensor, t: Tensor, condition: Tensor | None = None) -> Encoded:
        return Encoded(u, (), t)

    def decode(self, encoded: Encoded, condition: Tensor | None = None, *, h: Tensor | None = None) -> Tensor:
        return self.eps(encoded.h, encoded.time)


class ExactGradients(nn.Module):
    """A gradient decoder whose answer is a formula h(u, t, z, factor)."""

    def __init__(self, increment, factors):
        super().__init__()
        self.increment, self.factors = increment, factors

    def forward(self, encoded: Encoded, z: Tensor, factor: Tensor | None = None) -> Tensor:
        return self.increment(encoded.h, encoded.time, z, factor)


class ChannelMeans(FactorEncoder):
    """One unit for each channel: its mean."""

    def __init__(self, n_units):
        super().__init__()
        self.n_units, self.unit_dim = n_units, 1

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))[:, :, None]


def diffusion(weighting=Weighting.unit):
    """Noise prediction, so that a formula for eps is what the network says."""
    return DiffusionConfig(shift=1.0, weighting=weighting, parametrization=ParametrizationKind.eps)


def exact_pdae(eps, increment, weighting=Weighting.unit):
    config = PdaeConfig(channels=1, size=8, n_units=1, encoder_width=4, unet=UNET, diffusion=diffusion(weighting))
    model = Pdae(config)
    model.unet, model.gradients = ExactUNet(eps), ExactGradients(increment, 0)
    return model


def exact_disdiff(eps, increment, channels=2, **factor_loss):
    config = DisDiffConfig(
        channels=channels,
        size=8,
        n_units=channels,
        unit_dim=1,
        encoder_width=4,
        unet=UNET,
        diffusion=diffusion(),
        factor_loss=FactorLossConfig(**factor_loss),
    )
    model = DisDiff(config)
    model.unet, model.gradients, model.factors = ExactUNet(eps), ExactGradients(increment, channels), ChannelMeans(channels)
    return model


def at(t, x):
    return expand_like(SCHEDULE.alpha(t), x), expand_like(SCHEDULE.sigma(t), x)


def normal(*shape, seed=0, dtype=F64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


# each pixel of channel c is N(-1, .2^2) or N(1, .2^2) with equal odds: which one is the factor z^c
SPREAD = 0.2


def mixture_eps(u, t):
    """The exact noise prediction of the mixture, -sigma grad log p(u)."""
    alpha, sigma = at(t, u)
    variance = (alpha * SPREAD) ** 2 + sigma**2
    # log p(u) = log sum_k exp(-(u - alpha k)^2 / 2 variance), so the score is (alpha tanh(alpha u / variance) - u) / variance
    return -sigma * (alpha * torch.tanh(alpha * u / variance) - u) / variance


def component_eps(u, t, k):
    """The exact noise prediction of the component k = -1 or 1."""
    alpha, sigma = at(t, u)
    return sigma * (u - alpha * k) / ((alpha * SPREAD) ** 2 + sigma**2)


def label_increment(u, t, k):
    """-sigma grad log p(k | u), by differentiation of log sigmoid(2 k alpha u / variance)."""
    alpha, sigma = at(t, u)
    with torch.enable_grad():
        leaf = u.detach().clone().requires_grad_()
        log_p = nn.functional.logsigmoid(2 * k * alpha * leaf / ((alpha * SPREAD) ** 2 + sigma**2))
        (gradient,) = torch.autograd.grad(log_p.sum(), leaf)
    return -sigma * gradient


def factor_increment(u, t, z, factor):
    """Factor c speaks of channel c alone."""
    mask = nn.functional.one_hot(factor, u.shape[1])[:, :, None, None]
    return mask * label_increment(u, t, expand_like(z[:, 0], u))


def test_the_exact_gradient_of_a_label_turns_the_score_of_a_mixture_into_that_of_the_component():
    model = exact_pdae(mixture_eps, lambda u, t, z, factor: label_increment(u, t, expand_like(z[:, 0], u)))
    u, t, k = normal(6, 1, 4, 4), torch.linspace(0.05, 0.95, 6, dtype=F64), torch.tensor([1.0, -1, 1, -1, 1, -1], dtype=F64)
    found = model.composite(k[:, None, None])(u, t)
    torch.testing.assert_close(found, component_eps(u, t, expand_like(k, u)), rtol=1e-9, atol=1e-10)


def test_independent_factors_add_up_and_each_can_be_left_out_or_exaggerated():
    model = exact_disdiff(mixture_eps, factor_increment)
    u, t = normal(4, 2, 3, 3), torch.tensor([0.1, 0.4, 0.6, 0.9], dtype=F64)
    z = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=F64)
    both = model.composite(z[:, :, None])(u, t)
    torch.testing.assert_close(both, component_eps(u, t, z[:, :, None, None]), rtol=1e-9, atol=1e-10)
    second = model.composite(z[:, :, None], factors=[1])(u, t)
    torch.testing.assert_close(second[:, 0], mixture_eps(u, t)[:, 0])
    torch.testing.assert_close(second[:, 1], both[:, 1])
    torch.testing.assert_close(model.composite(z[:, :, None], strength=0.0)(u, t), mixture_eps(u, t))
    stronger = model.composite(z[:, :, None], strength=2.5)(u, t)
    torch.testing.assert_close(stronger - mixture_eps(u, t), 2.5 * (both - mixture_eps(u, t)))


def test_samples_have_the_values_that_the_codes_name():
    model = exact_disdiff(mixture_eps, factor_increment)
    z = torch.tensor([[1, -1], [-1, 1]], dtype=F64)[:, :, None]
    noise = initial_state(SCHEDULE, 1.0, normal(2, 2, 8, 8))
    out = sample(model.composite(z), noise, SCHEDULE, time_grid(SCHEDULE, 40), sampler="ddim")
    torch.testing.assert_close(out.sign(), z[..., None].expand_as(out))
    assert (out - z[..., None]).abs().mean() < 0.3


def test_the_best_linear_gradient_head_is_the_score_of_the_transition_given_the_code_less_the_base():
    """x0 ~ N(0, 1), z = x0 + r n. Loss-minimal G = E[grad log q(u | x0) | u, z] - s_base, in closed form."""
    r = 0.5
    nodes, weights = torch.tensor([-(3**0.5), 0, 3**0.5], dtype=F64), torch.tensor([1 / 6, 2 / 3, 1 / 6], dtype=F64)
    # Gauss-Hermite nodes: means of squares of linear forms are exact
    x0, eps, n = (g.reshape(-1, 1, 1, 1) for g in torch.meshgrid(nodes, nodes, nodes, indexing="ij"))
    mass = torch.einsum("i,j,k->ijk", weights, weights, weights).flatten()
    z = (x0 + r * n)[:, :, :, 0]
    for weighting in (Weighting.pdae, Weighting.unit, Weighting.v):
        for time in (0.2, 0.5, 0.8):
            t = torch.full((27,), time, dtype=F64)
            alpha, sigma = SCHEDULE.alpha(t[0]), SCHEDULE.sigma(t[0])
            gain = alpha if weighting is Weighting.v else 1.0
            head = torch.zeros(2, dtype=F64, requires_grad=True)
            model = exact_pdae(
                lambda u, t: SCHEDULE.sigma(t[0]) * u,  # the base of N(0, 1)
                lambda u, t, z, factor, head=head: head[0] * u + head[1] * expand_like(z[:, 0], u),
                weighting,
            )
            loss = (mass * model.denoising(model.composite(z), x0, t, eps)).sum()
            (gradient,) = torch.autograd.grad(loss, head, create_graph=True)
            hessian = torch.stack([torch.autograd.grad(gradient[i], head, retain_graph=True)[0] for i in range(2)])
            best = gain * torch.linalg.solve(hessian, -gradient.detach())  # h = best . (u, z)
            # x0 | u, z is Gaussian with precision 1 + alpha^2 / sigma^2 + 1 / r^2
            precision = 1 + (alpha / sigma) ** 2 + 1 / r**2
            mean = torch.stack([alpha / sigma**2, torch.tensor(1 / r**2, dtype=F64)]) / precision
            # E[grad log q | u, z] = -(u - alpha E[x0 | u, z]) / sigma^2,  s_base = -u
            score = torch.stack([alpha * mean[0] - 1, alpha * mean[1]]) / sigma**2
            wanted = score - torch.tensor([-1.0, 0.0], dtype=F64)
            torch.testing.assert_close(-best / sigma, wanted, rtol=1e-7, atol=1e-8)


def test_a_score_increment_moves_the_estimate_by_sigma_squared_over_alpha():
    model = exact_pdae(mixture_eps, lambda u, t, z, factor: label_increment(u, t, expand_like(z[:, 0], u)))
    u, t, k = normal(3, 1, 4, 4), torch.tensor([0.2, 0.5, 0.8], dtype=F64), torch.tensor([1.0, -1, 1], dtype=F64)
    alpha, sigma = at(t, u)
    variance = (alpha * SPREAD) ** 2 + sigma**2
    # grad log sigmoid(2 k a u / v) = (2 k a / v) (1 - sigmoid(2 k a u / v))
    slope = 2 * expand_like(k, u) * alpha / variance
    g = slope * torch.sigmoid(-slope * u)
    base, guided = model.composite(None).x0(u, t), model.composite(k[:, None, None]).x0(u, t)
    torch.testing.assert_close(guided - base, sigma**2 / alpha * g)
    torch.testing.assert_close(tweedie_shift(base, -sigma * g, alpha, sigma), guided)


def constant_increment(sign):
    """h of a head that moves channel c's estimate the whole way to its code, or as far away from it."""

    def increment(u, t, z, factor):
        alpha, sigma = at(t, u)
        x0 = alpha * u  # the base's estimate
        mask = nn.functional.one_hot(factor, u.shape[1])[:, :, None, None].to(u)
        return -sign * mask * (expand_like(z[:, 0], u) - x0) * alpha / sigma  # x0_hat - sigma / alpha h

    return increment


def gaussian_eps(u, t):
    return at(t, u)[1] * u


@pytest.mark.parametrize("change", list(ChangeSpace))
@pytest.mark.parametrize(("sign", "nearer"), [(1, True), (-1, False)])
def test_a_gradient_that_pulls_its_factor_to_its_code_lowers_the_variant_loss_and_one_that_pushes_raises_it(
    sign, nearer, change
):
    model = exact_disdiff(gaussian_eps, constant_increment(sign), channels=3, change=change)
    values = torch.tensor([[0.9, -0.9, 0.8], [-0.9, 0.9, -0.8], [0.7, 0.9, -0.9], [-0.8, -0.7, 0.9]])
    x = values[:, :, None, None].expand(-1, -1, 8, 8).contiguous()
    path, t = FrozenPath(model.unet), torch.full((4,), 0.9)
    alpha, sigma = at(t, x)
    path.encoded(add_noise(x, normal(*x.shape, dtype=torch.float32), alpha, sigma), t)
    found, moved = model.factor_change(path, model.encode(x), torch.Generator().manual_seed(0))
    assert bool((found.variant < math.log(3)).all()) == nearer
    assert bool((found.variant > math.log(3)).all()) != nearer
    assert bool((found.invariant < math.log(3)).all())  # either way only the factor's own channel moves
    assert bool(found.hit.bool().all())
    assert bool((moved > 0).all())
    assert not moved.requires_grad


def test_where_the_gradient_moves_another_factor_the_invariant_loss_is_above_chance():
    right = constant_increment(1)
    model = exact_disdiff(gaussian_eps, lambda u, t, z, factor: right(u, t, z, (factor + 1) % 3), channels=3)
    x = torch.tensor([[0.9, -0.9, 0.8]] * 8)[:, :, None, None].expand(-1, -1, 8, 8).contiguous()
    path, t = FrozenPath(model.unet), torch.full((8,), 0.9)
    alpha, sigma = at(t, x)
    path.encoded(add_noise(x, normal(*x.shape, dtype=torch.float32), alpha, sigma), t)
    found, _ = model.factor_change(path, model.encode(x), torch.Generator().manual_seed(0))
    assert bool((found.invariant > math.log(3)).all())
    assert found.hit.sum() == 0


def test_the_accuracy_of_the_factors_is_one_where_each_moves_itself_alone():
    model = exact_disdiff(gaussian_eps, constant_increment(1), channels=3)
    x = 0.8 * normal(32, 3, 1, 1, dtype=torch.float32).sign().expand(-1, -1, 8, 8).contiguous()
    assert model.factor_accuracy(x, torch.Generator().manual_seed(0)) == 1.0


class Oracle:
    """A base that knows N(0, 1), and a guided denoiser whose code is the image."""

    schedule = SCHEDULE

    def __init__(self):
        self.model = exact_pdae(gaussian_eps, self.perfect)

    @staticmethod
    def perfect(u, t, z, factor):
        alpha, sigma = at(t, u)
        return (u - alpha * z.view_as(u)) / sigma - sigma * u  # the true noise less the base's

    def encode(self, x):
        return x.flatten(1)[:, :, None]

    def state(self, x):
        return x

    def composite(self, z):
        return self.model.composite(z)


def test_the_gap_of_the_base_is_its_posterior_variance_and_a_perfect_gradient_closes_it():
    x, times = normal(64, 1, 16, 16), time_grid(SCHEDULE, 5)
    profile = gap_profile(Oracle(), x, times, torch.Generator().manual_seed(0))
    sigma, alpha = SCHEDULE.sigma(times), SCHEDULE.alpha(times)
    # x0 | u of N(0, 1) data has variance sigma^2; 16 384 draws give 1.1 % of it as one standard error
    torch.testing.assert_close(torch.from_numpy(profile.x0_without), sigma[:-1] ** 2, rtol=0.05, atol=0)
    # Ho et al. 2020, eq. 7: the coefficient of x0 is sqrt(abar_s) beta / (1 - abar_t)
    beta = 1 - (alpha[:-1] / alpha[1:]) ** 2
    nu = alpha[1:] * beta / (1 - alpha[:-1] ** 2)
    torch.testing.assert_close(torch.from_numpy(profile.mean_without), nu**2 * torch.from_numpy(profile.x0_without))
    assert abs(profile.x0_with).max() < 1e-12
    assert abs(profile.mean_with).max() < 1e-12
    assert profile.t.tolist() == times[:-1].tolist()


def test_the_gap_is_measured_with_gaussian_noise():
    seen = []
    model = Oracle()
    model.model.unet.eps = lambda u, t: seen.append(u.clone()) or gaussian_eps(u, t)
    gap_profile(model, torch.zeros(64, 1, 16, 16, dtype=F64), torch.tensor([1.0, 0.5]), torch.Generator().manual_seed(0))
    noise = seen[0].flatten()  # at t = 1 the state of a black image is the noise
    assert noise.mean().abs() < 0.05
    assert noise.std().item() == pytest.approx(1, abs=0.03)
    assert (noise**4).mean().item() == pytest.approx(3, abs=0.3)


def test_times_that_do_not_fall_are_refused():
    with pytest.raises(ValueError, match="strictly falling"):
        gap_profile(Oracle(), torch.zeros(2, 1, 8, 8), torch.tensor([0.5, 0.5]), torch.Generator())

"""InfoDiffusion: the weights of its two divergences, its priors, codes drawn or not, the two phases."""

import math

import pytest
import torch

from tts.errors import ConfigError
from tts.image.config import UNetConfig
from tts.image.divergence import DivergenceKind
from tts.image.infodiffusion import InfoDiffusion, InfoDiffusionConfig, PriorKind
from tts.image.priors import Gaussian

TINY = {
    "channels": 1,
    "size": 8,
    "n_units": 2,
    "unit_dim": 2,
    "unet": UNetConfig(base=8, multipliers=(1,), attention=(False,), heads=1, unshuffle=4),
    "encoder_width": 4,
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tiny(**options):
    return InfoDiffusion(InfoDiffusionConfig(**{**TINY, **options}))


def images(n=6):
    return torch.rand(n, 1, 8, 8, generator=generator()) * 2 - 1


@pytest.mark.parametrize(("zeta", "lambda_"), [(1.0, 0.1), (0.3, 1.5), (0.0, 1.0), (0.6, 0.4)])
def test_the_weights_add_information_and_follow_the_prior_on_a_linear_gaussian_code_with_known_information(zeta, lambda_):
    # x ~ N(0, 1), q(z | x) = N(a x, s^2): I(x; z) = 1/2 ln(1 + a^2/s^2), q(z) = N(0, v) with v = a^2 + s^2
    a, s2 = 0.8, 0.3
    v = a**2 + s2
    information, marginal = 0.5 * math.log(v / s2), 0.5 * (v - math.log(v) - 1)
    # E_x KL(q(z | x) || p), integrated over x
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    density = torch.distributions.Normal(0.0, 1.0).log_prob(x).exp() * (x[1] - x[0])
    kl = Gaussian(1).kl((a * x)[:, None, None], torch.full((4001, 1, 1), math.log(s2), dtype=torch.float64))
    posterior = (density * kl).sum().item()
    assert posterior == pytest.approx(information + marginal)
    config = InfoDiffusionConfig(**TINY, zeta=zeta, lambda_=lambda_)
    # the negative ELBO's KL, less zeta I, plus (lambda - 1) KL(q(z) || p)
    wanted = posterior - zeta * information + (lambda_ - 1) * marginal
    assert config.kl_weight * posterior + config.divergence_weight * marginal == pytest.approx(wanted)


def test_the_published_setting_has_a_tenth_of_the_discrepancy_and_a_code_without_noise():
    model, x = tiny(), images()
    assert (model.config.kl_weight, model.config.divergence_weight) == (0, pytest.approx(0.1))
    losses = model.losses(x, None, generator())
    assert set(losses) == {"denoising", "divergence"}
    posterior = model.posterior(x)
    assert torch.equal(model.drawn_code(posterior, generator()), model.encode(x))


def test_with_a_kl_the_code_is_drawn_and_the_kl_is_held_at_its_capacity():
    model, x = tiny(zeta=0.5, lambda_=0.5, capacity=8.0, capacity_until=0.5), images(100)
    losses = model.losses(x, None, generator())
    assert set(losses) == {"denoising", "kl"}
    mean, log_variance = model.posterior(x)
    kl = Gaussian(2, 2).kl(mean, log_variance).mean().item()
    for progress, capacity in ((0.0, 0.0), (0.25, 4.0), (0.5, 8.0), (1.0, 8.0)):
        model.progress.fill_(progress)
        assert model.losses(x, None, generator())["kl"].item() == pytest.approx(0.5 * abs(kl - capacity), rel=1e-4)
    z = model.drawn_code((mean, log_variance), generator())
    torch.testing.assert_close(((z - mean) / (log_variance / 2).exp()).std(), torch.tensor(1.0), rtol=0, atol=0.12)
    assert torch.equal(model.encode(x), mean)


@pytest.mark.parametrize("prior", [PriorKind.bernoulli, PriorKind.categorical])
def test_discrete_codes_are_relaxed_in_training_ever_harder_and_hard_in_use(prior):
    model, x = tiny(prior=prior, zeta=0.5, lambda_=1.0), images()
    assert set(model.losses(x, None, generator())) == {"denoising", "kl", "divergence"}
    soft = []
    for progress, temperature in ((0.0, 1.0), (0.5, 0.1**0.5), (1.0, 0.1)):
        model.progress.fill_(progress)
        assert model.temperature == pytest.approx(temperature)
        z = model.drawn_code(model.posterior(x), generator())
        soft.append((z - z.round()).abs().mean().item())
    assert soft[0] > soft[1] > soft[2] > 0
    z = model.encode(x)
    assert ((z == 0) | (z == 1)).all()
    assert prior is not PriorKind.categorical or (z.sum(-1) == 1).all()


@pytest.mark.parametrize("prior", [PriorKind.cube, PriorKind.ring])
@pytest.mark.parametrize("kind", DivergenceKind)
def test_every_prior_goes_with_every_divergence_and_its_gradient_reaches_the_encoder(prior, kind):
    model = tiny(prior=prior, divergence=kind)
    model.losses(images(), None, generator())["divergence"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.encoder.parameters())


def test_a_share_of_the_images_is_denoised_without_its_code():
    model = tiny(null_rate=0.25)
    seen = []
    forward = model.unet.forward
    model.unet.forward = lambda x, t, condition: (seen.append(condition.detach()), forward(x, t, condition))[1]
    with torch.no_grad():
        model.null.fill_(7.0)
    model.losses(images(400), None, generator())
    dropped = (seen[0] == 7.0).all(1)
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.065)  # three standard errors
    assert not (seen[0][~dropped] == 7.0).any()


def test_without_a_weight_of_the_divergence_there_is_no_rein():
    assert tiny(lambda_=0.0).losses(images(4), None, generator()).keys() == {"denoising"}
    assert tiny(lambda_=0.1).losses(images(4), None, generator()).keys() == {"denoising", "divergence"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"zeta": 0.5, "lambda_": 0.1}, "lambda_ \\+ zeta - 1 must not be below 0, found -0.4"),
        ({"zeta": 0.5, "lambda_": 1.0, "prior": PriorKind.ring}, "expected 1 with the prior ring"),
        ({"prior": PriorKind.swiss_roll}, "two numbers, found 4. Change n_units or unit_dim"),
        ({"prior": PriorKind.ring, "n_units": 3, "unit_dim": 1}, "an even number of numbers, found 3"),
        ({"null_rate": 0.0}, "model.null_rate"),
        ({"two_phase": 0.0}, "model.two_phase"),
        ({"temperature": 0.0}, "model.temperature"),
        ({"zeta": 1.5}, "model.zeta"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        InfoDiffusionConfig(**{**TINY, **options})

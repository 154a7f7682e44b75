"""What all VAEs are: batches equal their singles, the terms of each, and losses that fall."""

import dataclasses

import pytest
import torch

from tts.config import to_dict
from tts.image.deformable_vae import DeformableVae
from tts.image.factor_vae import FactorVae
from tts.image.guided_vae import GuidedVae
from tts.image.info_vae import InfoVae
from tts.image.registry import build_model, config_from_dict
from tts.image.usage import CodeIgnored, z_usage
from tts.image.vae import AnnealedVae, BetaVae, DipVae, TcVae, Vae
from tts.image.vae_config import (
    AnnealedVaeConfig,
    BetaVaeConfig,
    DeformableVaeConfig,
    DipKind,
    DipVaeConfig,
    FactorVaeConfig,
    GuidedVaeConfig,
    InfoVaeConfig,
    Likelihood,
    TcVaeConfig,
    VaeConfig,
)
from tts.image.vae_nets import channels_of
from tts.image.vae_terms import gaussian_kl, identity_distance, posterior_covariance, sample_posterior, total_correlation

MODELS = {
    "vae": (Vae, VaeConfig()),
    "beta": (BetaVae, BetaVaeConfig()),
    "annealed": (AnnealedVae, AnnealedVaeConfig(capacity=5.0)),
    "factor": (FactorVae, FactorVaeConfig(discriminator_width=32, discriminator_layers=2)),
    "tc": (TcVae, TcVaeConfig()),
    "dip_i": (DipVae, DipVaeConfig()),
    "dip_ii": (DipVae, DipVaeConfig(covariance=DipKind.ii, diagonal=10.0)),
    "info": (InfoVae, InfoVaeConfig()),
    "guided": (GuidedVae, GuidedVaeConfig(n_units=6, attributes=(0,), classes=(2,))),
    "deformable": (DeformableVae, DeformableVaeConfig()),
}
every_model = pytest.mark.parametrize("name", MODELS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make_model(name):
    torch.manual_seed(0)
    kind, config = MODELS[name]
    return kind(dataclasses.replace(config, size=8, width=8, hidden=32))


def blobs(n=64):
    """Bright spots of two colours at random places, (n, 3, 8, 8) in [-1, 1], and which colour it is, (n, 1)."""
    draw = generator(5)
    x, y = 1 + 5 * torch.rand(2, n, 1, 1, generator=draw)
    across = torch.arange(8.0)
    spot = torch.exp(-((across - x) ** 2 + (across[:, None] - y) ** 2) / 3)
    label = torch.randint(2, (n, 1), generator=draw)
    colour = torch.tensor([[1.0, 0.2, 0.6], [0.1, 1.0, 0.6]])[label[:, 0]]
    return 2 * spot[:, None] * colour[:, :, None, None] - 1, label


@every_model
def test_the_loss_falls_within_sixty_steps(name):
    model, (x, labels) = make_model(name), blobs()
    model.progress.fill_(0.5)
    draw = generator()
    optimizers = {phase: torch.optim.Adam(model.parameters_of(phase), lr=5e-3) for phase in model.phases}

    def total():
        with torch.no_grad():
            losses = model.losses(x, labels, generator(1))
        return sum(losses.values()).item(), losses["reconstruction"].item()

    before = total()
    for _ in range(60):
        for phase, optimizer in optimizers.items():
            optimizer.zero_grad()
            sum(model.losses(x, labels, draw, phase=phase).values()).backward()
            optimizer.step()
    after = total()
    assert after[0] < 0.9 * before[0]
    assert after[1] < before[1]


@every_model
def test_the_registry_builds_it_from_plain_values(name):
    kind, config = MODELS[name]
    assert config_from_dict(to_dict(config)) == config
    assert type(build_model(config)) is kind


@every_model
def test_a_batch_equals_its_singles_and_codes_are_of_the_agreed_shapes(name):
    model, (x, _) = make_model(name), blobs(5)
    z = model.encode(x)
    assert z.shape == (5, model.config.n_units, 1)
    torch.testing.assert_close(z, torch.cat([model.encode(single) for single in x.split(1)]), atol=1e-6, rtol=1e-5)
    decoded = model.decode(z)
    assert decoded.shape == x.shape
    assert decoded.abs().max() < 1
    torch.testing.assert_close(decoded, torch.cat([model.decode(single) for single in z.split(1)]), atol=1e-6, rtol=1e-5)


@every_model
def test_a_generator_fixes_the_losses_and_the_global_one_is_left_alone(name):
    model, (x, labels) = make_model(name), blobs(8)
    state = torch.get_rng_state()
    for phase in model.phases:
        first, again, other = (model.losses(x, labels, generator(seed), phase=phase) for seed in (3, 3, 4))
        assert all(torch.equal(first[key], again[key]) and first[key].shape == () for key in first)
        assert sum(first.values()) != sum(other.values())
    assert torch.equal(state, torch.get_rng_state())


@every_model
def test_half_precision_has_float32_losses_near_those_of_full_precision(name):
    model, (x, labels) = make_model(name), blobs(16)
    for phase in model.phases:
        full = model.losses(x, labels, generator(), phase=phase)
        with torch.autocast("cpu", torch.bfloat16):
            half = model.losses(x, labels, generator(), phase=phase)
        for key, loss in half.items():
            assert loss.dtype == torch.float32
            assert loss.item() == pytest.approx(full[key].item(), rel=0.02, abs=0.02 * abs(sum(full.values()).item())), key


def test_the_terms_are_the_weighted_ones_of_the_same_sample():
    x, _ = blobs(16)
    model = make_model("vae")
    mean, log_variance = model.posterior(x)
    z = sample_posterior(mean, log_variance, generator())
    kl = gaussian_kl(mean, log_variance).sum() / 16
    off, on = identity_distance(posterior_covariance(mean, log_variance, of_codes=False))
    _, on_codes = identity_distance(posterior_covariance(mean, log_variance, of_codes=True))
    correlation = total_correlation(z, mean, log_variance)
    expected = {
        "vae": {"kl": kl},
        "beta": {"kl": 4 * kl},
        "tc": {"kl": kl, "total_correlation": 5 * correlation},
        "dip_i": {"kl": kl, "off_diagonal": 10 * off, "diagonal": 100 * on},
        "dip_ii": {"kl": kl, "off_diagonal": 10 * off, "diagonal": 10 * on_codes},
    }
    for name, terms in expected.items():
        losses = make_model(name).losses(x, None, generator())
        assert set(losses) == {"reconstruction", *terms}
        torch.testing.assert_close(losses["reconstruction"], model.reconstruction(x, z))
        torch.testing.assert_close({key: losses[key] for key in terms}, terms)


def test_the_annealed_target_climbs_with_progress_and_then_stays():
    model, (x, _) = make_model("annealed"), blobs(8)
    kl = model.kl(*model.posterior(x)).item()
    for progress, target in ((0.0, 0.0), (1 / 12, 1.25), (1 / 6, 2.5), (1 / 3, 5.0), (0.9, 5.0)):
        model.progress.fill_(progress)
        assert model.target.item() == pytest.approx(target)
        assert model.losses(x, None, generator())["kl"].item() == pytest.approx(1000 * abs(kl - target), rel=1e-4)


def test_mmd_vae_has_no_kl_and_draws_the_codes_to_the_prior():
    x, _ = blobs()
    model = make_model("info")
    assert model.losses(x, None, generator())["kl"].item() == 0
    with torch.no_grad():
        model.encoder.leave.bias[: model.config.n_units] += 2  # codes far from the prior
    mmd = [model.losses(x, None, generator())["mmd"].item()]
    optimizer = torch.optim.Adam(model.encoder.parameters(), lr=2e-2)
    for step in range(40):
        optimizer.zero_grad()
        model.losses(x, None, generator(step))["mmd"].backward()
        optimizer.step()
    mmd.append(model.losses(x, None, generator())["mmd"].item())
    assert mmd[1] < mmd[0] / 10


def test_images_of_another_size_are_refused_with_both():
    with pytest.raises(ValueError, match=r"\(3, 32, 32\), the model takes \(3, 8, 8\)"):
        make_model("vae").encode(torch.zeros(1, 3, 32, 32))


def test_the_networks_are_the_fields_at_64_pixels_and_shorter_below():
    model = Vae(VaeConfig(size=64))
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    # convolutions 3·32·16, 32·32·16, 32·64·4, 64·64·4, linear 1024·256, 256·20, and biases
    assert count["encoder"] == 1568 + 16416 + 8256 + 16448 + 262400 + 5140
    # linear 10·256, 256·1024, transposed 64·64·16, 64·32·16, 32·32·16, 32·3·16, and biases
    assert count["decoder"] == 2816 + 263168 + 65600 + 32800 + 16416 + 1539
    assert [channels_of(VaeConfig(size=size)) for size in (8, 16, 32)] == [[32], [32, 32], [32, 32, 64]]


@pytest.mark.parametrize("size", [8, 32, 64])
@pytest.mark.parametrize("likelihood", Likelihood)
def test_every_size_and_likelihood_makes_images_of_its_size(size, likelihood):
    model = Vae(VaeConfig(size=size, channels=1, width=4, hidden=16, likelihood=likelihood))
    x = torch.rand(2, 1, size, size, generator=generator()) * 2 - 1
    assert model.decode(model.encode(x)).shape == x.shape
    assert model.losses(x, None, generator())["reconstruction"] > 0


def test_usage_is_the_squared_error_that_codes_of_other_images_add(monkeypatch):
    model, (x, _) = make_model("vae"), blobs(2)  # of two images each gets the other's code
    monkeypatch.setattr(model, "encode", lambda x: x.flatten(1)[..., None])
    monkeypatch.setattr(model, "decode", lambda z: z.view_as(x))
    usage = z_usage(model, x, generator(), units=x[0].numel())
    assert usage.loss == 0 and usage.gap == pytest.approx((x[0] - x[1]).square().mean().item())
    assert sum(usage.unit_gaps) == pytest.approx(usage.gap)
    usage.require()


def test_a_decoder_that_paints_one_image_for_all_codes_is_found_out():
    model, (x, _) = make_model("annealed"), blobs()
    with torch.no_grad():
        next(model.decoder.parameters()).zero_()
    usage = z_usage(model, x, generator())
    assert usage.gap == 0 and usage.loss > 0
    with pytest.raises(CodeIgnored, match=r"the code is ignored.*Of a VAE lower what holds its codes"):
        usage.require()

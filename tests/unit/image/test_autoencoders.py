"""Diff-AE and EncDiff: codes that do not depend on neighbours, losses that fall, a code that is read or found ignored."""

import pytest
import torch

from tts.errors import ModelError
from tts.image.config import UNetConfig
from tts.image.diffae import DiffAe, DiffAeConfig
from tts.image.encdiff import EncDiff, EncDiffConfig, TokenCondition, UnitNetworks
from tts.image.infodiffusion import InfoDiffusion, InfoDiffusionConfig
from tts.image.registry import build_model
from tts.image.usage import CodeUsage, z_usage
from tts.training.image_config import load_image_config

TINY = {
    "channels": 1,
    "size": 8,
    "n_units": 2,
    "unet": UNetConfig(base=8, multipliers=(1,), attention=(True,), heads=1, unshuffle=4),
    "encoder_width": 4,
}
METHODS = {
    "diffae": lambda: DiffAe(DiffAeConfig(**TINY)),
    "diffae_raw": lambda: DiffAe(DiffAeConfig(**TINY, code_norm=False)),
    "encdiff": lambda: EncDiff(EncDiffConfig(**TINY, token_hidden=(8,))),
    "encdiff_norms": lambda: EncDiff(EncDiffConfig(**TINY, condition=TokenCondition.scale_shift)),
    "encdiff_vectors": lambda: EncDiff(EncDiffConfig(**TINY, unit_dim=3, mmd_weight=0.3)),
    "infodiffusion": lambda: InfoDiffusion(InfoDiffusionConfig(**TINY)),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def grey_images(n, seed=0):
    """Images of one grey value each: all there is to know is one number."""
    return (torch.rand(n, 1, 1, 1, generator=generator(seed)) * 1.8 - 0.9).expand(n, 1, 8, 8).contiguous()


def seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


def train(model, steps):
    optimizer = torch.optim.Adam(model.parameters_of("main"), lr=4e-3)
    model.measure(grey_images(64))
    history = []
    for step in range(steps):
        loss = sum(model.losses(grey_images(32, seed=step), None, generator(step)).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return history


@pytest.mark.parametrize("method", METHODS)
def test_codes_are_deterministic_and_those_of_each_image_alone_in_every_mode(method):
    model, x = seeded(METHODS[method]), torch.rand(5, 1, 8, 8, generator=generator()) * 2 - 1
    model.losses(x, None, generator())
    with torch.no_grad():
        for mode in (True, False):
            z = model.train(mode).encode(x)
            assert z.shape == (5, model.config.n_units, model.config.unit_dim)
            assert torch.equal(z, model.encode(x))
            torch.testing.assert_close(z, torch.cat([model.encode(image[None]) for image in x]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_generator_gives_the_same_loss_and_the_global_one_is_left_alone(method):
    model, x, state = seeded(METHODS[method]).eval(), grey_images(6), torch.get_rng_state()
    first, second = (model.losses(x, None, generator(3)) for _ in range(2))
    assert {name: value.item() for name, value in first.items()} == {name: value.item() for name, value in second.items()}
    assert torch.equal(state, torch.get_rng_state())


def test_a_tiny_encdiff_learns_to_read_its_code_and_the_diagnostic_says_so():
    model = seeded(METHODS["encdiff"])
    untrained = z_usage(model, grey_images(32), generator())
    assert untrained.gap == 0 and untrained.ignored  # the head starts at zero
    with pytest.raises(ModelError, match="the code is ignored: with codes of other images the loss rises from"):
        untrained.require()
    history = train(model, 60)
    assert sum(history[-10:]) < 0.5 * sum(history[:10])
    usage = z_usage(model, grey_images(64, seed=500), generator(1), units=2)
    assert usage.share > 0.1 and model.training
    assert len(usage.unit_gaps) == 2 and max(usage.unit_gaps) > 0.01 * usage.loss
    usage.require()


@pytest.mark.parametrize("method", ["diffae", "encdiff_vectors", "infodiffusion"])
def test_losses_fall_on_a_tiny_set(method):
    history = train(seeded(METHODS[method]), 25)
    assert sum(history[-5:]) < 0.9 * sum(history[:5])


def test_a_unit_that_the_network_does_not_see_has_no_gap_and_the_others_have():
    model = seeded(METHODS["encdiff"])
    for parameter in model.unet.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator())
    with torch.no_grad():
        for weight in model.tokens.weights:
            weight[1] = 0
    x = torch.rand(16, 1, 8, 8, generator=generator()) * 2 - 1
    usage = z_usage(model, x, generator(), units=2)
    assert usage.unit_gaps[1] == 0
    assert z_usage(model, x, generator(), units=1).unit_gaps == usage.unit_gaps[:1]
    assert usage.unit_gaps[0] == pytest.approx(usage.gap) and usage.gap != 0


def test_usage_below_one_percent_of_the_loss_or_not_a_number_is_an_ignored_code():
    assert CodeUsage(2.0, 0.019, ()).ignored and not CodeUsage(2.0, 0.021, ()).ignored
    assert CodeUsage(2.0, float("nan"), ()).ignored and CodeUsage(2.0, -1.0, ()).ignored
    with pytest.raises(ValueError, match="at least 2 images, found 1"):
        z_usage(seeded(METHODS["diffae"]), grey_images(1), generator())


def test_units_have_networks_of_their_own():
    networks, z = UnitNetworks(3, (2, 5, 4)), torch.randn(6, 3, 2, generator=generator())
    tokens = networks(z)
    assert tokens.shape == (6, 3, 4)
    for n in range(3):
        hidden = torch.nn.functional.elu(z[:, n] @ networks.weights[0][n] + networks.biases[0][n])
        torch.testing.assert_close(tokens[:, n], hidden @ networks.weights[1][n] + networks.biases[1][n])


def test_the_discrepancy_of_encdiffs_codes_is_logged_where_it_has_a_weight():
    x = grey_images(6)
    assert set(seeded(METHODS["encdiff"]).losses(x, None, generator())) == {"denoising"}
    assert set(seeded(METHODS["encdiff_vectors"]).losses(x, None, generator())) == {"denoising", "mmd"}


@pytest.mark.parametrize("method", ["diffae", "encdiff"])
def test_there_is_no_unconditional_denoiser_to_ask_for(method):
    with pytest.raises(ValueError, match=f"{method} has no unconditional denoiser. Give codes."):
        seeded(METHODS[method]).composite(None)


def test_tokens_read_by_adaptive_norms_have_the_same_encoder_and_a_network_of_nearly_the_same_size():
    models = [build_model(load_image_config("encdiff_mini", words).model) for words in ([], ["model.condition=scale_shift"])]
    z = torch.randn(2, 10, 1, generator=generator())
    assert [model.condition(z).shape for model in models] == [(2, 10, 16), (2, 160)]
    sizes = [{name: sum(p.numel() for p in part.parameters()) for name, part in m.named_children()} for m in models]
    assert sizes[0]["encoder"] == sizes[1]["encoder"] and sizes[0]["tokens"] == sizes[1]["tokens"]
    assert sizes[1]["unet"] / sizes[0]["unet"] == pytest.approx(1.0929, abs=1e-3)  # cross-attention wins with less, or not

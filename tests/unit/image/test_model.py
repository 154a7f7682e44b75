"""The base of all image methods: configurations, the registry, the measured spread, the losses of the unconditional model."""

import pytest
import torch

from tts.config import to_dict
from tts.diffusion import cosine, initial_state, sample, time_grid
from tts.errors import ConfigError
from tts.image.base import BaseConfig, BaseModel
from tts.image.config import (
    DiffusionConfig,
    Kind,
    ParametrizationKind,
    ScheduleKind,
    TimesKind,
    UNetConfig,
    Weighting,
)
from tts.image.diffae import DiffAeConfig
from tts.image.encdiff import EncDiffConfig
from tts.image.model import clip_to_pixels
from tts.image.registry import MODELS, build_model, config_from_dict

TINY = UNetConfig(base=8, multipliers=(1,), attention=(True,), heads=1, unshuffle=2)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tiny(**diffusion):
    return BaseModel(BaseConfig(channels=2, size=8, unet=TINY, diffusion=DiffusionConfig(**diffusion)))


def images(n=16):
    return torch.rand(n, 2, 8, 8, generator=generator()) * 2 - 1


def test_data_std_is_the_root_mean_square_of_each_channel():
    model, x = tiny(), torch.stack((torch.full((5, 8, 8), 0.5), torch.zeros(5, 8, 8)), dim=1)
    x[:, 0, ::2] = -0.1
    model.measure(x)
    assert model.data_std.flatten().tolist() == pytest.approx([((0.25 + 0.01) / 2) ** 0.5, 1e-3])
    assert "data_std" in model.state_dict()


@pytest.mark.parametrize("kind", ParametrizationKind)
def test_the_untrained_network_loses_what_zero_loses(kind):
    model, x = tiny(parametrization=kind, weighting=Weighting.unit), images(64)
    model.measure(x)
    (name, loss), *others = model.losses(x, None, generator()).items()
    assert (name, others) == ("denoising", [])
    # eps and the preconditioned target have unit variance; v = alpha eps - sigma x0 with x0 of 1/3
    t, _ = model.times.draw(64, generator())
    v = (model.schedule.alpha(t) ** 2 + model.schedule.sigma(t) ** 2 / 3).mean().item()
    assert loss.item() == pytest.approx(v if kind is ParametrizationKind.v else 1.0, rel=0.05)


def test_untrained_the_samples_are_the_gaussian_of_the_data_and_pixels_are_clipped_by_the_hook():
    model, x = tiny().eval(), torch.cat((0.5 * images(64)[:, :1], images(64)[:, 1:]), dim=1)
    model.measure(x)
    noise = torch.randn(x.shape, generator=generator(1))
    start = initial_state(model.schedule, 1.0, noise, data_std=model.data_std)
    times = time_grid(model.schedule, 20, "quadratic")
    with torch.no_grad():
        free = sample(model.composite(None), start, model.schedule, times)
        kept = sample(model.composite(None), start, model.schedule, times, hook=clip_to_pixels)
    torch.testing.assert_close(free.std((0, 2, 3)), model.data_std.flatten(), rtol=0.06, atol=0)
    assert free.abs().max() > 1.05 and kept.abs().max() <= 1


def test_the_schedule_is_the_shifted_one():
    t = torch.tensor([0.3, 0.7], dtype=torch.float64)
    plain = cosine()
    shifted = tiny(shift=4.0).schedule
    torch.testing.assert_close(shifted.sigma(t) / shifted.alpha(t), 4 * plain.sigma(t) / plain.alpha(t))
    torch.testing.assert_close(tiny(shift=1.0).schedule.alpha(t), plain.alpha(t))
    linear = tiny(schedule=ScheduleKind.vp_linear, shift=1.0).schedule
    torch.testing.assert_close(linear.beta(t), 0.1 + 19.9 * t)


def test_gap_times_learn_in_training_only():
    model, x = tiny(times=TimesKind.gap), images()
    model.eval().losses(x, None, generator())
    assert model.times.mean_loss.isnan().all()
    model.train().losses(x, None, generator())
    assert not model.times.mean_loss.isnan().all()


def test_a_model_without_codes_says_so():
    model, x = tiny(), images(3)
    assert model.encode(x).shape == (3, 0, 1)
    with pytest.raises(ValueError, match="this model has no codes"):
        model.composite(torch.zeros(3, 2, 1))
    with pytest.raises(ValueError, match=r"unknown phase 'discriminator'\. Phases of this model: main"):
        model.losses(x, None, generator(), phase="discriminator")
    with pytest.raises(ValueError, match="unknown phase"):
        model.parameters_of("other")


@pytest.mark.parametrize("kind", [Kind.ddpm, Kind.diffae, Kind.encdiff, Kind.infodiffusion])
def test_a_configuration_goes_through_plain_values_to_the_model_of_its_kind(kind):
    config = MODELS[kind].config(channels=1, size=8, unet=TINY)
    values = to_dict(config)
    assert values["kind"] == kind.value
    again = config_from_dict(values)
    assert again == config
    assert type(build_model(again)) is MODELS[kind].model


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "model.kind: found None, expected one of .*ddpm"),
        ({"kind": "stylegan"}, "found 'stylegan', expected one of"),
        ([], "model.kind: found None"),
        ({"kind": "encdiff", "zeta": 1.0}, "model.zeta: unknown key"),
        ({"kind": "encdiff", "n_units": 0}, "model.n_units: found 0, expected 1 to"),
        ({"kind": "encdiff", "token_hidden": []}, "model.token_hidden"),
        ({"kind": "diffae", "size": 2}, "model.size: found 2"),
        ({"kind": "diffae", "unet": {"attention": [True]}}, "found 1 values, expected one for each of the 2 multipliers"),
        ({"kind": "diffae", "diffusion": {"beta_min": 0.0}}, "need 0 < beta_min <= beta_max"),
        ({"kind": "diffae", "diffusion": {"shift": 0.0}}, "model.diffusion.shift: found 0.0"),
        ({"kind": "diffae", "diffusion": {"times": "late"}}, "found 'late', expected one of uniform, log_snr, gap"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_with_its_key(values, message):
    with pytest.raises(ConfigError, match=message):
        config_from_dict(values)


def test_a_configuration_of_another_kind_builds_nothing():
    with pytest.raises(ConfigError, match="diffae is not configured by EncDiffConfig"):
        build_model(EncDiffConfig(kind=Kind.diffae))
    with pytest.raises(ConfigError, match="not configured by DiffAeConfig"):
        build_model(DiffAeConfig(kind=Kind.encdiff))

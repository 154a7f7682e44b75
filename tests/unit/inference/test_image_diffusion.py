"""Sampling of images on data whose denoiser is known: the spread of draws, and noise that leads back to where it came from."""

import numpy as np
import pytest
import torch
from torch import nn

from tts.diffusion import expand_like, sample, time_grid
from tts.diffusion.parametrization import ParametrizationKind
from tts.image.base import BaseConfig, BaseModel
from tts.image.config import DiffusionConfig, UNetConfig
from tts.image.disdiff import DisDiffConfig
from tts.image.infodiffusion import InfoDiffusion, InfoDiffusionConfig
from tts.image.registry import build_model
from tts.inference.image_coder import ImageCoder
from tts.inference.image_diffusion import ImageSampling, denoiser_of, forward, reverse
from tts.inference.image_folder import LoadedImageModel, TrainedOn
from tts.testing import seeded

UNET = UNetConfig(base=8, multipliers=(1,), attention=(False,), heads=2, unshuffle=4)
STD = 0.2  # x0_hat is held in [-1, 1], five deviations: nothing of a Gaussian is lost there


def gaussian(shift=4.0):
    """A network that is 0 under `preconditioned`: exactly the denoiser of N(0, STD^2) pixels."""
    model = BaseModel(BaseConfig(size=8, unet=UNET, diffusion=DiffusionConfig(shift=shift))).eval()
    model.data_std.fill_(STD)
    return model


def noise(n=8):
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def spread(model, **options):
    drawn = reverse(model, None, noise(), ImageSampling(steps=50, **options), torch.Generator().manual_seed(0))
    return (drawn.std() / noise().std() / STD).item()


@pytest.mark.parametrize("shift", [1.0, 4.0])
def test_fifty_steps_keep_the_spread_of_gaussian_data_where_ddim_on_uniform_steps_loses_it(shift):
    model = gaussian(shift)
    assert spread(model) == pytest.approx(1, abs=0.02)
    assert spread(model, sampler="ddim", grid="uniform") < 0.95
    assert spread(model, sampler="ddim") == pytest.approx(0.96, abs=0.02)  # why it is not the default


def test_the_noise_of_gaussian_data_has_the_spread_that_leads_back_to_them_by_ddim_alone():
    model, options = gaussian(), ImageSampling(sampler="heun")
    data = STD * noise()
    inverted = forward(model, None, data, options)
    # the exact flow takes data to noise by a factor of 1 / STD; what DDIM errs on the way back it errs on the way there
    assert (inverted.std() / noise().std()).item() == pytest.approx(1 / spread(model, sampler="ddim"), abs=0.01)
    back = reverse(model, None, inverted, options.for_inverted(), torch.Generator())
    assert (back - data).abs().max() < 0.005
    other = reverse(model, None, inverted, options, torch.Generator())
    assert (other - data).abs().max() > 4 * (back - data).abs().max()


class NearlyExactNoise(nn.Module):
    """The noise in a state of N(0, STD^2) pixels, but for an error of at most half a hundredth of its spread."""

    def __init__(self, schedule):
        super().__init__()
        self.schedule = schedule

    def forward(self, u, t):
        alpha, sigma = (expand_like(c(t), u) for c in (self.schedule.alpha, self.schedule.sigma))
        return sigma * u / (alpha**2 * STD**2 + sigma**2) + 0.005 * torch.sin(3 * u + 7 * expand_like(t, u))


@pytest.mark.parametrize("shift", [1.0, 4.0])
def test_a_network_of_noise_that_errs_a_little_begins_where_that_does_not_drown_the_image(shift):
    diffusion = DiffusionConfig(shift=shift, parametrization=ParametrizationKind.eps)
    model = BaseModel(BaseConfig(size=8, unet=UNET, diffusion=diffusion)).eval()
    model.unet = NearlyExactNoise(model.schedule)
    options, data = ImageSampling(sampler="ddim"), STD * noise()
    back = reverse(model, None, forward(model, None, data, options), options, torch.Generator(), clipped=False)
    assert (back - data).square().mean().sqrt() < 0.25 * STD
    drawn = reverse(model, None, noise(), options, torch.Generator(), clipped=False)
    assert (drawn.std() / noise().std() / STD).item() == pytest.approx(1, abs=0.1)
    # at t = 1 the same error is multiplied by 10,000 and more
    first = sample(model.composite(None), noise(), model.schedule, time_grid(model.schedule, 50, "quadratic"), sampler="ddim")
    assert first.std() > 2 * STD


def test_given_noise_goes_back_by_ddim_whatever_draws_and_drawn_noise_may_be_one_for_all():
    trained = TrainedOn(data="shapes", size=8, steps=1, images=4, seed=0, cpu_seconds=0.5)
    coder = ImageCoder(LoadedImageModel(model=gaussian(), trained=trained, codes=None), torch.device("cpu"))
    found = [coder.unconditional(4, noise(4).numpy(), steps=5, sampler=sampler) for sampler in ("dpmpp_2m", "ddim")]
    assert np.array_equal(*found)
    drawn = [coder.unconditional(4, steps=5, sampler=sampler) for sampler in ("dpmpp_2m", "ddim")]
    assert not np.array_equal(*drawn)


@pytest.fixture
def infodiffusion():
    config = InfoDiffusionConfig(channels=1, size=8, n_units=2, encoder_width=4, unet=UNET)
    return seeded(lambda: InfoDiffusion(config), spread=0.3).eval()


def codes():
    return torch.randn(3, 2, 1, generator=torch.Generator().manual_seed(1))


def test_the_two_phases_ask_the_unconditional_network_above_the_split_and_the_conditional_one_below(infodiffusion):
    with torch.no_grad():
        infodiffusion.null.fill_(7.0)
    calls, ask = [], infodiffusion.unet.forward

    def record(x, t, condition):
        calls.append((round(t[0].item(), 4), "without" if (condition == 7.0).all() else "with"))
        return ask(x, t, condition)

    infodiffusion.unet.forward = record
    start = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    reverse(infodiffusion, codes(), start, ImageSampling(steps=10, grid="uniform", code_to=0.5), torch.Generator())
    times = [1 - i / 10 for i in range(10)]
    assert calls == [(round(t, 4), "without" if t > 0.5 else "with") for t in times]


def test_each_phase_is_the_denoiser_of_its_own(infodiffusion):
    z, u = codes(), torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    both = denoiser_of(infodiffusion, z, ImageSampling(code_to=0.4))
    alone, given = infodiffusion.composite(None), infodiffusion.composite(z)
    late, early = torch.full((3,), 0.4), torch.full((3,), 0.41)  # 0.4 in float32 is a little more than 0.4
    torch.testing.assert_close(both(u, late), given(u, late))
    torch.testing.assert_close(both(u, early), alone(u, early))
    assert not torch.allclose(alone(u, late), given(u, late))


def test_a_guided_model_is_drawn_as_far_as_asked_and_by_the_factors_asked(infodiffusion):
    config = DisDiffConfig(channels=1, size=8, n_units=3, unit_dim=2, encoder_width=4, unet=UNET)
    model = seeded(lambda: build_model(config), spread=0.2).eval()
    z, u, t = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(1)), noise(2)[:, :1], torch.full((2,), 0.5)

    def made(**options):
        with torch.no_grad():
            return denoiser_of(model, z, ImageSampling(**options))(u, t)

    base, one = made(strength=0.0), made()
    torch.testing.assert_close(base, model.composite(None)(u, t))
    torch.testing.assert_close(made(strength=2.5), base + 2.5 * (one - base))
    parts = sum(made(factors=(c,)) - base for c in range(3))
    torch.testing.assert_close(base + parts, one)
    assert (made(factors=(1,)) - base).abs().max() > 1e-4
    torch.testing.assert_close(made(factors=(0,), strength=2.0), base + 2 * (made(factors=(0,)) - base))
    with pytest.raises(ValueError, match=r"factors must be in 0 to 2, found \[3\]"):
        made(factors=(3,))
    with pytest.raises(ValueError, match=r"once each, found \[1, 1\]"):
        made(factors=(1, 1))
    with pytest.raises(ValueError, match="found a model of kind infodiffusion"):
        denoiser_of(infodiffusion, codes(), ImageSampling(strength=2.0))
    with pytest.raises(ValueError, match="found a model of kind ddpm"):
        denoiser_of(gaussian(), None, ImageSampling(factors=(0,)))
    with pytest.raises(ValueError, match="strength: found nan"):
        ImageSampling(strength=float("nan"))

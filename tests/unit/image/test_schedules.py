"""Every schedule of a configuration is the published process, samples a Gaussian by the exact denoiser, and trains one."""

import math

import pytest
import torch
from torch import nn

from tts.diffusion import Composite, Parametrization, Term, TimeSampler, denoising_loss, sample, time_grid
from tts.errors import ConfigError
from tts.image.base import BaseConfig
from tts.image.config import DiffusionConfig, ScheduleKind, UNetConfig
from tts.image.registry import build_model
from tts.image.schedules import build_schedule
from tts.inference.edit_folder import model_fingerprint
from tts.testing import seeded

F64 = torch.float64
NEW = (ScheduleKind.sub_vp, ScheduleKind.variance_exploding)


def schedule(kind):
    return build_schedule(
        DiffusionConfig(schedule=kind, shift=1.0, beta_min=0.1, beta_max=20.0, sigma_min=0.02, sigma_max=60.0)
    )


def test_the_noise_to_signal_ratios_are_those_of_the_sdes():
    t = torch.tensor([0.01, 0.2, 0.6, 1.0], dtype=F64)
    a = (-(19.9 * t**2 / 4 + 0.1 * t / 2)).exp()
    expected = {
        ScheduleKind.vp_linear: (1 - a**2).sqrt() / a,
        ScheduleKind.sub_vp: (1 - a**2) / a,
        ScheduleKind.variance_exploding: 0.02 * (3000 ** (2 * t) - 1).sqrt(),
    }
    for kind, ratio in expected.items():
        found = schedule(kind)
        torch.testing.assert_close(found.sigma(t) / found.alpha(t), ratio, rtol=1e-9, atol=0)
        twice = build_schedule(DiffusionConfig(schedule=kind, shift=2.0, sigma_min=0.02, sigma_max=60.0))
        torch.testing.assert_close(twice.sigma(t) / twice.alpha(t), 2 * ratio, rtol=1e-9, atol=0)


@pytest.mark.parametrize("kind", ScheduleKind)
def test_the_exact_denoiser_of_a_gaussian_samples_it_on_every_schedule(kind):
    """The flow of N(0, s^2) multiplies U by s / q at its start, q^2 = alpha^2 s^2 + sigma^2."""
    s, found = torch.tensor([2.0, 0.5, 0.1], dtype=F64), schedule(kind)
    u = torch.linspace(-2, 2, 5, dtype=F64)[:, None].expand(5, 3)
    gaussian = Composite(found, [], Parametrization("preconditioned", s))
    alpha, sigma = (c(torch.ones((), dtype=F64)) for c in (found.alpha, found.sigma))
    exact = s / (alpha**2 * s**2 + sigma**2).sqrt() * u
    x0 = sample(gaussian, u, found, time_grid(found, 300, "log_snr"), sampler="heun")
    torch.testing.assert_close(x0, exact, rtol=0, atol=2e-3)
    few = sample(gaussian, u, found, time_grid(found, 50, "log_snr"), sampler="dpmpp_2m")
    torch.testing.assert_close(few, exact, rtol=0, atol=0.05)


class Line(nn.Module):
    """F(x, t) = w(t) x + b(t), with w and b of a small network of t."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))

    def forward(self, x, t):
        w, b = self.net(t[:, None]).unbind(1)
        return w[:, None] * x + b[:, None]


@pytest.mark.parametrize("kind", NEW)
def test_a_denoiser_trained_on_these_schedules_samples_the_data(kind):
    """Data N(1, 0.25), a parametrization that begins at N(0, 1)."""
    found, line, generator = schedule(kind), seeded(Line), torch.Generator().manual_seed(0)
    model = Composite(found, [Term(line)], Parametrization("preconditioned", 1.0))
    times, optimizer = TimeSampler(found, "log_snr"), torch.optim.Adam(line.parameters(), 3e-3)
    for _ in range(500):
        x0, eps = 1 + 0.5 * torch.randn(512, 1, generator=generator), torch.randn(512, 1, generator=generator)
        loss = denoising_loss(model, x0, times.draw(512, generator)[0], eps).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        x0 = sample(model, torch.randn(4000, 1, generator=generator), found, time_grid(found, 50, "log_snr"))
    assert x0.mean().item() == pytest.approx(1, abs=0.06) and x0.std().item() == pytest.approx(0.5, abs=0.04)


def test_an_image_model_on_these_schedules_begins_at_the_gaussian_of_its_spread_and_has_a_fingerprint_of_its_own():
    unet, prints = UNetConfig(base=8, multipliers=(1,), attention=(False,), unshuffle=4), set()
    u = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    for sigma_max in (50.0, 60.0):
        for kind in ScheduleKind:
            config = BaseConfig(size=8, unet=unet, diffusion=DiffusionConfig(schedule=kind, sigma_max=sigma_max))
            model = seeded(lambda config=config: build_model(config)).eval()
            prints.add(model_fingerprint(model))
            with torch.no_grad():
                x0 = sample(model.composite(None), u, model.schedule, time_grid(model.schedule, 200, "log_snr"), sampler="heun")
            assert math.isclose(x0.std().item(), 0.5 * u.std().item(), rel_tol=0.02)
    assert len(prints) == len(ScheduleKind) + 1  # sigma_max is of variance_exploding alone


def test_noise_that_does_not_explode_is_refused():
    with pytest.raises(ConfigError, match="need 0 < sigma_min < sigma_max, found 2"):
        DiffusionConfig(sigma_min=2.0, sigma_max=1.0)

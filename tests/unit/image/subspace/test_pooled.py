"""The pooled model is an ordinary one: its images, its schedule, and its denoiser in the subspace."""

import dataclasses

import numpy as np
import pytest
import torch

from tts.diffusion import Composite, Parametrization, cosine, shifted, time_grid
from tts.errors import ModelError
from tts.image.base import BaseConfig, BaseModel
from tts.image.config import UNetConfig
from tts.image.datasets import to_model
from tts.image.sprites import Sprites
from tts.image.subspace.pooled import PooledSet, cost_share, pooled_config, pooled_denoiser, rescaled_data
from tts.image.subspace.projections import AveragePool
from tts.image.subspace.switch import grid_through

TINY = UNetConfig(base=8, multipliers=(1, 2), attention=(False, True), heads=2, unshuffle=2)
FULL = BaseConfig(channels=1, size=16, unet=TINY)


def test_pooled_images_are_those_of_the_subspace_up_to_its_scale_and_rounding():
    images = Sprites(16)
    pooled, index = PooledSet(images, 1), np.arange(0, len(images), len(images) // 7)
    assert (pooled.size, pooled.channels, len(pooled), pooled.factors) == (8, images.channels, len(images), images.factors)
    exact = AveragePool(1).down(to_model(images.images(index))) / 2
    assert (to_model(pooled.images(index)) - exact).abs().max() <= 0.5001 / 127.5
    assert np.array_equal(pooled.labels(index), images.labels(index))


def test_a_denoiser_of_images_on_the_shifted_schedule_is_that_of_the_images_times_a_factor():
    schedule, std, t = shifted(cosine(), 4.0), 0.5, torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    u = torch.randn(3, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    small = Composite(shifted(schedule, 1 / 4), [], Parametrization("preconditioned", std))
    direct = Composite(schedule, [], Parametrization("preconditioned", 4 * std))  # the data times 4
    torch.testing.assert_close(rescaled_data(small, schedule, 4.0)(u, t), direct(u, t), rtol=0, atol=1e-12)


def test_the_pooled_model_has_half_the_size_and_half_the_shift_and_another_is_refused():
    config = pooled_config(FULL, 1)
    assert (config.size, config.diffusion.shift) == (8, 2.0)
    full, small = BaseModel(FULL), BaseModel(config)
    u, t = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0.5, 0.9])
    with torch.no_grad():
        assert pooled_denoiser(full, small, 1)(u, t).shape == u.shape
    with pytest.raises(ModelError, match=r"shift: 4\.0, expected 2\.0"):
        pooled_denoiser(full, BaseModel(dataclasses.replace(FULL, size=8)), 1)
    with pytest.raises(ModelError, match="size: 8, expected 4"):
        pooled_denoiser(full, small, 2)


def test_the_cost_on_a_uniform_grid_is_the_time_below_the_switch_and_a_quarter_of_that_above():
    times = grid_through(time_grid(cosine(), 40), [0.35])
    assert cost_share(times, [0.35], [0.25]) == pytest.approx(0.35 + 0.65 / 4)
    assert cost_share(grid_through(time_grid(cosine(), 10), [0.2, 0.5]), [0.2, 0.5], [0.25, 0.0625]) == pytest.approx(
        0.2 + 0.3 / 4 + 0.5 / 16
    )


def test_a_correction_costs_a_call_of_the_larger_space_for_each_of_its_steps():
    times = grid_through(time_grid(cosine(), 10), [0.2, 0.5])
    steps = 0.2 + 0.3 / 4 + 0.5 / 16
    assert cost_share(times, [0.2, 0.5], [0.25, 0.0625], langevin=2) == pytest.approx(steps + 2 * (1 + 0.25) / 10)


def test_a_size_that_cannot_be_halved_so_often_is_refused():
    with pytest.raises(ValueError, match="multiple of 2"):
        PooledSet(Sprites(12), 3)
    with pytest.raises(ValueError, match="levels >= 1"):
        PooledSet(Sprites(16), 0)

"""The likelihood of an untrained model, whose flow stands still, is that of N(0, 1), through a Gaussian subspace as well."""

import numpy as np
import pytest
import torch

from tts.diffusion import Composite, Parametrization, time_grid
from tts.diffusion.parametrization import ParametrizationKind
from tts.errors import ModelError
from tts.image.base import BaseConfig
from tts.image.config import DiffusionConfig, UNetConfig
from tts.image.diffae import DiffAeConfig
from tts.image.registry import build_model
from tts.image.subspace.complement import Complement
from tts.image.subspace.projections import AveragePool
from tts.image.subspace.switch import Subspace
from tts.inference.image_folder import LoadedImageModel, TrainedOn
from tts.inference.image_model import ImageModel
from tts.testing import seeded

UNET = UNetConfig(base=8, multipliers=(1,), attention=(False,), unshuffle=2)
TRAINED = TrainedOn(data="shapes", size=8, steps=1, images=4, seed=0, cpu_seconds=0.5)
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)


def image_model(config, spread=0.0):
    network = seeded(lambda: build_model(config), spread=spread).eval().requires_grad_(False)
    return ImageModel(LoadedImageModel(model=network, trained=TRAINED, codes=None), torch.device("cpu"), batch_size=2)


CONFIG = BaseConfig(size=8, channels=1, unet=UNET, diffusion=DiffusionConfig(parametrization=ParametrizationKind.v))


def test_an_untrained_model_of_velocities_gives_images_the_density_of_unit_noise():
    model = image_model(CONFIG)
    schedule = model.diffusion.schedule
    end = time_grid(schedule, 10, "quadratic")[-2]
    std = 1 / float(schedule.alpha(end))  # of N(0, 1) blurred by sigma / alpha
    exact = torch.distributions.Normal(0, std).log_prob(model.tensor(IMAGES).double()).flatten(1).sum(1)
    found = model.log_likelihood(IMAGES, steps=10)
    assert found.shape == (3,)
    np.testing.assert_allclose(found, exact, rtol=1e-4)
    unit = Composite(schedule, [], Parametrization("preconditioned", 1.0))
    space = Subspace(AveragePool(1), Complement(1.0), 0.4, unit)
    np.testing.assert_allclose(model.log_likelihood(IMAGES, [space], steps=10), exact, rtol=1e-4)


def test_the_likelihood_of_an_image_is_its_own_and_narrower_complements_are_told_apart():
    model = image_model(CONFIG, spread=0.1)
    found = model.log_likelihood(IMAGES, steps=5, seed=2)
    np.testing.assert_allclose(model.log_likelihood(IMAGES[:1], steps=5, seed=2), found[:1], rtol=1e-4)
    unit = Composite(model.diffusion.schedule, [], Parametrization("preconditioned", 1.0))
    through = [Subspace(AveragePool(1), Complement(std), 0.4, unit) for std in (1.0, 0.2)]
    wide, narrow = (model.log_likelihood(IMAGES, [space], steps=5) for space in through)
    assert np.abs(wide - narrow).min() > 0.1


def test_a_likelihood_of_no_steps_or_of_a_model_with_codes_is_refused():
    with pytest.raises(ValueError, match="at least 2 steps and 1 probe"):
        image_model(CONFIG).log_likelihood(IMAGES, steps=1)
    with pytest.raises(ModelError, match="kind ddpm"):
        image_model(DiffAeConfig(size=8, channels=1, n_units=2, encoder_width=4, unet=UNET)).log_likelihood(IMAGES)

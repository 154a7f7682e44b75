"""Reconstructions of every kind of model: what each has, from which noise, and what is measured of them."""

import numpy as np
import pytest
import torch

from tts.image.base import BaseConfig
from tts.image.config import DiffusionConfig, UNetConfig, Weighting
from tts.image.datasets import open_images
from tts.image.pdae import PdaeConfig
from tts.image.registry import build_model
from tts.inference import image_reconstruction
from tts.inference.image_folder import LoadedImageModel, TrainedOn
from tts.inference.image_model import ImageModel
from tts.inference.image_reconstruction import perceptual_distance, reconstruction_figures, reconstructions
from tts.nets.perceptual import FeatureDistance
from tts.testing import seeded

UNET = UNetConfig(base=8, multipliers=(1,), attention=(False,), heads=2, unshuffle=4)
TRAINED = TrainedOn(data="shapes", size=16, steps=1, images=4, seed=0, cpu_seconds=0.5)


def image_model(config):
    return ImageModel(
        LoadedImageModel(model=seeded(lambda: build_model(config), spread=0.1).eval(), trained=TRAINED, codes=None),
        torch.device("cpu"),
    )


@pytest.fixture(scope="module")
def pixels():
    return open_images("shapes", size=16).images(np.array([5, 70000]))


def test_a_guided_model_is_shown_with_its_code_and_by_its_base_alone_on_the_same_noises(pixels):
    diffusion = DiffusionConfig(weighting=Weighting.v)
    model = image_model(PdaeConfig(size=16, n_units=3, encoder_width=4, unet=UNET, diffusion=diffusion))
    made = reconstructions(model, pixels, seed=3, steps=8)
    assert list(made) == ["", "inverted", "base", "base_inverted"]
    noise = model.invert(pixels, steps=8)
    assert np.array_equal(made["base_inverted"], model.unconditional(2, noise, steps=8))
    assert np.array_equal(made["base"], model.unconditional(2, seed=3, steps=8))
    assert np.array_equal(made["inverted"], model.reconstruct(pixels, inverted=True, steps=8))
    with torch.no_grad():
        for parameter in model.model.gradients.parameters():
            parameter.zero_()  # without a gradient the code changes nothing
    plain = reconstructions(model, pixels, seed=3, steps=8)
    assert np.array_equal(plain[""], plain["base"]) and np.array_equal(plain["base"], made["base"])


def test_a_base_has_nothing_but_the_images_own_noise(pixels):
    model = image_model(BaseConfig(size=16, unet=UNET))
    assert list(reconstructions(model, pixels, steps=4)) == ["inverted"]


def test_figures_are_those_of_flat_images_in_closed_form(pixels):
    black, grey = np.zeros((20, 3, 16, 16), np.uint8), np.full((20, 3, 16, 16), 51, np.uint8)
    distance = FeatureDistance(lambda x: [x, 1 + x])
    found = reconstruction_figures(black, {"": black, "inverted": grey}, distance)
    assert (found["mse"], found["ssim"], found["perceptual"]) == (0, 1, 0)
    # flat images of 0 and 0.2: MSE 0.2^2, SSIM c1 / (0.2^2 + c1); -1 and -0.6 have one direction, 0 none and 0.4 length 1
    assert found["mse_inverted"] == pytest.approx(0.04, rel=1e-5)
    assert found["ssim_inverted"] == pytest.approx(1e-4 / (0.04 + 1e-4), rel=1e-3)
    assert found["perceptual_inverted"] == pytest.approx(0.5, rel=1e-4)
    assert reconstruction_figures(black, {"": black}, None).keys() == {"mse", "ssim"}


def test_without_the_package_of_the_features_there_is_no_distance(monkeypatch):
    def missing():
        raise ImportError

    monkeypatch.setattr(image_reconstruction, "load_efficientnet_lite0", missing)
    assert perceptual_distance() is None

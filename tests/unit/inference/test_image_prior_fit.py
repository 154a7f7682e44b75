"""How far codes are from their prior: nothing for codes that follow it, known values for codes moved, widened or collapsed."""

import pytest
import torch

from tts.image.config import UNetConfig
from tts.image.encdiff import EncDiffConfig
from tts.image.infodiffusion import InfoDiffusion, InfoDiffusionConfig
from tts.image.registry import build_model
from tts.image.vae_config import VaeConfig
from tts.inference.image_prior_fit import prior_figures

UNET = UNetConfig(base=8, multipliers=(1,), attention=(False,), heads=2, unshuffle=4)
DRAWS = torch.randn(512, 2, 1, generator=torch.Generator().manual_seed(0))


def figures(codes):
    """Of an InfoDiffusion whose encoder gives these codes."""
    model = build_model(InfoDiffusionConfig(size=16, n_units=2, encoder_width=4, unet=UNET)).eval()
    assert isinstance(model, InfoDiffusion)
    model.posterior = lambda x: (codes,)
    return prior_figures(model, torch.zeros(512, 3, 16, 16))


def test_codes_that_follow_the_prior_are_not_off():
    found = figures(DRAWS)
    assert abs(found["prior_mmd"]) < 0.01
    assert found["prior_mean"] < 0.1 and found["prior_std"] < 0.1


@pytest.mark.parametrize(("scale", "shift", "mean", "std"), [(1, 3, 3, 0), (2, 0, 0, 1), (0, 0, 0, 1), (0.5, 1, 1, 0.5)])
def test_codes_moved_or_scaled_are_off_by_as_much(scale, shift, mean, std):
    found = figures(scale * DRAWS + shift)
    assert (found["prior_mean"], found["prior_std"]) == pytest.approx((mean, std), abs=0.15)
    assert found["prior_mmd"] > 0.02


def test_a_vaes_codes_are_draws_of_its_posterior_and_a_model_without_prior_has_no_figure():
    vae = build_model(VaeConfig(size=16, n_units=2, width=4, hidden=8)).eval()
    vae.posterior = lambda x: (torch.zeros(512, 2), torch.zeros(512, 2))  # N(0, I) for every image: the prior itself
    found = prior_figures(vae, torch.zeros(512, 3, 16, 16))
    assert abs(found["prior_mmd"]) < 0.01 and found["prior_std"] < 0.1
    assert prior_figures(build_model(EncDiffConfig(size=16, n_units=2, encoder_width=4, unet=UNET)), torch.zeros(8, 3, 16, 16))
    from tts.image.diffae import DiffAeConfig

    assert prior_figures(build_model(DiffAeConfig(size=16, encoder_width=4, unet=UNET)), torch.zeros(8, 3, 16, 16)) == {}

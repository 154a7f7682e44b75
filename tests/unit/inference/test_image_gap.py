"""The gap of a guided model on images: that of a Gaussian denoiser in closed form, its table and its plot."""

import numpy as np
import pytest
import torch
from PIL import Image

from tts.image.config import UNetConfig
from tts.image.datasets import open_images, to_model
from tts.image.gap import GapProfile
from tts.image.pdae import PdaeConfig
from tts.image.registry import build_model
from tts.inference.image_coder import ImageCoder
from tts.inference.image_folder import LoadedImageModel, TrainedOn
from tts.inference.image_gap import closed_share, gap_table, measure_gap, save_gap_plot

UNET = UNetConfig(base=8, multipliers=(1,), attention=(False,), heads=2, unshuffle=4)
STD = 0.6


@pytest.fixture
def coder():
    """PDAE whose networks are 0 before training: its base is the denoiser of N(0, STD^2), its gradient nothing."""
    model = build_model(PdaeConfig(size=16, n_units=3, encoder_width=4, unet=UNET)).eval()
    model.data_std.fill_(STD)
    trained = TrainedOn(data="shapes", size=16, steps=1, images=4, seed=0, cpu_seconds=0.5)
    return ImageCoder(LoadedImageModel(model=model, trained=trained, codes=None), torch.device("cpu"), batch_size=20)


def test_the_gap_of_a_gaussian_base_is_its_closed_form_and_an_untrained_gradient_leaves_it(coder):
    pixels = open_images("shapes", size=16).images(np.random.default_rng(0).integers(480000, size=50))
    found = measure_gap(coder, pixels, times=5)
    t = torch.linspace(1, 0.2, 5, dtype=torch.float64)
    assert found.t == pytest.approx(t.numpy())
    alpha, sigma = coder.model.schedule.alpha(t), coder.model.schedule.sigma(t)
    # x0_hat = k u, k = alpha s^2 / (alpha^2 s^2 + sigma^2), so E |x0 - x0_hat|^2 = (1 - k alpha)^2 E x0^2 + k^2 sigma^2
    k = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
    expected = (1 - k * alpha) ** 2 * to_model(pixels).double().square().mean() + k**2 * sigma**2
    assert found.x0_without == pytest.approx(expected.numpy(), rel=0.02)
    assert found.x0_with == pytest.approx(found.x0_without, rel=1e-5)
    assert closed_share(found) == pytest.approx(0, abs=1e-5)


def test_table_and_plot_show_every_time(tmp_path):
    falling = np.array([1.0, 0.5])
    profile = GapProfile(falling, 4 * falling, falling, 2 * falling, falling / 2)
    assert closed_share(profile) == 0.75
    lines = gap_table(profile).splitlines()
    assert lines[2] == "| 1.000 | 4 | 1 | 2 | 0.5 |" and lines[3].startswith("| 0.500 | 2 |")
    assert "G closes 75.0%" in lines[-1]
    save_gap_plot(tmp_path / "gap.png", profile)
    assert np.asarray(Image.open(tmp_path / "gap.png")).std() > 5

"""Walks, guidance and subspaces begin as `sample` does from drawn noise, and lead noise of images back to these images."""

import logging

import numpy as np
import pytest
import torch

from tts.image.base import BaseConfig
from tts.image.config import UNetConfig
from tts.image.datasets import open_images
from tts.image.guidance.asymmetric import Apply
from tts.image.guidance.classifier import ClassifierConfig, HeadConfig, NoisyClassifier
from tts.image.guidance.wishes import Wish
from tts.image.infodiffusion import InfoDiffusionConfig
from tts.image.labelled import LabelledConfig
from tts.image.registry import build_model
from tts.inference.image_folder import LoadedImageModel, TrainedOn
from tts.inference.image_geometry import GeometrySettings
from tts.inference.image_guided import Guidance, Saturation
from tts.inference.image_model import ImageModel
from tts.testing import seeded

UNET = UNetConfig(base=8, multipliers=(1,), attention=(False,), heads=2, unshuffle=4)
TRAINED = TrainedOn(data="shapes", size=16, steps=1, images=4, seed=0, cpu_seconds=0.5)
CONFIGS = {
    "ddpm": BaseConfig(size=16, unet=UNET),
    "infodiffusion": InfoDiffusionConfig(size=16, n_units=3, encoder_width=4, unet=UNET),  # codes of its own prior, two phases
    "labelled": LabelledConfig(size=16, unet=UNET, factor_names=("shape",), factor_sizes=(3,)),
}


def image_model(kind):
    network = seeded(lambda: build_model(CONFIGS[kind]), spread=0.05).eval().requires_grad_(False)
    return ImageModel(LoadedImageModel(model=network, trained=TRAINED, codes=None), torch.device("cpu"))


@pytest.fixture(scope="module", params=["ddpm", "infodiffusion"])
def model(request):
    return image_model(request.param)


@pytest.fixture(scope="module")
def pixels():
    return open_images("shapes", size=16).images(np.array([5, 70000]))


def nothing_asked(weight=0.0, **options):
    """A classifier whose wish weighs nothing."""
    config = ClassifierConfig(size=16, unet=UNET, heads=(HeadConfig(name="shape", size=3),))
    wish = Wish(name="shape", values=(1,), weight=weight)
    classifier = seeded(lambda: NoisyClassifier(config)).eval().requires_grad_(False)
    return Guidance(classifier=classifier, wishes=(wish,), **options)


def distance(a, b):
    return np.abs(a.astype(int) - b).max()


def test_a_walk_of_drawn_noise_begins_and_ends_at_samples(model):
    noise = model.noises(2, seed=3)
    codes = tuple(model.sample_codes(2, seed=3)[:, None]) if model.has_codes else None
    samples = model.sample(2, seed=3, steps=4)
    walk = model.walk(noise[:1], noise[1:], count=3, codes=codes, drawn=True, steps=4)
    assert distance(walk[[0, 2]], samples) <= 1
    undrawn = model.walk(noise[:1], noise[1:], count=3, codes=codes, steps=4)
    assert distance(undrawn[[0, 2]], samples) > 1


def test_a_walk_of_noise_of_images_begins_and_ends_at_their_reconstructions(model, pixels):
    codes = model.encode(pixels) if model.has_codes else None
    noise = model.invert(pixels, codes, steps=20)
    ends = None if codes is None else (codes[:1], codes[1:])
    walk = model.walk(noise[:1], noise[1:], count=2, codes=ends, steps=20)
    assert distance(walk, model.reconstruct(pixels, inverted=True, steps=20)) <= 1
    assert np.abs(walk.astype(float) - pixels).mean() < 4
    assert distance(walk, model.interpolate(pixels[:1], pixels[1:], count=2, steps=20)) <= 1


def test_guidance_that_asks_nothing_gives_samples_and_reconstructions(model, pixels):
    guidance = nothing_asked()
    drawn = model.guide(2, guidance, seed=3, steps=4)
    assert distance(drawn, model.sample(2, seed=3, steps=4)) <= 1
    codes = model.encode(pixels) if model.has_codes else None
    edited = model.guide(2, guidance, noise=model.invert(pixels, codes, steps=4), codes=codes, steps=4)
    assert distance(edited, model.reconstruct(pixels, inverted=True, steps=4)) <= 1


def test_guidance_of_the_predicted_image_alone_is_of_ddim_and_is_not_that_of_both_parts(model, pixels):
    options = {"seed": 3, "steps": 4, "sampler": "ddim"}
    nothing = model.guide(2, nothing_asked(apply=Apply.P), **options)
    assert np.array_equal(nothing, model.guide(2, nothing_asked(), **options))
    alone, both = (model.guide(2, nothing_asked(300.0, apply=apply), **options) for apply in (Apply.P, Apply.both))
    assert distance(alone, both) > 1 and distance(both, nothing) > 1
    assert np.array_equal(alone, model.guide(2, nothing_asked(300.0, apply=Apply.P), **options))
    codes = model.encode(pixels) if model.has_codes else None
    noise = model.invert(pixels, codes, steps=4)  # goes back by ddim without a word
    edited = model.guide(2, nothing_asked(apply=Apply.P), noise=noise, codes=codes, steps=4)
    assert distance(edited, model.reconstruct(pixels, inverted=True, steps=4)) <= 1
    with pytest.raises(ValueError, match="steps of dpmpp_2m have no such part"):
        model.guide(2, nothing_asked(apply=Apply.P), steps=4)


def test_the_share_of_pixels_that_guidance_drives_out_of_range_is_counted_and_said(caplog):
    seen, clip = Saturation(), lambda step, t, x0: x0.clamp(-1, 1)
    x0 = torch.tensor([[-3.0, -1.01, 0.5, 1.5]])
    assert seen.share == 0 and torch.equal(seen.counted(clip)(0, 1.0, x0), x0.clamp(-1, 1))
    assert seen.counted(None)(1, 0.5, x0 / 4) is None
    assert seen.share == 2 / 8
    model, shares = image_model("ddpm"), []
    for weight in (0.0, 3000.0):
        with caplog.at_level(logging.INFO):
            model.guide(2, nothing_asked(weight), seed=3, steps=4)
        shares.append(float(caplog.messages[-1].partition(" %")[0]))
    assert shares[0] < shares[1] <= 100


def test_labels_that_weigh_nothing_give_samples_and_reconstructions(pixels):
    model = image_model("labelled")
    told = {"labels": {"shape": 1}, "weights": {"shape": 0.0}, "steps": 4}
    assert distance(model.sample_labelled(2, seed=3, **told), model.sample(2, seed=3, steps=4)) <= 1
    edited = model.sample_labelled(2, noise=model.invert(pixels, steps=4), **told)
    assert distance(edited, model.reconstruct(pixels, inverted=True, steps=4)) <= 1


def test_without_subspaces_there_are_samples():
    model = image_model("ddpm")
    assert distance(model.sample_subspaces(2, [], seed=3, steps=4), model.sample(2, seed=3, steps=4)) <= 1


def test_noise_whose_states_are_looked_at_is_inverted_on_the_uniform_grid_of_these(monkeypatch):
    model, seen = image_model("ddpm"), []
    invert = model.invert
    monkeypatch.setattr(model, "invert", lambda images, **options: seen.append(options) or invert(images, **options))
    model.geometry(
        open_images("shapes", size=16), GeometrySettings(pairs=2, times=(1.0,), steps=3, parts=2, images=2, labelled=24)
    )
    assert seen == [{"steps": 3, "grid": "uniform"}]

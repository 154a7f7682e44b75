"""Training of the classifier of noisy images: what it learns, where it cannot, repeatability, and its folder."""

import numpy as np
import pytest
import torch

from tts.errors import ConfigError, DataError, ModelError
from tts.image.base import BaseConfig, BaseModel
from tts.image.config import UNetConfig
from tts.image.factors import FactorSpace
from tts.image.grid import FactorGrid
from tts.image.guidance.classifier import ClassifierConfig, HeadConfig, HeadKind, NoisyClassifier
from tts.inference.classifier_folder import load_classifier, save_classifier
from tts.training.classifier import ClassifierTraining, classifier_config, head_losses, skill_by_time, train_classifier

TINY = UNetConfig(base=8, multipliers=(1, 2), attention=(False, False), heads=2, unshuffle=2)
HEADS = (HeadConfig(name="side", size=2), HeadConfig(name="level", size=5, kind=HeadKind.value))
CONFIG = ClassifierConfig(channels=1, size=8, unet=TINY, n_bins=4, heads=HEADS)
CPU = torch.device("cpu")


class Bars(FactorGrid):
    """Left or right half brighter, at one of five levels; told apart by eye, with 30 copies of each."""

    name, size, channels = "bars", 8, 1
    factors = FactorSpace(("side", "level", "copy"), (2, 5, 30))

    def images(self, index):
        side, level, _ = self.factors.factors(index).T
        images = np.full((len(side), 1, 8, 8), 60, dtype=np.uint8)
        for k in range(2):
            images[side == k, 0, :, 4 * k : 4 * k + 4] += (30 + 40 * level[side == k])[:, None, None].astype(np.uint8)
        return images


@pytest.fixture(scope="module")
def trained():
    return train_classifier(ClassifierTraining(steps=150, batch_size=32, n_held_out=60, lr=3e-3), CONFIG, Bars(), CPU)


def test_it_tells_what_is_seen_at_small_times_and_guesses_in_pure_noise(trained):
    _, skill = trained
    assert skill.shape == (4, 2)
    assert skill[0, 0] > 0.9 and skill[0, 1] > 0.6
    assert skill[3, 0] < 0.75 and skill[3, 1] < 0.3  # chance is 1/2 and 0


def test_the_residuals_are_those_of_the_held_out_images(trained):
    model, skill = trained
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    assert model.residual[0, 1] < model.residual[3, 1]
    # the five levels have a variance of 1/8 when all are met equally often
    torch.testing.assert_close(1 - model.residual[:, 1] / 0.125, skill[:, 1], rtol=0, atol=0.15)


def test_a_seed_fixes_the_weights_and_the_global_generator_is_left_alone():
    settings, state = ClassifierTraining(steps=3, batch_size=4, n_held_out=10), torch.get_rng_state()
    first, second = (train_classifier(settings, CONFIG, Bars(), CPU)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(state, torch.get_rng_state())


def test_a_head_that_knows_nothing_costs_1_and_one_that_knows_all_costs_0():
    model = NoisyClassifier(CONFIG)
    for head in model.heads:
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    model.heads[1].bias.data.fill_(0.5)
    labels = torch.tensor([[0, 2], [1, 2]])
    x, t = torch.zeros(2, 1, 8, 8), torch.full((2,), 0.5)
    torch.testing.assert_close(head_losses(model, x, t, labels), torch.tensor([1.0, 0.0]))
    uniform = torch.stack([torch.zeros(1001, dtype=torch.int64), torch.linspace(0, 4, 5).long().repeat(201)[:1001]], 1)
    losses = head_losses(model, torch.zeros(1001, 1, 8, 8), torch.full((1001,), 0.5), uniform)
    assert losses[1].item() == pytest.approx(12 / 8, rel=1e-2)  # 12 times the variance of five levels


def test_the_folder_gives_the_classifier_back_and_another_folder_is_refused(trained, tmp_path):
    model, _ = trained
    save_classifier(tmp_path / "model", model, "# A classifier\n")
    again = load_classifier(tmp_path / "model")
    assert again.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values(), strict=True))
    (tmp_path / "model" / "config.json").write_text('{"format": "image", "version": 1}')
    with pytest.raises(ModelError, match=r"expected .'noisy classifier', 1."):
        load_classifier(tmp_path / "model")


def test_the_configuration_is_that_of_the_model_and_the_factors():
    model = BaseModel(BaseConfig(channels=1, size=8, unet=TINY))
    config = classifier_config(model, Bars(), values=("level",))
    assert [(head.name, head.size, head.kind.value) for head in config.heads] == [
        ("side", 2, "category"),
        ("level", 5, "value"),
        ("copy", 30, "category"),
    ]
    NoisyClassifier(config).require(model)
    with pytest.raises(ConfigError, match="found hue, expected some of side, level, copy"):
        classifier_config(model, Bars(), values=("hue",))


def test_images_without_the_attributes_or_too_few_are_refused():
    other = ClassifierConfig(channels=1, size=8, unet=TINY, heads=(HeadConfig(name="hue", size=2),))
    with pytest.raises(DataError, match=r"has no label hue\. Known labels: side, level, copy"):
        train_classifier(ClassifierTraining(steps=1), other, Bars(), CPU)
    with pytest.raises(DataError, match="300 images, of which 300 are held out"):
        train_classifier(ClassifierTraining(steps=1, n_held_out=300), CONFIG, Bars(), CPU)
    with pytest.raises(ConfigError, match=r"classifier training\.steps: found 0"):
        ClassifierTraining(steps=0)


def test_skill_is_accuracy_and_explained_variance():
    model, images = NoisyClassifier(CONFIG).eval(), Bars()
    for head in model.heads:
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    model.heads[1].bias.data.fill_(0.5)
    skill = skill_by_time(model, images, np.arange(len(images)), torch.Generator().manual_seed(0))
    torch.testing.assert_close(skill, torch.tensor([[0.5, 0.0]]).expand(4, 2), rtol=0, atol=1e-5)  # chance

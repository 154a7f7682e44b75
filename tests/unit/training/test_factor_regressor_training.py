"""Training of the reader of factors: repeatable, judged on images held out, and refused where it cannot read."""

import dataclasses

import numpy as np
import pytest
import torch

from tts.errors import DataError, ModelError
from tts.image.cyclic import CyclicSprites
from tts.image.factor_regressor import FactorRegressor, regressor_config
from tts.training.factor_regressor import RegressorTraining, readable, reader_skill, train_regressor
from tts.training.small import split_index

SETTINGS = RegressorTraining(steps=150, batch_size=32, n_held_out=32)


@pytest.fixture(scope="module")
def sprites():
    """A heart at 16 × 16 places: x and y alone."""
    return CyclicSprites(8)


def test_a_seed_fixes_the_weights_and_training_makes_it_read(sprites):
    config = regressor_config(sprites)
    assert [head.name for head in config.heads] == ["x", "y"]
    short = dataclasses.replace(SETTINGS, steps=3)
    state = torch.get_rng_state()
    first, same, other = (train_regressor(dataclasses.replace(short, seed=s), config, sprites) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    weights = [torch.cat([p.flatten() for p in model.parameters()]) for model in (first, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    held_out = split_index(sprites, SETTINGS)[1]
    before = reader_skill(first, sprites, held_out)
    after = reader_skill(train_regressor(SETTINGS, config, sprites), sprites, held_out)
    assert all(after[name] > max(0.3, before[name]) for name in ("x", "y"))


def test_images_held_out_are_not_trained_on(sprites):
    train, held_out = split_index(sprites, SETTINGS)
    assert len(held_out) == 32 and sorted(np.concatenate([train, held_out])) == list(range(len(sprites)))
    with pytest.raises(DataError, match=r"cyclic_sprites: 256 images, of which 256 are held out. Hold out fewer"):
        split_index(sprites, dataclasses.replace(SETTINGS, n_held_out=256))


def test_the_skill_of_known_readouts(sprites):
    class Known(FactorRegressor):
        """Reads x exactly, and of y its mean."""

        def forward(self, x):
            labels = torch.from_numpy(sprites.labels(rows)[:, 2:] / 15).float()
            return torch.stack([labels[:, 0], labels[:, 1].mean().expand(len(rows))], dim=1)

    rows = np.arange(0, 256, 7)
    skill = reader_skill(Known(regressor_config(sprites)), sprites, rows)
    assert skill["x"] == pytest.approx(1) and skill["y"] == pytest.approx(0, abs=1e-6)


def test_a_factor_below_the_least_skill_is_not_read_out():
    skill = {"scale": 0.93, "orientation": 0.01, "x": 0.999}
    assert readable(skill) == readable(skill, ("x",)) == ("scale", "x")
    message = r"may not read out orientation \(skill 0.010\): expected a skill of at least 0.9. Train it longer"
    with pytest.raises(ModelError, match=message):
        readable(skill, ("x", "orientation"))

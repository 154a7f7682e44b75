"""Training of changes of h: a few steps find the edit, by a direction and by pairs; what cannot be trained is refused."""

from dataclasses import replace

import pytest
import torch
from tqdm import tqdm

from tts.diffusion import sample, time_grid
from tts.errors import ConfigError, DataError, ModelError
from tts.image.asyrp import sample_edited
from tts.image.base import BaseConfig
from tts.image.config import DiffusionConfig, UNetConfig
from tts.image.delta_h import DeltaBlock, DeltaBlockConfig, FixedDelta, FixedDeltaConfig
from tts.image.diffae import DiffAeConfig
from tts.image.directional import EditLossConfig, pair_directions
from tts.image.edit_steps import Attribute
from tts.image.h_space import h_space
from tts.image.registry import build_model
from tts.testing import seeded
from tts.training.asyrp import AsyrpTraining, EditLatents, invert_images, train_delta

UNET = UNetConfig(base=16, multipliers=(1,), attention=(False,), unshuffle=2)
RED = torch.tensor([1.0, 0.0, 0.0])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def colours(x):
    return x.mean((2, 3))


def base(config=None, spread=0.1):
    config = config or BaseConfig(size=8, unet=UNET, diffusion=DiffusionConfig(shift=1.0))
    return seeded(lambda: build_model(config), spread=spread).requires_grad_(False)


def block():
    return seeded(lambda: DeltaBlock(DeltaBlockConfig(channels=16, time_dim=64)))


def states(n=12, seed=1):
    return torch.randn(n, 3, 8, 8, generator=generator(seed))


def move(model, delta, u, strength=1.0, z=None):
    """What the edit does to the mean colours of new states."""
    times, space = time_grid(model.schedule, CONFIG.steps), h_space(model, z)
    edit = Attribute(delta=delta, steps=CONFIG.steps, t_edit=CONFIG.t_edit, strength=strength)
    with torch.no_grad():
        plain = sample(space.composite, u, model.schedule, times, sampler="ddim")
        return colours(sample_edited(space, [edit], u, times) - plain)


CONFIG = AsyrpTraining(steps=5, t_edit=0.1, epochs=12, batch_size=6, lr=1e-2)


def test_a_short_training_turns_new_images_the_wanted_way_and_a_negative_strength_the_other():
    model, delta = base(), block()
    loss = train_delta(CONFIG, model, delta, EditLatents(u=states(), direction=RED), colours, generator())
    found = move(model, delta, states(seed=2))
    assert loss < 0.5 and (found[:, 0] > 0).all()
    assert (found[:, 0] > 1.4 * found[:, 1:].abs().amax(1)).all()
    assert (move(model, delta, states(seed=2), -1.0)[:, 0] < 0).all()


def test_pairs_that_a_known_edit_made_teach_that_edit():
    model, delta, u = base(), block(), states()
    teacher = seeded(lambda: DeltaBlock(DeltaBlockConfig(channels=16, time_dim=64, zero_init=False)), seed=5)
    times, space = time_grid(model.schedule, 1), h_space(model)
    edit = [Attribute(delta=teacher, steps=1, t_edit=0.1)]
    with torch.no_grad():
        before = sample(space.composite, u, model.schedule, times, sampler="ddim")
        wanted = sample_edited(space, edit, u, times) - before
    pairs = EditLatents(u=u, direction=pair_directions(colours, before, before + wanted), wanted=wanted)
    loss = EditLossConfig(directional=0.01, reconstruction=1 / wanted.abs().mean().item())
    config = replace(CONFIG, steps=1, epochs=60, loss=loss)
    assert train_delta(config, model, delta, pairs, colours, generator()) < 0.4  # 1 and a little where nothing is learned
    with torch.no_grad():
        found = sample_edited(space, [replace(edit[0], delta=delta)], u, times) - before
    assert (found - wanted).norm() < 0.4 * wanted.norm()


def test_a_free_change_of_h_and_a_model_with_codes_are_trained_too_and_the_model_is_left_as_it_was():
    model = base(DiffAeConfig(size=8, n_units=3, encoder_width=8, unet=UNET))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    z, delta = torch.randn(12, 3, 1, generator=generator(3)), FixedDelta(FixedDeltaConfig(channels=16, height=4, width=4))
    train_delta(CONFIG, model, delta, EditLatents(u=states(), direction=RED, z=z), colours, generator())
    assert move(model, delta, states(seed=2), z=z)[:, 0].mean() > 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_seed_fixes_what_is_learned():
    model, config = base(), AsyrpTraining(steps=4, batch_size=4)
    learned = []
    for seed in (0, 0, 1):
        delta = block()
        train_delta(config, model, delta, EditLatents(u=states(), direction=RED), colours, generator(seed))
        learned.append(delta.conv2.weight.detach())
    assert torch.equal(learned[0], learned[1]) and not torch.equal(learned[0], learned[2])


def test_progress_counts_the_steps_of_the_optimizer(monkeypatch):
    bars = []
    monkeypatch.setattr(
        "tts.training.asyrp.tqdm", lambda **options: bars.append(tqdm(**options | {"disable": False})) or bars[-1]
    )
    config = AsyrpTraining(steps=4, t_edit=0.5, epochs=2, batch_size=8)
    train_delta(config, base(), block(), EditLatents(u=states(12), direction=RED), colours, generator())
    (bar,) = bars
    assert bar.n == bar.total == 2 * 2 * 3  # epochs, batches of 8 and 4, steps at 1, 0.75 and 0.5


def test_inverted_images_lead_back_to_themselves():
    model, x = base(spread=0.05), torch.rand(3, 3, 8, 8, generator=generator()) * 2 - 1
    u = invert_images(model, x, None, steps=20, fixed_point_iterations=5)
    back = sample(model.composite(None), u, model.schedule, time_grid(model.schedule, 20), sampler="ddim")
    torch.testing.assert_close(back, x, rtol=0, atol=1e-2)


def test_what_cannot_be_trained_is_refused():
    model = base()
    with pytest.raises(DataError, match="one row of everything"):
        EditLatents(u=states(), direction=RED, wanted=torch.zeros(3, 3, 8, 8))
    with pytest.raises(DataError, match="one row of everything"):
        EditLatents(u=states(0), direction=RED)
    with pytest.raises(ConfigError, match=r"asyrp\.t_edit"):
        AsyrpTraining(t_edit=1.5)
    with pytest.raises(ModelError, match="diverged"):
        latents = EditLatents(u=states() * torch.inf, direction=RED)
        train_delta(AsyrpTraining(steps=4), model, block(), latents, colours, generator())

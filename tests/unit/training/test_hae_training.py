"""Training of homomorphism autoencoders: repeatable, warmed up, restarted; on sprites and on denoising runs."""

import dataclasses

import pytest
import torch

from tts.errors import ConfigError, ModelError
from tts.image.cyclic import CyclicSprites
from tts.image.groups.actions import CyclicActions
from tts.image.groups.config import HaeConfig, TransitionKind
from tts.image.groups.hae import HomomorphismAutoencoder
from tts.image.groups.trajectories import Trajectories
from tts.image.vae_config import Likelihood
from tts.training import hae
from tts.training.hae import HaeTraining, ramp, train_hae

CONFIG = HaeTraining(steps=6, batch_size=4, restarts=1)
MODEL = HaeConfig(size=8, width=8, layers=1, phi_width=8, phi_layers=1)


@pytest.fixture(scope="module")
def actions():
    return CyclicActions(CyclicSprites(8, positions=8), reach=3)


@pytest.fixture
def asked(monkeypatch):
    """(reach, gamma, hold_targets) of every step."""
    seen = []
    losses = HomomorphismAutoencoder.losses

    def spy(self, observations, g, gamma, *, hold_targets=False):
        if self.training and torch.is_grad_enabled():
            seen.append((observations.shape[1], gamma, hold_targets))
        return losses(self, observations, g, gamma, hold_targets=hold_targets)

    monkeypatch.setattr(HomomorphismAutoencoder, "losses", spy)
    return seen


def test_a_seed_fixes_the_weights_and_leaves_the_global_generator(actions):
    state = torch.get_rng_state()
    first, same, other = (train_hae(dataclasses.replace(CONFIG, seed=s), MODEL, actions) for s in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    weights = [torch.cat([p.flatten() for p in r.hae.parameters()]) for r in (first, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert (first.loss, first.variety) == (same.loss, same.variety) and first.trials == () and not first.hae.training


def test_gamma_warms_up_with_its_targets_held_and_the_reach_grows(actions, asked, monkeypatch):
    reaches = []
    draw = CyclicActions.draw

    def spy(self, n, length, generator, *, reach=None):
        reaches.append(reach)
        return draw(self, n, length, generator, reach=reach)

    monkeypatch.setattr(CyclicActions, "draw", spy)
    train_hae(dataclasses.replace(CONFIG, steps=8, gamma=40.0, warm_up=0.5, curriculum=0.5), MODEL, actions)
    assert [gamma for _, gamma, _ in asked] == [0, 10, 20, 30, 40, 40, 40, 40]
    assert [held for *_, held in asked] == [True] * 4 + [False] * 4
    assert reaches == [1, 1, 2, 2, 3, 3, 3, 3, None]  # the last for validation
    assert ramp(0, 0) == 1


def test_the_restart_with_the_least_loss_goes_on_from_where_it_was(actions, asked):
    config = dataclasses.replace(CONFIG, steps=10, restarts=3, trial=0.2)
    found = train_hae(config, MODEL, actions)
    assert len(asked) == 3 * 2 + 8 and len(found.trials) == 3
    best = found.trials.index(min(found.trials))
    alone = train_hae(dataclasses.replace(config, restarts=1, seed=best), MODEL, actions)
    assert found.loss == alone.loss


def test_a_restart_that_paints_one_image_goes_on_only_if_all_do(actions, monkeypatch, caplog):
    config = dataclasses.replace(CONFIG, steps=10, restarts=3, trial=0.2)

    def trained(*validations):
        results = iter(validations)
        monkeypatch.setattr(hae._Attempt, "validate", lambda self: next(results))
        found = train_hae(config, MODEL, actions)
        return torch.cat([p.flatten() for p in found.hae.parameters()]), found

    alone = {k: train_hae(dataclasses.replace(config, restarts=1, seed=k), MODEL, actions).hae for k in (0, 2)}
    weights = {k: torch.cat([p.flatten() for p in one.parameters()]) for k, one in alone.items()}
    caplog.clear()
    best, found = trained((1.0, 0.0), (3.0, 0.2), (2.0, 0.3), (0.5, 0.4))
    assert torch.equal(best, weights[2]) and "one image" not in caplog.text
    assert (found.trials, found.loss, found.variety) == ((1.0, 3.0, 2.0), 0.5, 0.4)
    best, _ = trained((1.0, 0.0), (3.0, 0.0), (2.0, 0.0), (0.5, 0.0))
    assert torch.equal(best, weights[0]) and "every code is decoded to one image" in caplog.text


def test_mostly_black_images_do_not_kill_a_decoder_of_gaussian_pixels():
    """One lit pixel that moves round a ring of 64: means that are squashed stop at black, for the first step saturates them."""
    ring = torch.full((64, 1, 8, 8), -1.0)
    ring.view(64, 64)[range(64), range(64)] = 1
    places = torch.arange(64).repeat(2)
    runs = Trajectories(ring[places].expand(16, -1, -1, -1, -1), (places * 0.1)[None, :, None].expand(16, -1, -1))
    model = HaeConfig(
        size=8, action_dim=1, blocks=(2, 2), transition=TransitionKind.steps, likelihood=Likelihood.gaussian, pixel_std=0.1
    )
    assert train_hae(HaeTraining(steps=400, restarts=1, gamma=1.0), model, runs).variety > 0.02  # squashed: 0


def test_an_autoencoder_without_actions_and_a_free_transition_are_trained_alike(actions, asked):
    assert train_hae(dataclasses.replace(CONFIG, length=0), MODEL, actions).loss > 0
    assert asked[0][0] == 1
    assert train_hae(CONFIG, dataclasses.replace(MODEL, transition=TransitionKind.free), actions).loss > 0


def test_one_parameter_steps_learn_a_decay_that_is_one():
    """Runs whose images fade as exp(-lambda): a code must fade likewise, so the prediction beats staying where one is."""
    levels = torch.linspace(0, 2, 12).expand(64, -1)[..., None]
    start = torch.rand(64, 1, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    runs = Trajectories(start * torch.exp(-levels)[..., None, None], levels)
    model = HaeConfig(size=4, action_dim=1, blocks=(2, 2), transition=TransitionKind.steps, width=16, layers=1)
    config = HaeTraining(steps=150, batch_size=32, restarts=1, lr=1e-2, gamma=1.0, warm_up=0)
    found = train_hae(config, model, runs)
    rho = found.hae.transition.rho(torch.ones(1, 1))[0]
    assert torch.linalg.eigvals(rho).abs().mean() < 0.8  # exp(-1) is the truth, 1 the start


def test_what_cannot_be_trained_is_refused(actions):
    with pytest.raises(ValueError, match=r"the model has size, channels and action_dim \(16, 1, 2\), the moves \(8, 1, 2\)"):
        train_hae(CONFIG, dataclasses.replace(MODEL, size=16), actions)
    for changes in ({"steps": 0}, {"batch_size": 1}, {"gamma": float("nan")}, {"trial": 0.0}, {"warm_up": 2.0}):
        with pytest.raises(ConfigError, match=f"hae training.{next(iter(changes))}"):
            HaeTraining(**changes)
    with pytest.raises(ModelError, match="step 0: the gradient is not finite"):
        broken = CyclicActions(actions.sprites, reach=3)
        broken.images = broken.images * float("nan")
        train_hae(CONFIG, MODEL, broken)

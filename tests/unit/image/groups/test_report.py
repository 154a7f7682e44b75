"""Scores of a representation that is exactly right, and of ones that are wrong in a known way."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from tts.image.cyclic import CyclicSprites
from tts.image.groups.actions import CyclicActions
from tts.image.groups.config import HaeConfig
from tts.image.groups.hae import HomomorphismAutoencoder
from tts.image.groups.report import block_leakage, found_blocks, report_hae
from tts.image.groups.transitions import FreeTransition, GroupRep
from tts.testing import seeded

POSITIONS, REACH = 8, 3
ONE_STEP = math.tau / POSITIONS


class Centroids(nn.Module):
    """h: the direction of the first harmonic of the image along x and along y."""

    def forward(self, x):
        y = (x.view(-1, 16, 16) + 1) / 2
        wave = torch.exp(1j * math.tau * torch.arange(16) / 16)
        return torch.cat([torch.view_as_real(y.sum(axis).to(wave.dtype) @ wave) for axis in (1, 2)], dim=1)


class Angles(nn.Module):
    """phi: the displacements out of actions turned by 45 degrees, and the generators that they turn, (d, 4 + 4)."""

    def __init__(self, mixing):
        super().__init__()
        self.mixing = mixing

    def forward(self, g):
        back = REACH * math.sqrt(0.5) * torch.stack([g[:, 0] + g[:, 1], g[:, 1] - g[:, 0]], dim=1)
        angles = ONE_STEP * back @ self.mixing
        zero = torch.zeros_like(angles)
        return torch.stack([zero, -angles, angles, zero], dim=2).flatten(1)


@pytest.fixture
def actions():
    return CyclicActions(CyclicSprites(16, positions=POSITIONS), reach=REACH)


def report(actions, mixing, transition=None):
    hae = seeded(lambda: HomomorphismAutoencoder(HaeConfig(size=16, normalise=True, width=8, layers=1)))
    hae.encoder = Centroids()
    hae.transition.phi = Angles(torch.tensor(mixing))
    hae.transition = transition or hae.transition
    return report_hae(hae, actions, torch.Generator().manual_seed(0), n=32)


def test_the_true_representation_succeeds_with_windings_of_one(actions):
    found = report(actions, [[1.0, 0.0], [0.0, -1.0]])  # y goes down, which only turns the other way
    assert not found.succeeded
    found = report(actions, [[1.0, 0.0], [0.0, 1.0]])
    assert found.succeeded
    assert max(found.lsbd, found.rep.leakage, found.rep.homomorphism, *found.latent.values()) < 1e-4
    assert found.rep.windings == (pytest.approx((1, 0), abs=1e-5), pytest.approx((0, 1), abs=1e-5))
    assert found.rep.condition == pytest.approx(1, abs=1e-4) and max(found.rep.largest_real, found.rep.log_det) < 1e-5
    assert all(error > 1 for error in found.pixels.values())  # the decoder is untrained


def test_a_block_that_turns_at_the_wrong_speed_is_seen_in_the_roll_out_and_the_windings(actions):
    found = report(actions, [[2.0, 0.0], [0.0, 1.0]])
    assert found.lsbd < 1e-6 and found.rep.leakage < 1e-6 and found.rep.homomorphism < 1e-4
    assert found.rep.windings[0] == pytest.approx((2, 0), abs=1e-5)
    assert found.latent[1] > 0.1 and not found.succeeded


def test_blocks_that_mix_the_factors_leak_half(actions):
    assert report(actions, [[1.0, 1.0], [1.0, -1.0]]).rep.leakage == pytest.approx(0.5, abs=1e-5)


class Dense(nn.Module):
    """The algebra of `Angles` as one block of 4, with the planes next to each other or one number apart."""

    def __init__(self, order):
        super().__init__()
        self.angles, self.order = Angles(torch.eye(2)), order

    def forward(self, g):
        first, second = self.angles(g).view(-1, 2, 2, 2).unbind(1)
        whole = torch.stack([torch.block_diag(a, b) for a, b in zip(first, second, strict=True)])
        return whole[:, self.order][:, :, self.order].flatten(1)


def test_one_block_is_reported_by_the_blocks_that_it_came_apart_into(actions):
    rep = GroupRep((4,), 0, 2, 8, 1)
    rep.phi = Dense([0, 1, 2, 3])
    g = actions.one_factor(0)
    assert found_blocks(rep, torch.cat([g, actions.one_factor(1)])) == (2, 2)
    assert found_blocks(rep, g) == (2, 1, 1)  # nothing moves the rest
    found = report(actions, [[1.0, 0.0], [0.0, 1.0]], rep)
    assert found.succeeded and found.rep.leakage < 1e-4
    assert found.rep.windings == (pytest.approx((1, 0), abs=1e-5), pytest.approx((0, 1), abs=1e-5))
    rep.phi = Dense([0, 2, 1, 3])  # numbers of one plane that are not neighbours are no blocks
    mixed = report(actions, [[1.0, 0.0], [0.0, 1.0]], rep)
    assert math.isnan(mixed.rep.leakage) and not mixed.succeeded


def test_a_transition_without_structure_has_no_representation_to_report(actions):
    found = report(actions, [[1.0, 0.0], [0.0, 1.0]], FreeTransition(4, 2, 8, 1))
    assert found.rep is None and not found.succeeded and found.latent[32] > 0
    assert not dataclasses.replace(found, latent=dict.fromkeys(found.latent, 0.0)).succeeded


def test_leakage_gives_each_factor_its_best_block():
    assert block_leakage(torch.tensor([[0.0, 3.0, 0.0], [2.0, 0.0, 0.0]])) == 0
    assert block_leakage(torch.tensor([[3.0, 2.0], [4.0, 1.0]])) == pytest.approx(1 - (2 + 4) / 10)
    with pytest.raises(ValueError, match="m >= K"):
        block_leakage(torch.ones(3, 2))
    with pytest.raises(ValueError, match="above 0"):
        block_leakage(torch.zeros(2, 2))

"""Actions on cyclic sprites: what an agent is told, and what it then sees."""

import math

import numpy as np
import pytest
import torch

from tts.image.cyclic import CyclicSprites
from tts.image.groups.actions import CyclicActions


@pytest.fixture(scope="module")
def actions():
    return CyclicActions(CyclicSprites(16, positions=8, orientations=4), reach=3)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_sequences_show_what_their_displacements_lead_to(actions):
    drawn = actions.draw(20, 3, generator())
    assert drawn.observations.shape == (20, 4, 1, 16, 16) and drawn.displacements.shape == (20, 3, 3)
    assert drawn.displacements.abs().max() == 3
    # a step is 2 pixels; without a turn the image rolls by them
    moves = torch.tensor([[[0, 1, -3], [0, 2, 2]]])
    first, second, third = actions.follow(np.array([5]), moves).observations[0, :, 0]
    torch.testing.assert_close(second, first.roll((-6, 2), (0, 1)), rtol=0, atol=0.01)
    torch.testing.assert_close(third, first.roll((-2, 6), (0, 1)), rtol=0, atol=0.01)


def test_actions_are_displacements_turned_by_45_degrees_in_the_plane_of_x_and_y(actions):
    h = math.sqrt(0.5)
    expected = torch.tensor([[1.0, 0.0, 0.0], [0.0, h, h], [0.0, -h, h]])
    torch.testing.assert_close(actions.actions(3 * torch.eye(3)), expected)
    torch.testing.assert_close(actions.one_factor(1), torch.tensor([-3, -2, -1, 1, 2, 3])[:, None] / 3 * expected[1])


def test_scrambled_actions_are_fixed_by_their_seed_and_bend(actions):
    scrambled = [CyclicActions(actions.sprites, reach=3, scrambled=50, seed=seed) for seed in (0, 0, 1)]
    d = torch.tensor([[1, 2, -3], [2, 4, -6]])
    first, same, other = (s.actions(d) for s in scrambled)
    assert first.shape == (2, 50) and scrambled[0].action_dim == 50
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert (first[1] - 2 * first[0]).abs().max() > 0.1


def test_a_curriculum_begins_with_single_steps(actions):
    assert actions.draw(50, 2, generator(), reach=1).displacements.abs().max() == 1
    for reach in (0, 4):
        with pytest.raises(ValueError, match="reach must be in 1 … 3"):
            actions.draw(5, 2, generator(), reach=reach)


@pytest.mark.parametrize("arguments", [{"reach": 0}, {"reach": 4}, {"reach": 2, "scrambled": -1}])
def test_actions_out_of_range_are_refused(actions, arguments):
    with pytest.raises(ValueError, match="reach of 1 to 3"):
        CyclicActions(actions.sprites, **arguments)

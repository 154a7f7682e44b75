"""A representation that is known: rotations of space."""

import pytest
import torch

from tts.image.groups.transitions import GroupRep

AXES = torch.tensor(
    [[[0, 0, 0], [0, 0, -1], [0, 1, 0]], [[0, 0, 1], [0, 0, 0], [-1, 0, 0]], [[0, -1, 0], [1, 0, 0], [0, 0, 0]]]
)


class Rotations(torch.nn.Module):
    """phi of SO(3): an action is the vector of a rotation, its algebra element the cross product with it."""

    def forward(self, g):
        return torch.einsum("bk,kij->bij", g, AXES.to(g)).flatten(1)


@pytest.fixture
def rotations():
    rep = GroupRep((3,), 0, 3, 4, 1)
    rep.phi = Rotations()
    return rep

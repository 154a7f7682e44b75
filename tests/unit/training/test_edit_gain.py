"""The gain of a trained edit: the smallest that goes far enough, or the furthest before the move falls back."""

import pytest
import torch

from tts.diffusion import time_grid
from tts.image.asyrp import sample_edited
from tts.image.base import BaseConfig
from tts.image.config import DiffusionConfig, UNetConfig
from tts.image.delta_h import FixedDelta, FixedDeltaConfig
from tts.image.edit_steps import Attribute
from tts.image.h_space import h_space
from tts.image.registry import build_model
from tts.testing import seeded
from tts.training.edit_gain import GAINS, gauged_gain

UNET = UNetConfig(base=16, multipliers=(1,), attention=(False,), unshuffle=2)
STEPS = 4


@pytest.fixture(scope="module")
def edit():
    """A model, a change of h, states, times, and the mean move of brightness at each gain."""
    config = BaseConfig(size=8, unet=UNET, diffusion=DiffusionConfig(shift=1.0))
    model = seeded(lambda: build_model(config), spread=0.1).requires_grad_(False)
    delta = FixedDelta(FixedDeltaConfig(channels=16, height=4, width=4)).requires_grad_(False)
    delta.values.copy_(torch.randn(delta.values.shape, generator=torch.Generator().manual_seed(3)))
    u = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    space, times = h_space(model), time_grid(model.schedule, STEPS)

    def move(gain):
        attributes = [Attribute(delta=delta, steps=STEPS, t_edit=0.1, strength=strength) for strength in (gain, 0.0)]
        edited, plain = (brightness(sample_edited(space, [attribute], u, times)).mean() for attribute in attributes)
        return (edited - plain).item()

    with torch.no_grad():
        moves = [move(gain) for gain in GAINS]
    attribute = Attribute(delta=delta, steps=STEPS, t_edit=0.1)

    def gauge(sign, distance, encoder=brightness):
        return gauged_gain(space, attribute, u, times, encoder, sign * torch.ones(1), distance)

    return gauge, moves


def brightness(x):
    return x.mean((1, 2, 3))[:, None]


def test_it_is_the_smallest_gain_that_reaches_the_distance(edit):
    gauge, moves = edit
    sign = 1.0 if moves[0] > 0 else -1.0
    towards = [sign * value for value in moves]
    assert towards[:4] == sorted(towards[:4])
    for k in range(1, 4):
        assert gauge(sign, (towards[k] + towards[k - 1]) / 2) == GAINS[k]


def test_where_the_distance_is_never_reached_it_is_the_gain_of_the_furthest_move(edit):
    gauge, moves = edit
    sign = 1.0 if moves[0] > 0 else -1.0
    furthest = max(GAINS, key=lambda gain: sign * moves[GAINS.index(gain)])
    assert gauge(sign, 1e6) == furthest


def test_it_looks_no_further_once_the_move_has_fallen_back(edit):
    gauge, _ = edit
    asked = []

    def encoder(x):  # rises for two gains, falls far back, and would go furthest at last
        asked.append(x)
        return torch.full((len(x), 1), [0.0, 1.0, 2.0, -1.0, 9.0][min(len(asked) - 1, 4)])

    assert gauge(1.0, 8.0, encoder) == GAINS[1] and len(asked) == 4

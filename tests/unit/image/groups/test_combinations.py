"""Combinations of strength and steps: held out of what is drawn, gathered for the report, predicted by a true model."""

import pytest
import torch

from tts.image.groups.combinations import pieces_of, report_actions, strides_without
from tts.image.groups.config import HaeConfig, TransitionKind
from tts.image.groups.hae import HomomorphismAutoencoder
from tts.image.groups.trajectories import Trajectories
from tts.testing import seeded

STRENGTHS = torch.tensor([0.0, 1.0, 2.0, 1.0])
HELD = ((1.0, 2), (2.0, 1))


def marked(strides=None):
    """Runs of 9 observations: the number of run and place in the pixel, places 0, 1, 2, … and w times that."""
    observations = torch.arange(36).float().view(4, 9, 1, 1, 1)
    steps = torch.arange(9).float().expand(4, 9)
    return Trajectories(observations, torch.stack([steps, steps * STRENGTHS[:, None]], dim=2), 2, strides)


def test_combinations_held_out_are_never_drawn_and_all_others_are():
    runs = marked(strides_without(HELD, STRENGTHS, 2))
    drawn = runs.draw(800, 2, torch.Generator().manual_seed(0))
    strength = drawn.actions[..., 1] / drawn.actions[..., 0]
    seen = {(float(w), int(k)) for w, k in zip(strength.flatten(), drawn.displacements.flatten(), strict=True)}
    assert seen == {(0.0, 1), (0.0, 2), (1.0, 1), (2.0, 2)}
    index = drawn.observations.flatten(1).long()
    assert torch.equal(index.diff(dim=1), drawn.displacements[..., 0]) and {0, 35} <= set(index.flatten().tolist())
    short = runs.draw(200, 2, torch.Generator().manual_seed(1), reach=1)
    assert (short.displacements == 1).all() and not (short.observations[:, 0] // 9 == 2).any()


def test_pieces_are_all_single_actions_of_the_combinations():
    pieces = pieces_of(HELD, marked(), STRENGTHS)
    assert pieces.observations.shape == (7 + 7 + 8, 2, 1, 1, 1)
    assert torch.equal(pieces.actions[:14], torch.tensor([2.0, 2.0]).expand(14, 1, 2))
    assert torch.equal(pieces.actions[14:], torch.tensor([1.0, 2.0]).expand(8, 1, 2))
    assert pieces.observations[14:, 0].flatten().tolist() == list(range(18, 26))


def test_errors_are_0_for_a_true_predictor_and_those_of_no_move_for_a_still_one():
    hae = seeded(lambda: HomomorphismAutoencoder(HaeConfig(size=1, action_dim=2, blocks=(2,), transition=TransitionKind.steps)))
    codes = torch.nn.Linear(1, 2)
    codes.weight.data, codes.bias.data = torch.tensor([[1.0], [0.0]]), torch.tensor([0.0, 1.0])
    hae.encoder = codes  # h(o) = (o, 1), which a move of the second number into the first shifts
    runs = marked()
    hae.transition.generators.data = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.0] * 4])
    found = report_actions(hae, pieces_of(HELD, runs, STRENGTHS))
    assert found.latent < 1e-9 < found.still
    hae.transition.generators.data.zero_()
    still = report_actions(hae, pieces_of(HELD, runs, STRENGTHS))
    assert still.latent == pytest.approx(found.still) and still.still == pytest.approx(found.still)
    pieces = pieces_of(HELD, runs, STRENGTHS)
    first = pieces.observations[:, 0].flatten()
    images = hae.images(torch.stack([first, torch.ones_like(first)], dim=1))
    expected = (images - pieces.observations[:, 1]).square().mean()
    assert still.pixels == pytest.approx(float(expected.detach()), rel=1e-5)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"no run has strength 5.0 with actions of 1 steps"):
        strides_without([(5.0, 1)], STRENGTHS, 2)
    with pytest.raises(ValueError, match="actions of 3 steps, of 2 at most"):
        strides_without([(1.0, 3)], STRENGTHS, 2)
    with pytest.raises(ValueError, match="no run has strength 5"):
        pieces_of([(5.0, 1)], marked(), STRENGTHS)
    with pytest.raises(ValueError, match=r"need strides \(4, 2\)"):
        marked(torch.ones(4, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="leave one run its single steps"):
        marked(torch.tensor([[False, True]] * 4))
    hae = seeded(lambda: HomomorphismAutoencoder(HaeConfig(size=1, action_dim=2, blocks=(2,), transition=TransitionKind.steps)))
    with pytest.raises(ValueError, match=r"need actions \(B, 1, 2\)"):
        report_actions(hae, marked().every(2, 1))

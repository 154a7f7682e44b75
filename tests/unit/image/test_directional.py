"""The directional loss and the directions it follows: groups, pairs, words."""

import math

import pytest
import torch

from tts.errors import ConfigError, DataError
from tts.image.directional import (
    EditLossConfig,
    LossForm,
    directional_loss,
    edit_loss,
    group_direction,
    pair_directions,
    text_direction,
)


def mean_colours(x):
    return x.mean((2, 3))


def coloured(*colours):
    return torch.tensor(colours)[:, :, None, None].expand(-1, -1, 4, 4)


def test_it_is_one_less_the_cosine_of_each_images_own_move():
    source = coloured([0.25, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.5, 0.0, 0.0])  # exact in binary
    edited = source + coloured([0.5, 0.0, 0.0], [-0.25, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0])
    found = directional_loss(mean_colours, edited, source, torch.tensor([7.0, 0.0, 0.0]))
    torch.testing.assert_close(found, torch.tensor([0.0, 2.0, 1 - 0.5**0.5, 1.0]))
    own = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 0, 1], [0, 1, 0]])
    torch.testing.assert_close(directional_loss(mean_colours, edited, source, own), torch.tensor([0.0, 0.0, 1.0, 1.0]))


def test_where_nothing_has_moved_the_gradient_is_finite_and_points_along_the_direction():
    source, change = coloured([0.1, 0.2, 0.3]), torch.zeros(1, 3, 4, 4, requires_grad=True)
    directional_loss(mean_colours, source + change, source, torch.tensor([1.0, 0.0, 0.0])).sum().backward()
    assert change.grad.isfinite().all() and (change.grad[:, 0] < 0).all() and (change.grad[:, 1:] == 0).all()


def test_the_loss_of_an_edit_by_hand():
    directional, change = torch.tensor([0.5, 2.0]), torch.stack([torch.full((3, 2, 2), -0.2), torch.zeros(3, 2, 2)])
    plain = EditLossConfig(directional=2.0, reconstruction=3.0, form=LossForm.plain)
    torch.testing.assert_close(edit_loss(plain, directional, change), torch.tensor([1.0 + 0.6, 4.0]))
    torch.testing.assert_close(edit_loss(plain, directional, change, change + 0.1), torch.tensor([1.0 + 0.3, 4.0 + 0.3]))
    found = edit_loss(EditLossConfig(directional=1.0, reconstruction=0.0), directional, change)
    assert found[0].item() == pytest.approx(-math.log(0.75), rel=1e-6) and found[1].isfinite()


def test_a_direction_leads_from_the_mean_of_one_group_to_that_of_the_other():
    without, having = coloured([0.0, 0.0, 0.0], [0.2, 0.0, 0.0]), coloured([0.1, 0.5, 0.0], [0.1, 0.1, 0.0], [0.1, 0.3, 0.0])
    torch.testing.assert_close(group_direction(mean_colours, without, having), torch.tensor([0.0, 1.0, 0.0]))


def test_edited_pairs_show_each_its_own_direction():
    before = coloured([0.0, 0.0, 0.0], [0.5, 0.5, 0.5])
    after = coloured([0.3, 0.4, 0.0], [0.5, 0.5, 0.1])
    found = pair_directions(mean_colours, before, after)
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8, 0.0], [0.0, 0.0, -1.0]]))


def test_words_give_a_direction_and_their_cosine_with_templates_averaged_at_unit_length():
    vectors = {"a face": [2.0, 0.0], "the face": [1.0, 0.0], "a smile": [0.0, 1.0], "the smile": [0.0, 5.0]}
    direction, cosine = text_direction(
        lambda texts: torch.tensor([vectors[text] for text in texts]), ["a face", "the face"], ["a smile", "the smile"]
    )
    torch.testing.assert_close(direction, torch.tensor([-1.0, 1.0]) / 2**0.5)
    assert cosine == pytest.approx(0.0, abs=1e-7)


def test_directions_that_are_none_are_refused():
    grey, none = coloured([0.1, 0.1, 0.1]), torch.zeros(0, 3, 4, 4)
    with pytest.raises(DataError, match="images in both groups, found 0 without and 1"):
        group_direction(mean_colours, none, grey)
    with pytest.raises(DataError, match="the two groups do not differ"):
        group_direction(mean_colours, grey, grey)
    with pytest.raises(DataError, match="the images of a pair do not differ"):
        pair_directions(mean_colours, grey, grey)
    with pytest.raises(DataError, match="equal shapes"):
        pair_directions(mean_colours, grey, none)
    with pytest.raises(DataError, match="not finite"):
        group_direction(mean_colours, grey, grey * torch.nan)
    with pytest.raises(DataError, match="sentences"):
        text_direction(lambda texts: torch.zeros(len(texts), 2), [], ["a smile"])
    with pytest.raises(ConfigError, match=r"edit_loss\.directional"):
        EditLossConfig(directional=-1.0)

"""The labelled model: labels left open, classifier-free guidance, and labels composed one by one."""

import pytest
import torch

from tts.errors import ConfigError, DataError
from tts.image.config import UNetConfig
from tts.image.labelled import UNKNOWN, LabelledConfig, LabelledModel

TINY = UNetConfig(base=8, multipliers=(1, 2), attention=(False, True), heads=2, unshuffle=2)
CONFIG = LabelledConfig(channels=1, size=8, unet=TINY, label_dim=8, factor_names=("shape", "hue"), factor_sizes=(3, 4))


def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = LabelledModel(CONFIG).eval().requires_grad_(False)
        for parameter in made.parameters():  # heads and norms start at 0, where labels say nothing
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    return made


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


U, T, LABELS = normal(2, 1, 8, 8), torch.tensor([0.3, 0.8]), torch.tensor([[2, 0], [1, 3]])


def test_with_all_labels_open_it_is_the_unconditional_denoiser_and_labels_change_it():
    made = model()
    free = made.composite(None)(U, T)
    assert torch.equal(made.composite_of(torch.full((2, 2), UNKNOWN))(U, T), free)
    assert not torch.allclose(made.composite_of(LABELS)(U, T), free)
    assert made.encode(U).shape == (2, 0, 1)


def test_classifier_free_guidance_goes_past_the_conditional_by_its_distance_from_the_unconditional():
    made = model()
    given, free = made.composite_of(LABELS)(U, T), made.composite(None)(U, T)
    torch.testing.assert_close(made.composite_of(LABELS, scale=2.0)(U, T), given + 2 * (given - free), rtol=0, atol=1e-5)
    torch.testing.assert_close(made.composite_of(LABELS, scale=-1.0)(U, T), free, rtol=0, atol=1e-5)


def test_labels_are_composed_one_by_one():
    made = model()
    alone = [made.composite_of(torch.where(torch.arange(2) == k, LABELS, UNKNOWN))(U, T) for k in range(2)]
    free = made.composite(None)(U, T)
    expected = free + 1.5 * (alone[0] - free) - 0.5 * (alone[1] - free)
    torch.testing.assert_close(made.composed(LABELS, [1.5, -0.5])(U, T), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(made.composed(LABELS, [0.0, 0.0])(U, T), free, rtol=0, atol=1e-6)
    one_row = made.composed(LABELS[:1], [1.0, 1.0])(U, T)
    assert one_row.shape == U.shape


def test_training_meets_every_number_of_labels_equally_often(monkeypatch):
    made, told = model(), []
    monkeypatch.setattr(made, "composite_of", lambda labels: told.append(labels) or made.composite(None))
    x, labels = normal(600, 1, 8, 8), torch.zeros(600, 2, dtype=torch.int64)
    made.losses(x, labels, torch.Generator().manual_seed(0))
    counts = (told[0] != UNKNOWN).sum(1).bincount(minlength=3) / 600
    torch.testing.assert_close(counts, torch.full((3,), 1 / 3), rtol=0, atol=0.06)  # three standard errors; the seed is fixed


def test_labels_that_do_not_fit_or_are_not_there_are_refused():
    made = model()
    for labels in (torch.tensor([[3, 0]]), torch.tensor([[-2, 0]]), torch.tensor([[0]])):
        with pytest.raises(ValueError, match=r"labels must be \(B, 2\)"):
            made.composite_of(labels)
    with pytest.raises(ValueError, match="found 1 weights for 2 factors"):
        made.composed(LABELS, [1.0])
    with pytest.raises(DataError, match="learns from labels, these images have none"):
        made.losses(U, None, torch.Generator())
    with pytest.raises(ValueError, match="this model has no codes"):
        made.composite(torch.zeros(2, 1, 1))
    with pytest.raises(ConfigError, match="a name of its own"):
        LabelledConfig(factor_names=("a", "a"), factor_sizes=(2, 2))

"""The classifier of noisy images and the wishes: probabilities worked out by hand, and what is refused."""

import dataclasses
import math

import pytest
import torch

from tts.config import from_dict, to_dict
from tts.diffusion import sample, time_grid
from tts.errors import ConfigError, ModelError
from tts.image.base import BaseConfig, BaseModel
from tts.image.config import DiffusionConfig, UNetConfig
from tts.image.guidance.classifier import ClassifierConfig, HeadConfig, HeadKind, NoisyClassifier
from tts.image.guidance.rules import Cap, resolve_conflicts
from tts.image.guidance.wishes import Wish, log_prob_of

TINY = UNetConfig(base=8, multipliers=(1, 2), attention=(False, True), heads=2, unshuffle=2)
HEADS = (HeadConfig(name="shape", size=3), HeadConfig(name="scale", size=5, kind=HeadKind.value))
CONFIG = ClassifierConfig(channels=1, size=8, unet=TINY, heads=HEADS)


def classifier(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return NoisyClassifier(CONFIG).eval().requires_grad_(False)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]])


def test_one_value_any_of_several_and_none_of_them_are_sums_of_probabilities():
    p = LOGITS.softmax(1)
    one = log_prob_of(Wish(name="shape", values=(0,)), LOGITS, None)
    torch.testing.assert_close(one.exp(), p[:, 0])
    either = log_prob_of(Wish(name="shape", values=(0, 2)), LOGITS, None)
    torch.testing.assert_close(either.exp(), p[:, 0] + p[:, 2])
    none = log_prob_of(Wish(name="shape", values=(0, 2), negated=True), LOGITS, None)
    torch.testing.assert_close(none.exp(), p[:, 1])
    warm = log_prob_of(Wish(name="shape", values=(0,), temperature=2.0), LOGITS, None)
    torch.testing.assert_close(warm.exp(), (LOGITS / 2).softmax(1)[:, 0])


def test_not_stays_exact_where_the_probability_is_next_to_1():
    logits = torch.tensor([[40.0, 0.0, 0.0]])
    found = log_prob_of(Wish(name="shape", values=(0,), negated=True), logits, None)
    assert found.item() == pytest.approx(math.log(2) - 40, abs=1e-4)


def test_a_value_is_gaussian_around_what_is_read_with_the_residual_of_its_time():
    output, variance = torch.tensor([[0.3], [0.9]]), torch.tensor([0.01, 0.04])
    found = log_prob_of(Wish(name="scale", values=(0.5,), temperature=2.0), output, variance)
    torch.testing.assert_close(found, torch.tensor([-(0.2**2) / 0.04, -(0.4**2) / 0.16]))
    away = log_prob_of(Wish(name="scale", values=(0.3,), negated=True), output, variance)
    assert away[0].item() == pytest.approx(math.log(1e-6), rel=1e-2)  # on the excluded value itself
    assert away[1].item() == pytest.approx(math.log(1 - math.exp(-0.36 / 0.08)), rel=1e-3)


def test_the_residual_is_that_of_the_tenth_of_time_of_each_sample():
    model = classifier()
    model.residual.copy_(torch.arange(20.0).reshape(10, 2))
    assert model.variance(torch.tensor([0.05, 0.31, 1.0])).tolist() == [[0, 1], [6, 7], [18, 19]]


def test_a_batch_equals_its_singles_and_outputs_fit_the_heads():
    model, x, t = classifier(), normal(3, 1, 8, 8), torch.tensor([0.1, 0.5, 1.0])
    shape, scale = model(x, t)
    assert shape.shape == (3, 3) and scale.shape == (3, 1)
    wishes = [Wish(name="scale", values=(0.5,)), Wish(name="shape", values=(1, 2))]
    together = model.log_probs(x, t, wishes)
    for i in range(3):
        torch.testing.assert_close(model.log_probs(x[i : i + 1], t[i : i + 1], wishes)[:, 0], together[:, i], rtol=0, atol=1e-5)


def test_wishes_guide_a_model_through_the_composite_with_rules_also_in_inference_mode():
    model = classifier()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        base = BaseModel(BaseConfig(channels=1, size=8, unet=TINY)).eval()
    model.require(base)
    wishes = [Wish(name="shape", values=(1,), weight=3.0), Wish(name="scale", values=(0.9,), interval=(0.2, 0.8))]
    guide = model.guide(base.composite(None), wishes, [resolve_conflicts, Cap()])
    u, times = normal(2, 1, 8, 8), time_grid(base.schedule, 5, "quadratic")
    with torch.inference_mode():
        plain, moved = (sample(d, u, base.schedule, times) for d in (base.composite(None), guide))
    assert moved.isfinite().all() and not torch.equal(plain, moved)
    ones = model.guide(base.composite(None), [dataclasses.replace(w, weight=0.0) for w in wishes])
    with torch.no_grad():
        torch.testing.assert_close(sample(ones, u, base.schedule, times), plain)


def test_a_model_of_another_schedule_size_or_state_is_refused():
    shifted = BaseModel(BaseConfig(channels=1, size=8, unet=TINY, diffusion=DiffusionConfig(shift=2.0)))
    with pytest.raises(ModelError, match=r"shift: 2\.0 here 4\.0"):
        classifier().require(shifted)
    with pytest.raises(ModelError, match="size: 16 here 8"):
        classifier().require(BaseModel(BaseConfig(channels=1, size=16, unet=TINY)))


def test_a_configuration_comes_back_from_plain_values_and_a_wrong_one_is_named():
    assert from_dict(ClassifierConfig, to_dict(CONFIG)) == CONFIG
    with pytest.raises(ConfigError, match="at least one, each with a name of its own"):
        ClassifierConfig(heads=())
    with pytest.raises(ConfigError, match=r"classifier\.shape\.size: found 1"):
        HeadConfig(name="shape", size=1)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"name": "hue", "values": (1,)}, "no attribute 'hue'. Attributes of this classifier: shape, scale"),
        ({"name": "shape", "values": (3,)}, "whole numbers in 0 … 2"),
        ({"name": "shape", "values": (0.5,)}, "whole numbers in 0 … 2"),
        ({"name": "shape", "values": (0, 1, 2), "negated": True}, "all 3 values are excluded"),
        ({"name": "scale", "values": (1.5,)}, r"values must be in \[0, 1\]"),
        ({"name": "shape", "values": ()}, "need at least one value"),
        ({"name": "shape", "values": (1,), "temperature": 0.0}, "temperature above 0"),
        ({"name": "shape", "values": (1,), "weight": math.inf}, "finite weight"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(wish, message):
    with pytest.raises(ValueError, match=message):
        classifier().log_probs(normal(1, 1, 8, 8), torch.ones(1), [Wish(**wish)])


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"images must be \(B, 1, 8, 8\)"):
        classifier()(normal(1, 1, 16, 16), torch.ones(1))

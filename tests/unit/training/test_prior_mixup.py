"""Prior mixup: a switch between styles of the batch, per utterance, and per attribute on request."""

import pytest
import torch

from tts.nets.blocks import lengths_to_mask
from tts.speech.model import SourceFilterModel
from tts.testing import seeded, tiny_speech_config
from tts.training.losses import PriorInputs, mix_priors

BATCH = 6


@pytest.fixture(scope="module")
def case():
    model = seeded(lambda: SourceFilterModel(tiny_speech_config(9)), spread=0.03)
    generator = torch.Generator().manual_seed(0)
    mask = lengths_to_mask(torch.tensor([12] * BATCH))
    content = torch.rand(BATCH, 16, 12, generator=generator)
    pitch = torch.randn(BATCH, 12, generator=generator)
    inputs = PriorInputs(content, pitch, torch.full((BATCH, 12), 150.0), mask, None)
    style = torch.randn(BATCH, 16, generator=generator)
    with torch.no_grad():
        yield model, inputs, style, inputs.priors(model, style)


def mix(case, probability, seed=1, **options):
    model, inputs, style, priors = case
    return mix_priors(model, priors, inputs, style, probability, torch.Generator().manual_seed(seed), **options)


def test_probability_zero_changes_nothing(case):
    assert mix(case, 0.0) is case[-1]


@pytest.mark.parametrize("seed", range(8))
def test_at_probability_one_every_prior_is_that_of_another_utterances_style(case, seed):
    model, inputs, style, priors = case
    mixed = mix(case, 1.0, seed)
    by_distance = [inputs.priors(model, style.roll(d, 0)).mels for d in range(1, BATCH)]
    matches = [d for d in by_distance if all(torch.equal(mixed.mels[k], d[k]) for k in ("source", "filter"))]
    assert len(matches) == 1
    for name, mel in priors.mels.items():
        assert ((mixed.mels[name] - mel).abs().amax((1, 2)) > 1e-4).all(), "no utterance keeps its own style"


def switched(case, mixed):
    return {k: (mixed.mels[k] != v).flatten(1).any(1) for k, v in case[-1].mels.items()}


def test_the_switch_is_hard_and_the_same_for_both_attributes(case):
    for seed in range(20):
        found = switched(case, mix(case, 0.5, seed))
        assert torch.equal(found["source"], found["filter"])


def test_apart_the_attributes_switch_independently_at_the_probability(case):
    draws = [switched(case, mix(case, 0.5, seed, apart=True)) for seed in range(60)]
    source, ftr = (torch.stack([d[k] for d in draws]).float().flatten() for k in ("source", "filter"))
    assert source.mean() == pytest.approx(0.5, abs=0.08) and ftr.mean() == pytest.approx(0.5, abs=0.08)
    assert (source * ftr).mean() == pytest.approx(0.25, abs=0.07)


def test_a_batch_of_one_has_no_other_style(case):
    model, inputs, style, _ = case
    one = PriorInputs(inputs.content[:1], inputs.pitch[:1], inputs.f0[:1], inputs.mask[:1], None)
    priors = one.priors(model, style[:1])
    assert mix_priors(model, priors, one, style[:1], 1.0, torch.Generator().manual_seed(0)) is priors

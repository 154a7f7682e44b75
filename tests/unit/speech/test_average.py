"""The average prior, the third attribute: measured means, text and audio phones, and a place in the composite."""

import dataclasses

import numpy as np
import pytest
import torch

from tts.data.content_file import ContentKind
from tts.errors import ConfigError
from tts.speech.average import AveragePrior, phones_of_text
from tts.speech.config import Attribute, ContentConfig
from tts.speech.model import SourceFilterModel
from tts.testing import make_features, seeded, tiny_speech_config
from tts.training.start import phone_means

THREE = (Attribute.source, Attribute.filter, Attribute.average)


def test_the_prior_is_the_expected_mean_mel_of_the_phones():
    prior = AveragePrior(3, 4)
    prior.means.copy_(torch.arange(12.0).view(3, 4))
    phones = torch.tensor([[[1.0, 0.25], [0.0, 0.25], [0.0, 0.5]]])
    expected = torch.stack((prior.means[0], 0.25 * prior.means[0] + 0.25 * prior.means[1] + 0.5 * prior.means[2]), dim=1)
    torch.testing.assert_close(prior(phones, torch.ones(1, 1, 2)), expected[None])
    assert not prior(phones, torch.zeros(1, 1, 2)).any()


def test_phones_of_text_are_one_hot_for_their_durations():
    tokens, durations = torch.tensor([[2, 1, 0]]), torch.tensor([[2, 3, 0]])
    mask = torch.tensor([[[1.0, 1, 1, 1, 1, 0]]])
    phones = phones_of_text(tokens, durations, 4, mask)
    assert phones.argmax(1)[0, :5].tolist() == [2, 2, 1, 1, 1]
    assert phones.sum(1)[0].tolist() == [1, 1, 1, 1, 1, 0]


def test_means_are_those_of_every_frame_of_a_token(tmp_path):
    dataset = make_features(tmp_path / "features", n=3, seconds=0.8)
    means = phone_means(dataset, len(dataset.tokens))
    frames = {k: [] for k in range(len(dataset.tokens))}
    for item in (dataset[i] for i in range(len(dataset))):
        start = 0
        for token, duration in zip(item.tokens.tolist(), item.durations.tolist(), strict=True):
            frames[token] += list(item.mel[:, start : start + duration].T.numpy())
            start += duration
    for token, mels in frames.items():
        expected = np.mean(mels, axis=0) if mels else np.zeros(80)
        np.testing.assert_allclose(means[token], expected, atol=1e-5)


def test_a_third_attribute_is_one_more_term_of_the_composite():
    config = dataclasses.replace(tiny_speech_config(5), attributes=THREE)
    model = seeded(lambda: SourceFilterModel(config), spread=0.03)
    model.average.means.normal_(generator=torch.Generator().manual_seed(0))
    mask, style = torch.ones(1, 1, 7), torch.zeros(1, 16)
    phones = torch.eye(5)[None].repeat(1, 1, 2)[..., :7]
    with torch.no_grad():
        content, pitch = torch.rand(1, 16, 7), torch.zeros(1, 7)
        f0 = torch.full((1, 7), 120.0)
        priors = model.priors(content, pitch, f0, mask, source_style=style, filter_style=style, phones=phones)
        assert list(priors.mels) == ["source", "filter", "average"]
        torch.testing.assert_close(priors.mean, sum(priors.mels.values()))
        composite = model.composite(priors, mask)
        assert [term.mean is priors.mels[a.value] for term, a in zip(composite.terms, THREE, strict=True)] == [True] * 3
        assert composite(torch.randn(1, 80, 7), torch.tensor([0.5])).shape == (1, 80, 7)
    with pytest.raises(ValueError, match="give the phones"):
        model.priors(content, pitch, f0, mask, source_style=style, filter_style=style)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"attributes": (Attribute.filter, Attribute.source)}, "expected source, filter"),
        ({"attributes": (*THREE, Attribute.average)}, "expected source, filter"),
        ({"attributes": THREE, "content": ContentConfig(kind=ContentKind.hubert, dim=8)}, "hubert content"),
    ],
)
def test_attributes_that_make_no_model_are_refused(choices, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(tiny_speech_config(5), **choices)

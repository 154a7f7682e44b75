"""The losses of the priors and the crops of the denoisers, beside values worked out utterance by utterance."""

import pytest
import torch
import torch.nn.functional as F

from tts.data.dataset import collate
from tts.nets.blocks import lengths_to_mask
from tts.speech.model import Priors, SourceFilterModel
from tts.testing import make_features, seeded, tiny_speech_config
from tts.training.losses import crop, prior_losses


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_features(tmp_path_factory.mktemp("data") / "features", n=3, seconds=0.8)


def test_every_prior_loss_is_the_mean_over_real_frames_or_phones_of_its_definition(dataset):
    model = seeded(lambda: SourceFilterModel(tiny_speech_config(len(dataset.tokens))), spread=0.05)
    items = [dataset[0], dataset[1]]
    batch, style = collate(items), torch.linspace(-1, 1, 32).view(2, 16)
    losses, priors, _ = prior_losses(model, batch, style)
    sums, weights, frames, phones = dict.fromkeys(losses, 0.0), 0, 0, 0
    for i, item in enumerate(items):
        one, g = collate([item]), style[i : i + 1]
        mask, token_mask = torch.ones(1, 1, item.mel.shape[1]), torch.ones(1, 1, len(item.tokens))
        vectors = model.text(one.tokens, token_mask)
        content = model.content(vectors, one.durations, mask)
        source = model.source.decode(model.source.embed(one.pitch, one.f0, mask), g, mask)
        pitch, voicing = model.pitch(content, g, mask)
        sums["prior"] += (one.mel - source - model.filter.decode(content, g, mask)).abs().sum() / 80
        sums["gauge"] += (source.mean(-1) ** 2).mean() / len(items)
        sums["duration"] += ((model.duration(vectors, g, token_mask) - torch.log(1 + one.durations)) ** 2).sum()
        weight = torch.where(one.f0 > 0, 1.0, 0.1)
        sums["pitch"] += (weight * (pitch - one.pitch) ** 2).sum()
        weights += weight.sum()
        sums["voicing"] += -torch.where(one.f0 > 0, F.logsigmoid(voicing), F.logsigmoid(-voicing)).sum()
        frames, phones = frames + item.mel.shape[1], phones + len(item.tokens)
        torch.testing.assert_close(priors.mels["source"][i, :, : item.mel.shape[1]], source[0], atol=1e-5, rtol=1e-4)
    for name, value in losses.items():
        expected = sums[name] / {"gauge": 1, "duration": phones, "pitch": weights}.get(name, frames)
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")


def test_the_gauge_moves_the_level_of_the_source_prior_to_the_filter_prior(dataset):
    model = seeded(lambda: SourceFilterModel(tiny_speech_config(len(dataset.tokens))), spread=0.05)
    batch, style = collate([dataset[0]]), torch.zeros(1, 16)
    plain, *_ = prior_losses(model, batch, style)
    with torch.no_grad():
        model.source.decode.leave.bias += 3.0
        model.filter.decode.leave.bias -= 3.0
    shifted, *_ = prior_losses(model, batch, style)
    torch.testing.assert_close(shifted["prior"], plain["prior"])  # the sum knows nothing of the split
    assert shifted["gauge"] > plain["gauge"] + 5


@pytest.mark.parametrize("frames", [4, 10, 50])
def test_an_utterance_shorter_than_the_segment_is_taken_whole_with_its_padding(frames):
    lengths = torch.tensor([10, 7, 3])
    mask = lengths_to_mask(lengths)
    x0 = (torch.arange(1.0, 31).view(3, 1, 10) * mask).expand(3, 80, 10)
    priors = Priors({"source": 2 * x0, "filter": 3 * x0}, {"source": 4 * x0[:, :16], "filter": 5 * x0[:, :16]}, {})
    starts = set()
    for seed in range(30):
        cut, cut_mask, cut_priors = crop(x0, mask, priors, lengths, frames, torch.Generator().manual_seed(seed))
        width = min(frames, 10)
        assert cut.shape == (3, 80, width) and cut_mask.sum((1, 2)).tolist() == [min(width, n) for n in lengths.tolist()]
        for name, factor in (("source", 2), ("filter", 3)):
            assert torch.equal(cut_priors.mels[name], factor * cut)
            assert torch.equal(cut_priors.embeddings[name], (factor + 2) * cut[:, :16])
        for row, kept in zip(cut[:, 0], cut_mask[:, 0], strict=True):
            assert torch.equal(row > 0, kept > 0) and (row[kept > 0].diff() == 1).all()
        starts.add(int(cut[0, 0, 0]))
    assert starts == set(range(1, 12 - width))  # every window of the longest is drawn, the first and the last included

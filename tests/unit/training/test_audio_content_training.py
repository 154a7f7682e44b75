"""Training with the audio entrance: what is read, the matching loss, and what a run refuses."""

import dataclasses
import logging

import pytest
import torch

from tts.data.batching import Draw
from tts.data.content_file import ContentInfo, ContentKind, content_path, write_content, write_content_info
from tts.data.dataset import UtteranceDataset, collate
from tts.errors import ConfigError, DataError, ModelError
from tts.speech.config import Attribute, ContentConfig
from tts.speech.model import SourceFilterModel
from tts.testing import make_features, seeded, tiny_speech_config
from tts.training.average import average_checkpoints
from tts.training.checkpoints import read_checkpoint
from tts.training.config import OptimizerConfig, TrainConfig
from tts.training.losses import prior_losses
from tts.training.presets import load_train_config
from tts.training.run import train

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
BOTTLENECK, VERSIONS = 3, 3


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A features folder whose content says its version in the last row, and one-hot phones in the first ones."""
    folder = tmp_path_factory.mktemp("data") / "features"
    plain = make_features(folder, n=4, seconds=0.8, speakers=("ada", "bob"))
    n_phones = len(plain.tokens)
    for i, row in enumerate(plain.rows):
        item = plain[i]
        phones = torch.nn.functional.one_hot(item.tokens.repeat_interleave(item.durations), n_phones).T.float()
        rest = torch.rand(BOTTLENECK - 1, row.frames, generator=torch.Generator().manual_seed(i))
        versions = [torch.cat((phones, rest, torch.full((1, row.frames), float(v)))) for v in range(VERSIONS)]
        write_content(content_path(folder, row.id), torch.stack(versions), "x")
    dim = n_phones + BOTTLENECK
    write_content_info(folder, ContentInfo(kind=ContentKind.ppg, dim=dim, n_phones=n_phones, versions=VERSIONS))
    return UtteranceDataset(folder, plain.tokens, plain.statistics, content=True)


def model_config(data, **changes):
    n = len(data.tokens)
    content = ContentConfig(kind=ContentKind.ppg, dim=n + BOTTLENECK, n_phones=n)
    return dataclasses.replace(tiny_speech_config(n), content=content, **changes)


def run_config(**changes):
    asked = dataclasses.replace(tiny_speech_config(), content=ContentConfig(kind=ContentKind.ppg))
    values = {"model": asked, "optimizer": OptimizerConfig(warmup=2), "steps": 4, "prior_steps": 2, "max_frames": 200}
    rest = {"checkpoint_every": 2, "figures_every": 1000, "log_every": 1, "threads": 1, "precision": "fp32", "prior_mixup": 0.5}
    return TrainConfig(**(values | rest | changes))


def test_a_draw_gives_every_perturbed_version_in_turn_and_a_plain_index_the_clean_one(data):
    assert data[2].content[-1].unique().tolist() == [0.0]
    drawn = [data[Draw(2, epoch)].content[-1].unique().tolist() for epoch in range(24)]
    assert drawn == [data[Draw(2, epoch)].content[-1].unique().tolist() for epoch in range(24)]
    assert {tuple(v) for v in drawn} == {(1.0,), (2.0,)}
    assert collate([data[0], data[1]]).content.shape[:2] == (2, len(data.tokens) + BOTTLENECK)


def test_content_of_other_frames_than_the_mel_is_refused(data, tmp_path):
    path = content_path(data.folder, data.rows[0].id)
    before = path.read_bytes()
    write_content(path, torch.zeros(VERSIONS, 4, data.rows[0].frames + 1), "x")
    with pytest.raises(DataError, match=rf"{data.rows[0].id} has {data.rows[0].frames + 1} frames"):
        data[0]
    path.write_bytes(before)


def test_the_matching_loss_is_the_distance_and_angle_of_the_two_contents(data):
    model = seeded(lambda: SourceFilterModel(model_config(data)), spread=0.05)
    batch, style = collate([data[0], data[1]]), torch.linspace(-1, 1, 32).view(2, 16)
    losses, _, inputs = prior_losses(model, batch, style, torch.tensor([True, False]))
    distance = angle = frames = 0.0
    for i, n in enumerate(batch.mel_lengths.tolist()):
        one = collate([data[i]])
        mask = torch.ones(1, 1, n)
        text = model.content(model.text(one.tokens, torch.ones(1, 1, one.tokens.shape[1])), one.durations, mask)[0]
        audio = model.audio_content(one.content, mask)[0]
        distance += (text - audio).abs().sum() / len(text)
        angle += (1 - torch.nn.functional.cosine_similarity(text, audio, dim=0, eps=1e-4)).sum()
        frames += n
        torch.testing.assert_close(inputs.content[i, :, :n], audio if i == 0 else text, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(losses["match"], (distance + angle) / frames, atol=1e-5, rtol=1e-4)
    (gradient,) = torch.autograd.grad(losses["match"], model.audio_content.enter.weight, allow_unused=True)
    assert gradient is None or not gradient.any(), "the content of audio is held fixed"


def test_the_average_prior_takes_its_phones_from_where_the_content_comes(data):
    model = seeded(lambda: SourceFilterModel(model_config(data, attributes=tuple(Attribute))), spread=0.05)
    model.average.means.normal_(generator=torch.Generator().manual_seed(0))
    batch, style = collate([data[0], data[1]]), torch.zeros(2, 16)
    by_text = prior_losses(model, batch, style)[1].mels["average"]
    by_audio = prior_losses(model, batch, style, torch.tensor([True, True]))[1].mels["average"]
    torch.testing.assert_close(by_text, by_audio, atol=1e-3, rtol=0)  # the posteriors here are one-hot


def test_a_run_learns_its_sizes_from_the_content_and_trains_that_entrance(data, tmp_path):
    last = train(run_config(), data.folder, tmp_path / "run")
    weights = read_checkpoint(last)["state_dict"]
    assert weights["model.audio_content.enter.weight"].shape[1] == len(data.tokens) + BOTTLENECK
    start = read_checkpoint(tmp_path / "run" / "checkpoints" / "step-0000002.ckpt")["state_dict"]
    moved = [k for k in weights if k.startswith("model.denoisers") and not torch.equal(weights[k], start[k])]
    assert moved, "the denoisers learn on mixed priors"
    with pytest.raises(ModelError, match="needs the phone recogniser it was trained with"):
        average_checkpoints(tmp_path / "run", 1)


def test_another_kind_of_content_than_the_features_have_is_refused(data, tmp_path):
    asked = dataclasses.replace(tiny_speech_config(), content=ContentConfig(kind=ContentKind.hubert))
    with pytest.raises(ConfigError, match=r"asked for hubert, .* has ppg"):
        train(run_config(model=asked), data.folder, tmp_path / "run")


def test_features_without_content_are_refused(tmp_path):
    make_features(tmp_path / "features", n=2, seconds=0.5)
    with pytest.raises(DataError, match="prepare content"):
        train(run_config(), tmp_path / "features", tmp_path / "run")


@pytest.mark.parametrize("name", ["mini_vc", "small_vc", "base_vc"])
def test_a_preset_of_conversion_needs_no_sizes(name):
    config = load_train_config(name)
    assert (config.model.content.kind, config.model.content.dim, config.prior_mixup) == (ContentKind.ppg, 0, 0.5)

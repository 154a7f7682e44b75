"""Training of the F0 VQ-VAE: it learns, resumes bit for bit, refuses what it must; a model of pitch vq is trained and saved."""

import argparse
import dataclasses
import json
import logging
import math

import pytest
import torch

from tts.apps.cli import train_pitch as verb
from tts.data.statistics import STATISTICS, Statistics
from tts.errors import ConfigError, DataError, ModelError
from tts.inference.model_folder import load_model_folder, save_model_folder
from tts.speech.config import F0VqVaeConfig, PitchKind
from tts.speech.f0_vqvae import F0VqVae, load_f0_vqvae
from tts.testing import make_features, seeded, tiny_f0_vqvae_config, tiny_speech_config
from tts.training.average import average_checkpoints
from tts.training.config import OptimizerConfig, TrainConfig
from tts.training.f0_vqvae import PitchTask, PitchTrainConfig, train_f0_vqvae
from tts.training.f0_vqvae_score import DevSet, perplexity, score_f0_vqvae
from tts.training.run import train


@pytest.fixture(autouse=True)
def quiet():
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "features"
    make_features(folder, n=4, seconds=0.8, speakers=("ada", "bob"))
    return folder


def config(**changes):
    values = {"model": tiny_f0_vqvae_config(), "batch_size": 4, "segment_frames": 24, "device": "cpu", "threads": 1}
    return PitchTrainConfig(**(values | {"log_every": 1, "checkpoint_every": 2, "lr": 3e-3} | changes))


def run(features, out, **changes):
    return train_f0_vqvae(config(**changes), features, features, out)


def state(out):
    return torch.load(out / "last.ckpt", weights_only=True)


@pytest.fixture(scope="module")
def trained(features, tmp_path_factory):
    """A run of five steps that was never stopped."""
    return run(features, tmp_path_factory.mktemp("run") / "f0", steps=5)


def test_a_run_leaves_a_folder_with_the_weights_of_its_checkpoint_and_a_card(trained, features):
    loaded, weights = load_f0_vqvae(trained), state(trained)["state_dict"]
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, weights[f"vqvae.{name}"]), name
    card = (trained / "README.md").read_text()
    assert "Trained for 5 steps on 8 recordings" in card
    dev = DevSet.read(features, make_statistics(features))
    assert f"{score_f0_vqvae(loaded, dev, torch.device('cpu')).rmse_cents:.1f} cents" in card
    assert json.loads((trained / "config.json").read_text())["kind"] == "f0_vqvae"


def make_statistics(features):
    return Statistics.load(features / STATISTICS)


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_run_that_broke_off_ends_with_the_state_of_one_never_stopped(features, trained, tmp_path, monkeypatch, stop):
    original = PitchTask.training_step

    def broken(self, batch, index):
        if self.batches == stop:
            raise OSError("as if killed")
        original(self, batch, index)

    monkeypatch.setattr(PitchTask, "training_step", broken)
    with pytest.raises(OSError, match="as if killed"):
        run(features, tmp_path, steps=5)
    monkeypatch.undo()
    run(features, tmp_path, steps=5)
    resumed, straight = state(tmp_path), state(trained)
    assert resumed["batches"] == straight["batches"] == 5
    assert resumed["state_dict"].keys() == straight["state_dict"].keys()
    assert {"vqvae.codebook.sums", "vqvae.codebook.counts"} < straight["state_dict"].keys()
    for name, tensor in straight["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], tensor), name
    assert (tmp_path / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


def test_training_brings_the_error_down(features, tmp_path):
    run(features, tmp_path, steps=80, checkpoint_every=80)
    dev = DevSet.read(features, make_statistics(features))
    untrained = seeded(lambda: F0VqVae(tiny_f0_vqvae_config()))
    before, after = (score_f0_vqvae(v, dev, torch.device("cpu")) for v in (untrained, load_f0_vqvae(tmp_path)))
    assert after.rmse_cents < 0.7 * min(before.rmse_cents, after.flat_cents)
    assert (before.codes, before.perplexity) == (1, 1.0)
    assert after.perplexity > 2


def test_a_step_that_is_not_finite_changes_nothing_and_too_many_end_the_run(features, tmp_path, monkeypatch):
    original, states = PitchTask.training_step, []

    def poisoned(broken):
        def step(self, batch, index):
            pitch, voiced, mask = batch
            states.append({name: value.clone() for name, value in self.vqvae.state_dict().items()})
            original(self, [pitch * (math.nan if self.batches in broken else 1), voiced, mask], index)

        return step

    monkeypatch.setattr(PitchTask, "training_step", poisoned({0, 2}))
    run(features, tmp_path / "some", steps=2)
    assert len(states) == 4
    for before, after in ((0, 1), (2, 3)):
        assert all(torch.equal(value, states[after][name]) for name, value in states[before].items())
    last = state(tmp_path / "some")
    assert all(value.isfinite().all() for value in last["state_dict"].values())
    assert (last["batches"], last["bad_steps"]) == (4, 0)
    monkeypatch.setattr(PitchTask, "training_step", poisoned(range(100)))
    with pytest.raises(ModelError, match="3 steps in a row had no finite gradient"):
        run(features, tmp_path / "many", max_bad_steps=3)


def test_a_finished_run_stays_and_another_or_any_with_never_is_refused(features, trained):
    before = (trained / "last.ckpt").read_bytes()
    run(features, trained, steps=5)
    assert (trained / "last.ckpt").read_bytes() == before
    with pytest.raises(ModelError, match=r"another configuration.*batch_size: 4 -> 3"):
        run(features, trained, steps=9, batch_size=3)
    with pytest.raises(ModelError, match="holds a run already"):
        train_f0_vqvae(config(), features, features, trained, resume="never")


def test_features_of_another_frame_rate_are_refused_before_anything_is_written(features, tmp_path):
    other = dataclasses.replace(tiny_f0_vqvae_config(), frame_rate=50.0)
    with pytest.raises(ConfigError, match=r"62\.5 frames per second, the F0 VQ-VAE takes 50"):
        run(features, tmp_path / "out", model=other)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("changes", [{"steps": 0}, {"lr": math.nan}, {"segment_frames": 0}, {"beta1": 1.0}])
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(ConfigError, match=f"pitch training.{next(iter(changes))}: found"):
        config(**changes)


def test_errors_are_cents_of_the_speaker_over_voiced_frames_alone(monkeypatch):
    vqvae = seeded(lambda: F0VqVae(tiny_f0_vqvae_config()))
    monkeypatch.setattr(F0VqVae, "decode", lambda self, codes, mask: torch.zeros(1, mask.shape[-1]))
    octave = math.log(2)
    dev = DevSet(
        utterances=[
            (torch.tensor([1.0, 9.0, -1.0]), torch.tensor([1.0, 0.0, 1.0]), octave),
            (torch.tensor([2.0, 0.0]), torch.tensor([1.0, 1.0]), octave / 2),
        ]
    )
    score = score_f0_vqvae(vqvae, dev, torch.device("cpu"))
    assert score.rmse_cents == pytest.approx(1200 * math.sqrt(3 / 4), rel=1e-6)  # 1200, -1200, 1200 and 0 cents
    assert score.mean_cents == pytest.approx(900, rel=1e-6)
    assert score.flat_cents == pytest.approx(score.rmse_cents)


def test_perplexity_counts_equally_frequent_codes():
    assert perplexity(torch.tensor([3, 3, 3]), 5) == pytest.approx(1)
    assert perplexity(torch.tensor([0, 1, 2, 4]), 5) == pytest.approx(4)
    assert perplexity(torch.tensor([0, 0, 1, 2]), 5) == pytest.approx(2**1.5)


def test_a_dev_set_without_a_voiced_frame_is_refused(features, monkeypatch):
    silent = (torch.zeros(4), torch.zeros(4))
    monkeypatch.setattr("tts.training.f0_vqvae_score.read_pitch", lambda *_: silent)
    with pytest.raises(DataError, match="no voiced frame in 8 utterance"):
        DevSet.read(features, make_statistics(features))


def test_the_command_takes_the_frame_rate_of_the_features(features, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("tts.training.f0_vqvae.train_f0_vqvae", lambda *args, **options: calls.append((args, options)))
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    words = ["--features", features, "--dev", features, "--out", tmp_path, "--codes", 9, "--steps", 7, "--resume", "never"]
    assert verb.run(parser.parse_args([str(word) for word in words])) == 0
    ((used, *folders), options) = calls[0]
    assert (used.model, used.steps) == (F0VqVaeConfig(n_codes=9, frame_rate=62.5), 7)
    assert folders == [features, features, tmp_path]
    assert options == {"resume": "never"}


def vq_config(folder, **changes):
    model = dataclasses.replace(tiny_speech_config(), pitch=PitchKind.vq)
    values = {"model": model, "f0_vqvae": str(folder), "optimizer": OptimizerConfig(warmup=2), "steps": 2, "prior_steps": 2}
    settings = {"max_frames": 150, "checkpoint_every": 1, "figures_every": 1000, "log_every": 1, "threads": 1}
    return TrainConfig(**(values | settings | {"precision": "fp32"} | changes))


def test_a_model_of_pitch_vq_trains_with_the_codes_of_a_folder_and_its_own_folder_is_whole(features, trained, tmp_path):
    train(vq_config(trained), features, tmp_path / "exp")
    vqvae = load_f0_vqvae(trained)
    loaded = average_checkpoints(tmp_path / "exp", 2)
    assert loaded.model.config.f0_vqvae == vqvae.config
    save_model_folder(tmp_path / "model", loaded, "# card\n")
    embed = load_model_folder(tmp_path / "model").model.source.embed
    for name, value in vqvae.state_dict().items():
        assert torch.equal(embed.vqvae.state_dict()[name], value), name
    assert not any(p.requires_grad for p in embed.vqvae.parameters())
    first, last = (
        torch.load(tmp_path / "exp" / "checkpoints" / f"step-000000{n}.ckpt", weights_only=True)["state_dict"] for n in (1, 2)
    )
    vectors, embedding = "model.source.embed.vqvae.codebook.vectors", "model.source.embed.embedding.weight"
    assert torch.equal(first[vectors], last[vectors])
    assert not torch.equal(first[embedding], last[embedding])  # it learns beside the frozen codes


def test_pitch_vq_alone_takes_an_f0_vqvae_and_wants_one(features, trained, tmp_path):
    with pytest.raises(ConfigError, match="pitch vq needs the folder"):
        train(vq_config(""), features, tmp_path / "exp")
    with pytest.raises(ConfigError, match=r"with model\.pitch continuous"):
        vq_config(trained, model=tiny_speech_config())
    with pytest.raises(DataError, match=r"config\.json: no such file"):
        train(vq_config(tmp_path / "none"), features, tmp_path / "exp")
    assert not (tmp_path / "exp").exists()

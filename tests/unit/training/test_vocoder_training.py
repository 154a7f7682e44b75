import argparse
import dataclasses
import json
import logging
import signal

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from tts.apps.cli import train_vocoder as verb
from tts.config import AUDIO_CONFIGS, AudioConfig
from tts.data.manifest import ManifestRow, write_audio_config, write_manifest
from tts.errors import ConfigError, DataError, ModelError
from tts.speech.hifigan import VocoderConfig
from tts.speech.vocoder import load_vocoder
from tts.testing import make_tone, tiny_vocoder_config
from tts.training.vocoder import VocoderTask, VocoderTrainConfig, train_vocoder

TINY = tiny_vocoder_config()


class TinyDiscriminator(nn.Module):
    """Two scales of one convolution each, with SpeechBrain's interface."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv1d(1, 4, 9, stride=4), nn.Conv1d(1, 4, 9, stride=8)])
        self.heads = nn.ModuleList([nn.Conv1d(4, 1, 3), nn.Conv1d(4, 1, 3)])

    def forward(self, wav):
        features = [torch.tanh(conv(wav)) for conv in self.convs]
        scores = [head(feature).flatten(1) for head, feature in zip(self.heads, features, strict=True)]
        return scores, [[feature] for feature in features]


@pytest.fixture(autouse=True)
def quiet():
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    rows = []
    for k in range(3):
        path = folder / f"u{k}.wav"
        soundfile.write(path, make_tone(110 + 40 * k, 0.3), 16000)
        rows.append(ManifestRow(id=f"u{k}", audio=str(path), text="", phones=(), speaker="s", frames=19, seconds=0.3))
    write_manifest(folder / "manifest.jsonl", rows)
    write_audio_config(folder, AudioConfig())
    return folder


def config(**changes):
    settings = {"vocoder": TINY, "batch_size": 2, "segment_samples": 2048, "device": "cpu", "threads": 1, "log_every": 1}
    return VocoderTrainConfig(**settings | changes)


def make_discriminator(seed=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TinyDiscriminator()


def run(features, out, **changes):
    torch.manual_seed(0)  # the generator's first weights
    return train_vocoder(config(**changes), features, out, discriminator=make_discriminator())


@pytest.fixture(scope="module")
def trained(features, tmp_path_factory):
    """A run of three steps that was never stopped."""
    return run(features, tmp_path_factory.mktemp("run") / "vocoder", steps=3)


def state(out):
    return torch.load(out / "last.ckpt", weights_only=True)


def test_a_run_leaves_a_vocoder_folder_that_speaks(trained):
    vocoder = load_vocoder(trained, AudioConfig())
    wav = vocoder(torch.zeros(1, 80, 10))
    assert wav.shape == (1, 2560)
    assert wav.isfinite().all()
    card = (trained / "README.md").read_text()
    assert "Trained for 3 steps on 3 recordings" in card
    assert AudioConfig().fingerprint() in card


def test_global_steps_are_the_steps_of_the_generator(trained):
    assert state(trained)["global_step"] == 3


def test_the_exported_weights_are_those_of_the_checkpoint(trained):
    generator = VocoderTask(config(), TinyDiscriminator())
    generator.load_state_dict(state(trained)["state_dict"])
    mel = torch.zeros(1, 80, 8)
    expected = generator.generator(mel).squeeze(1).detach()
    torch.testing.assert_close(load_vocoder(trained, AudioConfig())(mel), expected, atol=1e-6, rtol=0)


def test_a_run_that_was_stopped_ends_with_the_weights_of_one_never_stopped(features, trained, tmp_path):
    run(features, tmp_path, steps=1)
    torch.manual_seed(99)
    train_vocoder(config(steps=3), features, tmp_path, discriminator=make_discriminator(seed=98))
    resumed, straight = state(tmp_path)["state_dict"], state(trained)["state_dict"]
    assert resumed.keys() == straight.keys()
    for name, tensor in straight.items():
        assert torch.equal(resumed[name], tensor), name
    assert (tmp_path / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


def test_both_networks_learn(trained):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = VocoderTask(config(), make_discriminator()).state_dict()
    last = state(trained)["state_dict"]
    for name in ("generator.conv_pre.conv.bias", "discriminator.heads.1.weight"):
        assert not torch.equal(first[name], last[name]), name


def test_a_finished_run_is_left_as_it_is(features, trained):
    before = (trained / "last.ckpt").read_bytes()
    train_vocoder(config(steps=3), features, trained, discriminator=make_discriminator())
    assert (trained / "last.ckpt").read_bytes() == before


def test_a_run_with_another_generator_or_data_order_is_refused(features, trained):
    with pytest.raises(ModelError, match=r"another configuration.*batch_size: 2 -> 3"):
        run(features, trained, steps=3, batch_size=3)
    other = dataclasses.replace(TINY, initial_channels=32)
    with pytest.raises(ModelError, match=r"another configuration.*vocoder"):
        run(features, trained, steps=3, vocoder=other)


def test_an_existing_run_is_refused_with_never(features, trained):
    with pytest.raises(ModelError, match="holds a run already"):
        train_vocoder(config(), features, trained, resume="never")


def test_features_of_another_mel_are_refused(features, tmp_path):
    other = dataclasses.replace(TINY, audio=AUDIO_CONFIGS["ljspeech22k"])
    with pytest.raises(ModelError, match="sample_rate: 22050 != 16000"):
        run(features, tmp_path, vocoder=other)
    assert not (tmp_path / "train.json").exists()


def test_a_run_whose_gradients_stay_infinite_stops_with_the_reason(features, tmp_path):
    discriminator = make_discriminator()
    with torch.no_grad():
        discriminator.heads[0].weight.fill_(float("inf"))
    with pytest.raises(ModelError, match="2 steps in a row had no finite gradient"):
        train_vocoder(config(max_bad_steps=2), features, tmp_path, discriminator=discriminator)


def test_ctrl_c_leaves_training_as_an_interrupt(features, tmp_path, monkeypatch):
    def interrupt(self, wav, batch_index):
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(VocoderTask, "training_step", interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(features, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)  # Lightning ignores further ones


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"segment_samples": 8000}, "multiple of hop_length 256"),
        ({"segment_samples": 1024}, "at least 2048"),
        ({"steps": 0}, "steps is 0"),
        ({"lr": 0.0}, "lr > 0"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        config(**changes)


def test_the_losses_of_a_perfect_generator_are_those_of_the_scores_alone():
    task = VocoderTask(config(), make_discriminator())
    task.log = lambda *args, **options: None
    wav = torch.from_numpy(make_tone(120, 0.128))[None]
    real, mel = wav[:, None], task.mel(wav)
    scores, _ = task.discriminator(real)
    expected = sum((score - 1).square().mean() for score in scores)
    torch.testing.assert_close(task.loss_of_generator(real, real, mel), expected)
    expected = sum((score - 1).square().mean() + score.square().mean() for score in scores)
    torch.testing.assert_close(task.loss_of_discriminator(real, real), expected)


def test_the_mel_loss_of_half_the_amplitude_is_ln_2():
    task = VocoderTask(config(mel_weight=1.0, feature_weight=0.0), make_discriminator())
    logged = {}
    task.log = lambda name, value, **options: logged.update({name: value})
    noise = torch.randn(1, 2048, generator=torch.Generator().manual_seed(0))
    task.loss_of_generator(noise[:, None], noise[:, None] / 2, task.mel(noise))
    assert logged["loss/mel"].item() == pytest.approx(np.log(2), abs=1e-4)


def test_the_real_discriminators_judge_the_shortest_segment():
    task = VocoderTask(config())
    task.log = lambda *args, **options: None
    wav = torch.from_numpy(make_tone(120, 0.128))[None]
    fake = task.generator(task.mel(wav)[..., :-1])
    loss = task.loss_of_generator(wav[:, None], fake, task.mel(wav))
    loss.backward()
    assert loss.isfinite()
    assert task.generator.conv_pre.conv.bias.grad.abs().sum() > 0


def parse(*words):
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_the_command_trains_the_preset_for_the_mel_of_the_features(features, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "tts.training.vocoder.train_vocoder", lambda config, *rest, **options: calls.append((config, rest, options))
    )
    args = parse("--features", features, "--out", tmp_path, "--preset", "v1", "--steps", 7, "--batch", 3, "--resume", "never")
    assert verb.run(args) == 0
    (used, rest, options) = calls[0]
    assert (used.vocoder, used.steps, used.batch_size, used.segment_samples) == (VocoderConfig(), 7, 3, 8192)
    assert rest == (features, tmp_path)
    assert options == {"resume": "never"}


def test_the_command_needs_a_features_folder(tmp_path):
    with pytest.raises(DataError, match=r"audio\.json: no such file"):
        verb.run(parse("--features", tmp_path, "--out", tmp_path / "out"))


def test_the_configuration_of_the_run_is_written(trained):
    written = json.loads((trained / "train.json").read_text())
    assert written["vocoder"]["kind"] == "hifigan"
    assert written["steps"] == 3

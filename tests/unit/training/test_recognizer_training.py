"""Training of the phone recogniser: losses, masks, exact resume, bad steps."""

import argparse
import itertools
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tts.apps.cli import train_recognizer as verb
from tts.audio.perturb import PerturbConfig
from tts.data.phone_frames import IGNORED, PhoneBatch, PhoneDataset
from tts.errors import ConfigError, ModelError
from tts.speech.recognizer import Recognition, load_recognizer
from tts.testing import make_features, tiny_recognizer_config
from tts.training.one_device import LAST
from tts.training.recognizer import train_recognizer
from tts.training.recognizer_task import (
    RecognizerTask,
    RecognizerTrainConfig,
    learning_rate,
    mask_mel,
    recognition_losses,
)

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
EQ_ONLY = PerturbConfig(max_formant_ratio=1.0, max_pitch_ratio=1.0)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "features"
    make_features(folder, n=5, seconds=0.8)
    return folder


def tiny_config(**changes):
    values = {
        "recognizer": tiny_recognizer_config(),
        "perturb": EQ_ONLY,
        "versions": 2,
        "steps": 6,
        "max_frames": 120,
        "warmup": 2,
        "checkpoint_every": 2,
        "log_every": 1,
        "precision": "fp32",
        "device": "cpu",
    }
    return RecognizerTrainConfig(**(values | changes))


def run(features, out, **changes):
    return train_recognizer(tiny_config(**changes), features, features, out)


@pytest.fixture(scope="module")
def trained(features, tmp_path_factory):
    """A run of six steps that was never stopped."""
    return run(features, tmp_path_factory.mktemp("run") / "recognizer")


def state(out):
    return torch.load(out / LAST, weights_only=True)


def assert_same_run(first, second):
    a, b = state(first), state(second)
    assert (a["global_step"], a["bad_steps"], a["lr_schedulers"]) == (b["global_step"], b["bad_steps"], b["lr_schedulers"])
    assert a["state_dict"].keys() == b["state_dict"].keys()
    for name, tensor in a["state_dict"].items():
        assert torch.equal(tensor, b["state_dict"][name]), name
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()


def test_a_run_leaves_a_recogniser_with_its_scores_on_the_card(trained, features):
    loaded = load_recognizer(trained)
    assert loaded.tokens.symbols == (features / "tokens.txt").read_text().replace("<space>", " ").splitlines()
    assert state(trained)["global_step"] == 6
    weights = {f"model.{name}": tensor for name, tensor in loaded.model.state_dict().items()}
    assert all(torch.equal(tensor, state(trained)["state_dict"][name]) for name, tensor in weights.items())
    assert "Trained for 6 steps on 5 recordings" in loaded.card
    for line in ("frame accuracy, pauses included |", "phone error rate, CTC head |", "on 5 development sentences"):
        assert line in loaded.card


def test_a_run_stopped_between_checkpoints_ends_with_the_weights_of_one_never_stopped(features, trained, tmp_path, monkeypatch):
    step, real = itertools.count(), RecognizerTask.training_step

    def stop_at_fourth(self, batch, batch_index):
        if next(step) == 3:
            raise KeyboardInterrupt
        return real(self, batch, batch_index)

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(RecognizerTask, "training_step", stop_at_fourth)
        try:
            with pytest.raises(KeyboardInterrupt):
                run(features, tmp_path)
        finally:
            signal.signal(signal.SIGINT, before)  # Lightning ignores further ones
    assert state(tmp_path)["global_step"] == 2
    torch.manual_seed(99)
    run(features, tmp_path)
    assert_same_run(tmp_path, trained)


def test_a_killed_run_ends_with_the_weights_of_one_never_killed(features, trained, tmp_path):
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3]); import test_recognizer_training as t; "
        "t.run(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    here = Path(__file__)
    environment = os.environ | {"PYTHONPATH": str(here.parents[3])}
    command = [sys.executable, "-c", program, str(features), str(tmp_path), str(here.parent)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 240
        while not (tmp_path / LAST).exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()
    assert (tmp_path / LAST).exists()
    run(features, tmp_path)
    assert_same_run(tmp_path, trained)


def test_it_learns_more_than_the_commonest_phone(features, tmp_path):
    run(features, tmp_path, steps=40, versions=1, lr=1e-2, max_frames=300, checkpoint_every=40, frame_mask=0, band_mask=0)
    loaded = load_recognizer(tmp_path)
    data = PhoneDataset(features, loaded.tokens, loaded.statistics)
    commonest = torch.cat([item.labels for item in data]).bincount().max() / sum(data.lengths)
    (line,) = [line for line in loaded.card.splitlines() if "frame accuracy" in line]
    assert float(line.split("|")[2].strip(" %")) / 100 > 1.5 * commonest


def test_a_run_on_other_data_or_with_another_network_is_refused(features, trained, tmp_path):
    with pytest.raises(ModelError, match=r"another configuration.*max_frames: 120 -> 121"):
        run(features, trained, max_frames=121)
    other = shutil.copytree(features, tmp_path / "features")
    (other / "statistics.safetensors").write_bytes((features / "statistics.safetensors").read_bytes().replace(b"ada", b"bob"))
    with pytest.raises(ModelError, match=r"trained on other data .* statistics\.safetensors differs"):
        train_recognizer(tiny_config(steps=8), _renamed(other), features, trained)
    with pytest.raises(ModelError, match="holds a run already"):
        train_recognizer(tiny_config(), features, features, trained, resume="never")


def _renamed(folder):
    manifest = folder / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"speaker": "ada"', '"speaker": "bob"'))
    return folder


def test_a_finished_run_is_left_as_it_is(features, trained):
    before = (trained / LAST).read_bytes()
    run(features, trained)
    assert (trained / LAST).read_bytes() == before


def test_a_run_whose_gradients_stay_infinite_stops_with_its_utterances(features, tmp_path, monkeypatch):
    real = RecognizerTask.training_step
    monkeypatch.setattr(RecognizerTask, "training_step", lambda self, *batch: real(self, *batch) * math.inf)
    with pytest.raises(ModelError, match=r"2 steps in a row had no finite gradient, .* on ada-000"):
        run(features, tmp_path, max_bad_steps=2)


def test_one_step_that_is_not_finite_is_skipped_and_counted(features, tmp_path, monkeypatch):
    step, real = itertools.count(), RecognizerTask.training_step

    def bad_at_second(self, *batch):
        return real(self, *batch) * (math.inf if next(step) == 1 else 1.0)

    monkeypatch.setattr(RecognizerTask, "training_step", bad_at_second)
    run(features, tmp_path, steps=2)
    once = run(features, tmp_path / "once", steps=1, checkpoint_every=1)
    assert state(tmp_path)["bad_steps"] == 1
    weights, expected = state(tmp_path)["state_dict"], state(once)["state_dict"]
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert all(torch.equal(weights[name], expected[name]) for name in weights)


def batch_of(labels, phones):
    n, k = len(labels), len(phones)
    return PhoneBatch(
        ids=["x"],
        mel=torch.zeros(1, 80, n),
        mel_lengths=torch.tensor([n]),
        labels=torch.tensor([labels]),
        phones=torch.tensor([phones]),
        phone_lengths=torch.tensor([k]),
    )


def test_the_losses_of_even_guesses_are_known():
    zeros = torch.zeros(1, 4, 3)
    losses = recognition_losses(Recognition(zeros, zeros, zeros), batch_of([1, 2, IGNORED], [1, 2]), 0.1)
    assert losses["frame"].item() == pytest.approx(math.log(4))
    # of 4^3 equally likely paths these five read "1 2": 112 122 12_ 1_2 _12
    assert losses["ctc"].item() == pytest.approx(-math.log(5 / 64) / 2)


def test_the_frame_loss_is_the_cross_entropy_with_the_smoothed_phone():
    logits = torch.randn(1, 4, 2, generator=torch.Generator().manual_seed(0))
    losses = recognition_losses(Recognition(logits, logits, logits), batch_of([3, IGNORED], [3]), 0.2)
    target = torch.tensor([0.05, 0.05, 0.05, 0.85])
    torch.testing.assert_close(losses["frame"], -(target * logits[0, :, 0].log_softmax(0)).sum())


def test_phones_that_cannot_fit_the_frames_cost_nothing_and_stay_finite():
    zeros = torch.zeros(1, 4, 2)
    losses = recognition_losses(Recognition(zeros, zeros, zeros), batch_of([1, 1], [1, 1]), 0.0)
    assert losses["ctc"].item() == 0.0


def test_masks_are_stripes_of_zeros_no_wider_than_told_and_differ_by_utterance():
    mel = torch.ones(40, 80, 200)
    masked = mask_mel(mel, torch.full((40,), 200), 12, 10, torch.Generator().manual_seed(0))
    rows, columns = (masked == 0).all(2), (masked == 0).all(1)
    assert torch.equal(masked == 0, rows[:, :, None] | columns[:, None, :])
    assert rows.sum(1).max() <= 2 * 12
    assert columns.sum(1).max() <= 2 * 10
    # a width is U{0 … 12}, so two overlap-free stripes would cover 12 bands on average
    assert 8 < rows.sum(1).float().mean() <= 12.5
    assert len({tuple(row.tolist()) for row in rows}) > 30
    assert torch.equal(mask_mel(mel, torch.full((40,), 200), 0, 0, torch.Generator()), mel)


def test_masks_fall_on_the_utterance_and_not_on_its_padding():
    mel = torch.ones(20, 80, 100)
    masked = mask_mel(mel, torch.full((20,), 30), 0, 10, torch.Generator().manual_seed(0))
    assert (masked[:, :, 30:] == 1).all()
    assert (masked[:, :, :30] == 0).any()


def test_the_learning_rate_warms_up_and_falls_to_a_fiftieth():
    config = tiny_config(steps=100, warmup=10)
    assert learning_rate(0, config) == pytest.approx(0.1)
    assert learning_rate(50, config) == pytest.approx(0.51)
    assert learning_rate(100, config) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"versions": 0}, "versions is 0"),
        ({"lr": 0.0}, r"training\.lr"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"band_mask": 81}, "band_mask"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        tiny_config(**changes)


def test_the_command_hands_its_options_on(features, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("tts.training.recognizer.train_recognizer", lambda *args, **options: calls.append((args, options)))
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    words = ["--features", features, "--dev", "dev", "--out", tmp_path, "--steps", 7, "--versions", 2, "--resume", "never"]
    assert verb.run(parser.parse_args([str(word) for word in words])) == 0
    ((config, *folders), options) = calls[0]
    assert (config.steps, config.versions, config.threads) == (7, 2, 1)
    assert folders == [features, Path("dev"), tmp_path]
    assert options == {"resume": "never"}

"""What befalls a run: a full disk, other data, half precision, a single utterance, a batch without a gradient."""

import logging
import math
import signal
import sys

import pytest
import torch

from tts.errors import ModelError
from tts.testing import make_features, tiny_speech_config
from tts.training.average import average_checkpoints
from tts.training.config import OptimizerConfig, TrainConfig
from tts.training.run import LAST, train
from tts.training.speech import SpeechTask

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "features"
    make_features(folder, n=3, seconds=0.8)
    return folder


def tiny_config(**changes):
    values = {"steps": 4, "prior_steps": 2, "max_frames": 150, "checkpoint_every": 2, "figures_every": 1000}
    values |= {"model": tiny_speech_config(), "optimizer": OptimizerConfig(warmup=2), "threads": 1, "precision": "fp32"}
    return TrainConfig(**(values | {"log_every": 1} | changes))


def checkpoint_of(exp):
    return torch.load(exp / "checkpoints" / LAST, weights_only=True)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes")
def test_a_disk_that_fills_in_a_checkpoint_leaves_the_one_before_and_the_run_goes_on_from_it(features, tmp_path, monkeypatch):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    save = SpeechTask.on_save_checkpoint

    def no_room(self, checkpoint):
        save(self, checkpoint)
        if self.global_step == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # the kernel ends the write in the middle

    with monkeypatch.context() as patch:
        patch.setattr(SpeechTask, "on_save_checkpoint", no_room)
        try:
            with pytest.raises(OSError, match=r"step-0000004\.ckpt: the checkpoint could not be written: .*File too large"):
                train(tiny_config(), features, tmp_path / "full")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    checkpoints = tmp_path / "full" / "checkpoints"
    assert sorted(p.name for p in checkpoints.iterdir()) == [LAST, "step-0000002.ckpt"]
    assert checkpoint_of(tmp_path / "full")["global_step"] == 2
    train(tiny_config(), features, tmp_path / "full")
    train(tiny_config(), features, tmp_path / "whole")
    whole, resumed = (checkpoint_of(tmp_path / name)["state_dict"] for name in ("whole", "full"))
    assert whole.keys() == resumed.keys() and all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_a_run_is_not_gone_on_with_on_other_data(features, tmp_path):
    train(tiny_config(steps=2), features, tmp_path / "exp")
    before = (tmp_path / "exp" / "statistics.safetensors").read_bytes()
    make_features(tmp_path / "other", n=3, seconds=0.8, speakers=("bob",))  # the same sentences, so the same tokens
    with pytest.raises(ModelError, match=r"was trained on other data .* statistics\.safetensors differ; it was not touched"):
        train(tiny_config(), tmp_path / "other", tmp_path / "exp")
    assert (tmp_path / "exp" / "statistics.safetensors").read_bytes() == before


def test_half_precision_trains_float32_weights_with_float32_losses_near_those_of_full_precision(
    features, tmp_path, monkeypatch
):
    step, losses = SpeechTask.training_step, {"fp32": [], "bf16": []}

    def watched(self, batch, index):
        loss = step(self, batch, index)
        assert loss.dtype == torch.float32
        losses[self.config.precision.value].append(loss.item())
        return loss

    monkeypatch.setattr(SpeechTask, "training_step", watched)
    for precision in losses:
        train(tiny_config(precision=precision), features, tmp_path / precision)
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05) and losses["bf16"] != losses["fp32"]
    weights = [v for v in checkpoint_of(tmp_path / "bf16")["state_dict"].values() if v.is_floating_point()]
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in weights)


def test_a_run_is_not_gone_on_with_by_another_number_of_processes(features, tmp_path):
    train(tiny_config(steps=2), features, tmp_path)
    with pytest.raises(ModelError, match="processes: 1 -> 2"):
        train(tiny_config(cpu_processes=2), features, tmp_path)


def test_ctrl_c_leaves_training_as_an_interrupt(features, tmp_path, monkeypatch):
    def interrupt(self, batch, batch_index):
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(SpeechTask, "training_step", interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(tiny_config(), features, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)  # Lightning ignores further ones


def test_one_utterance_of_one_speaker_can_be_trained_on(tmp_path):
    make_features(tmp_path / "features", n=1, seconds=0.6)
    train(tiny_config(figures_every=4), tmp_path / "features", tmp_path / "exp")
    loaded = average_checkpoints(tmp_path / "exp", 2)
    assert list(loaded.speakers) == ["ada"] and loaded.speakers["ada"].isfinite().all()
    assert all(value.isfinite().all() for value in loaded.model.state_dict().values())


def test_the_utterances_of_a_step_without_a_finite_gradient_are_named(features, tmp_path, monkeypatch, capsys):
    step = SpeechTask.training_step
    monkeypatch.setattr(SpeechTask, "training_step", lambda self, *a: step(self, *a) * (math.nan if self.global_step else 1))
    with pytest.raises(ModelError, match=r"2 steps in a row had no finite gradient, the last at step \d on ada-000\d"):
        train(tiny_config(max_bad_steps=2), features, tmp_path)
    shown = "".join(capsys.readouterr())
    assert "gradient not finite, skipped (1 in a row): ada-000" in shown


def test_both_phases_are_drawn_and_heard(features, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tiny_config(figures_every=2), features, tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0, "audio": 0, "scalars": 0})
    events.Reload()
    tags = events.Tags()
    assert tags["images"] == ["utterance"]
    assert set(tags["audio"]) == {"target (Griffin-Lim)", "sample (Griffin-Lim)"}
    assert [event.step for event in events.Images("utterance")] == [2, 4]
    assert {"dev/prior", "dev/sample_l1", "loss/prior", "loss/diffusion", "grad_norm"} <= set(tags["scalars"])
    assert sorted(p.name for p in (tmp_path / "images").iterdir()) == ["step-0000002.png", "step-0000004.png"]

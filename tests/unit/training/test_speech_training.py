"""Training of the source-filter model: exact resume, bad steps, learning rates, two processes."""

import dataclasses
import json
import logging
import math
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tts.config import to_dict
from tts.data.dataset import DURATIONS
from tts.data.files import write_json
from tts.errors import ConfigError, DataError, ModelError
from tts.testing import make_features, tiny_speech_config
from tts.training.average import average_checkpoints
from tts.training.checkpoints import AtomicCheckpointIO, read_checkpoint
from tts.training.config import OptimizerConfig, TrainConfig
from tts.training.presets import load_train_config
from tts.training.run import LAST, _checkpoint_to_resume, train
from tts.training.speech import SpeechTask, learning_rate

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "features"
    make_features(folder, n=6, seconds=0.8, speakers=("ada", "bob"))
    return folder


def tiny_config(**changes):
    values = {
        "model": tiny_speech_config(),
        "optimizer": OptimizerConfig(warmup=2),
        "steps": 8,
        "prior_steps": 4,
        "max_frames": 150,
        "checkpoint_every": 2,
        "figures_every": 1000,
        "log_every": 1,
        "threads": 1,
        "precision": "fp32",
    }
    return TrainConfig(**(values | changes))


def checkpoint_of(folder):
    return torch.load(folder / "checkpoints" / LAST, weights_only=True)


def assert_same_state(first, second):
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "times", "bad_steps", "global_step"):
        flat_a, flat_b = flatten(first[part]), flatten(second[part])
        assert flat_a.keys() == flat_b.keys()
        for key, value in flat_a.items():
            same = torch.equal(value, flat_b[key]) if isinstance(value, torch.Tensor) else value == flat_b[key]
            both_nan = isinstance(value, torch.Tensor) and torch.equal(value.isnan(), flat_b[key].isnan())
            assert same or (both_nan and torch.equal(value.nan_to_num(), flat_b[key].nan_to_num())), (part, key)


def flatten(value, prefix=""):
    if isinstance(value, dict):
        return {k: v for name, item in value.items() for k, v in flatten(item, f"{prefix}/{name}").items()}
    if isinstance(value, list | tuple):
        return {k: v for i, item in enumerate(value) for k, v in flatten(item, f"{prefix}/{i}").items()}
    return {prefix: value}


RUNNER = """
import sys, logging
from pathlib import Path
from tts.config import from_dict
from tts.data.files import read_json
from tts.training.config import TrainConfig
from tts.training.run import train
if __name__ == "__main__":
    train(from_dict(TrainConfig, read_json(Path(sys.argv[1]))), Path(sys.argv[2]), Path(sys.argv[3]))
"""


def start(config, features, exp, folder):
    (folder / "runner.py").write_text(RUNNER)
    write_json(folder / "config.json", to_dict(config))
    command = [sys.executable, str(folder / "runner.py"), str(folder / "config.json"), str(features), str(exp)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("freeze", [True, False])
def test_a_killed_run_ends_with_the_weights_of_one_never_killed(features, tmp_path, freeze):
    config = tiny_config(freeze_priors=freeze, steps=14, prior_steps=5)
    train(config, features, tmp_path / "whole")
    process = start(config, features, tmp_path / "killed", tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" / "checkpoints" / "step-0000006.ckpt").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.stdout.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped_at = checkpoint_of(tmp_path / "killed")["global_step"]
    train(config, features, tmp_path / "killed")
    assert stopped_at <= 14
    assert_same_state(checkpoint_of(tmp_path / "whole"), checkpoint_of(tmp_path / "killed"))


@pytest.mark.parametrize("stop", [2, 4, 6])
def test_a_run_stopped_between_checkpoints_repeats_its_steps(features, tmp_path, stop):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(tiny_config(), features, whole)
    first = train(tiny_config(steps=8), features, parts)
    for path in (parts / "checkpoints").glob("step-*.ckpt"):
        if int(path.stem.removeprefix("step-")) > stop:
            path.unlink()
    first.write_bytes((parts / "checkpoints" / f"step-{stop:07d}.ckpt").read_bytes())
    train(tiny_config(), features, parts)
    assert_same_state(checkpoint_of(whole), checkpoint_of(parts))


def test_a_run_with_another_model_is_refused_with_the_difference(features, tmp_path):
    train(tiny_config(steps=2, prior_steps=2), features, tmp_path)
    with pytest.raises(ModelError, match=r"seed: 0 -> 1"):
        train(tiny_config(steps=2, prior_steps=2, seed=1), features, tmp_path)
    with pytest.raises(ModelError, match="holds a run already"):
        train(tiny_config(steps=2, prior_steps=2), features, tmp_path, resume="never")


def test_the_phases_train_what_they_say(features, tmp_path):
    train(tiny_config(keep=10), features, tmp_path)
    paths = sorted((tmp_path / "checkpoints").glob("step-*.ckpt"))
    states = [torch.load(p, weights_only=True)["state_dict"] for p in paths]
    priors = [n for n in states[0] if n.startswith("model.") and "denoisers" not in n and "residual" not in n]
    denoisers = [n for n in states[0] if n.startswith("model.denoisers")]

    def moved(names, a, b):
        return any(not torch.equal(a[n], b[n]) for n in names)

    assert moved(priors, states[0], states[1]) and not moved(denoisers, states[0], states[1])  # steps 2 to 4
    assert not moved(priors, states[2], states[3]) and moved(denoisers, states[2], states[3])  # steps 6 to 8


def test_prior_mixup_changes_what_the_denoisers_learn_and_not_the_spread_that_sampling_starts_from(features, tmp_path):
    states = []
    for probability in (0.0, 1.0):
        exp = tmp_path / str(probability)
        train(tiny_config(prior_mixup=probability), features, exp)
        states.append(checkpoint_of(exp)["state_dict"])
    plain, mixed = states
    assert torch.equal(plain["model.residual_std"], mixed["model.residual_std"])
    assert any(not torch.equal(plain[n], mixed[n]) for n in plain if n.startswith("model.denoisers"))


def test_the_last_step_is_kept_wherever_it_falls(features, tmp_path):
    last = train(tiny_config(steps=3, prior_steps=3), features, tmp_path)
    assert torch.load(last, weights_only=True)["global_step"] == 3
    assert sorted(p.name for p in last.parent.iterdir()) == ["last.ckpt", "step-0000002.ckpt", "step-0000003.ckpt"]


def test_averaging_is_the_mean_of_the_moving_averages(features, tmp_path):
    train(tiny_config(keep=10), features, tmp_path)
    loaded = average_checkpoints(tmp_path, 2)
    states = [torch.load(tmp_path / "checkpoints" / f"step-000000{n}.ckpt", weights_only=True)["state_dict"] for n in (6, 8)]
    name = "denoisers.source.net.stem.weight"
    expected = torch.stack([s[f"ema.{name}"] for s in states]).mean(0)
    torch.testing.assert_close(loaded.model.state_dict()[name], expected)
    assert set(loaded.speakers) == {"ada", "bob"}


def test_a_run_that_names_no_development_set_is_refused_by_the_average(features, tmp_path):
    train(tiny_config(steps=2, prior_steps=2), features, tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"features": str(features)}))
    with pytest.raises(ModelError, match="found no dev, an older version wrote it"):
        average_checkpoints(tmp_path, 1)


def test_a_step_that_is_not_finite_is_skipped_and_too_many_end_the_run(features, tmp_path, monkeypatch):
    original = SpeechTask.training_step

    def poisoned(broken):
        def step(self, batch, index):
            loss = original(self, batch, index)
            return loss * math.nan if self.global_step in broken else loss

        return step

    monkeypatch.setattr(SpeechTask, "training_step", poisoned({1}))
    train(tiny_config(steps=4, prior_steps=4), features, tmp_path / "one")
    state = checkpoint_of(tmp_path / "one")
    assert all(torch.isfinite(v).all() for v in state["state_dict"].values())
    assert state["bad_steps"] == 0
    monkeypatch.setattr(SpeechTask, "training_step", poisoned(range(100)))
    with pytest.raises(ModelError, match="3 steps in a row had no finite gradient"):
        train(tiny_config(steps=8, prior_steps=8, max_bad_steps=3), features, tmp_path / "many")


def test_a_batch_that_is_not_finite_leaves_no_trace_in_what_is_measured(features, tmp_path, monkeypatch):
    original = SpeechTask.training_step

    def poisoned(self, batch, index):
        scale = math.nan if self.global_step in (1, 5) else 1.0
        return original(self, dataclasses.replace(batch, mel=batch.mel * scale), index)

    monkeypatch.setattr(SpeechTask, "training_step", poisoned)
    train(tiny_config(freeze_priors=False, prior_steps=3), features, tmp_path)
    state = checkpoint_of(tmp_path)
    assert all(torch.isfinite(v).all() for v in state["state_dict"].values())
    assert not (state["state_dict"]["model.residual_std"] == 0.5).any()


def test_every_rank_learns_where_in_time_to_look_from_the_batches_of_all(monkeypatch):
    t, gaps = torch.tensor([[0.1, 0.5], [0.3, 0.9]]), torch.tensor([[0.2, 0.4], [0.6, 0.8]])
    states = []
    for rank in range(2):
        task = SpeechTask(tiny_config())
        sent = []

        def all_gather(mine, rank=rank, sent=sent):
            sent.append(mine)
            other = torch.full_like(mine, math.nan)
            other[:, :2] = torch.stack((t[1 - rank], gaps[1 - rank]))
            return torch.stack((mine, other) if rank == 0 else (other, mine))

        monkeypatch.setattr(task, "all_gather", all_gather)
        task._learn_times(t[rank], gaps[rank])
        assert sent[0].shape == (2, task.config.max_batch)
        states.append(task.times.state_dict()["mean_loss"])
    assert torch.equal(*(state.nan_to_num(-1.0) for state in states))
    assert sorted(states[0][states[0].isfinite()].tolist()) == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_features_that_were_not_aligned_are_refused_before_anything_is_written(tmp_path):
    folder = tmp_path / "features"
    make_features(folder, n=2, seconds=0.8)
    (folder / DURATIONS).unlink()
    with pytest.raises(DataError, match=r"no durations\.safetensors. Run `glottis align` first"):
        train(tiny_config(), folder, tmp_path / "exp")
    assert not (tmp_path / "exp").exists()


def test_a_second_process_takes_the_run_of_the_first_for_its_own(tmp_path, monkeypatch):
    config = tiny_config()
    write_json(tmp_path / "config.json", to_dict(config))  # as the first process has just done
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert _checkpoint_to_resume(config, tmp_path, "never") is None
    monkeypatch.delenv("LOCAL_RANK")
    with pytest.raises(ModelError, match="holds a run already"):
        _checkpoint_to_resume(config, tmp_path, "never")


def test_a_run_goes_on_under_a_version_with_settings_that_it_did_not_know(tmp_path):
    config = tiny_config()
    older = to_dict(config)
    assert older["model"].pop("beta_max") == 20.0
    write_json(tmp_path / "config.json", older)
    assert _checkpoint_to_resume(config, tmp_path, "auto") is None
    older["model"]["beta_max"] = 19.0
    write_json(tmp_path / "config.json", older)
    with pytest.raises(ModelError, match="holds a run with another configuration"):
        _checkpoint_to_resume(config, tmp_path, "auto")


def test_half_a_checkpoint_is_never_in_the_place_of_a_whole_one(tmp_path, monkeypatch):
    path, io = tmp_path / "checkpoints" / LAST, AtomicCheckpointIO()
    io.save_checkpoint({"global_step": 1}, path)
    monkeypatch.setattr(torch, "save", lambda _, file: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        io.save_checkpoint({"global_step": 2}, path)
    assert read_checkpoint(path) == {"global_step": 1}
    assert [p.name for p in path.parent.iterdir()] == [LAST]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"last\.ckpt: not a complete checkpoint"):
        read_checkpoint(path)


def test_the_learning_rate_warms_up_and_decays_in_each_phase():
    config = tiny_config(steps=200, prior_steps=100, optimizer=OptimizerConfig(warmup=10, final_lr=0.1))
    rates = [learning_rate(n, config) for n in range(200)]
    assert rates[0] == pytest.approx(0.1) and rates[100] == pytest.approx(0.1)
    assert max(rates[:100]) == max(rates[100:]) and rates[99] == pytest.approx(0.1, abs=0.01)


def test_losses_fall_on_the_synthetic_corpus(features, tmp_path):
    config = tiny_config(steps=60, prior_steps=60, checkpoint_every=60, figures_every=60)
    train(config, features, tmp_path)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    prior = [e.value for e in events.Scalars("loss/prior")]
    assert sum(prior[-5:]) < 0.8 * sum(prior[:5])
    assert (tmp_path / "images" / "step-0000060.png").stat().st_size > 1000


@pytest.mark.timeout(240)
def test_two_processes_go_on_as_if_they_had_not_been_stopped(features, tmp_path):
    config = tiny_config(steps=6, prior_steps=2, keep=10, figures_every=3, cpu_processes=2)
    for name in ("whole", "parts"):
        process = start(config, features, tmp_path / name, tmp_path)
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 0, output
        if name == "whole":
            shutil.copytree(tmp_path / "whole", tmp_path / "parts")
            (tmp_path / "parts" / "checkpoints" / "step-0000006.ckpt").unlink()
            shutil.copy(tmp_path / "parts" / "checkpoints" / "step-0000004.ckpt", tmp_path / "parts" / "checkpoints" / LAST)
    assert_same_state(checkpoint_of(tmp_path / "whole"), checkpoint_of(tmp_path / "parts"))
    assert (tmp_path / "parts" / "images" / "step-0000006.png").exists()


@pytest.mark.timeout(240)
def test_two_processes_give_the_gradients_of_one(features, tmp_path):
    script = Path(__file__).with_name("ddp_gradients.py")
    run = subprocess.run([sys.executable, str(script), str(features)], capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "largest difference" in run.stdout


@pytest.mark.parametrize("name", ["mini", "small", "base"])
def test_every_preset_composes(name):
    config = load_train_config(name, ["steps=20", "prior_steps=10"])
    assert (config.steps, config.prior_steps) == (20, 10)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("modle.x=1", "modle"),
        ("model.prior.layers=a", "Integer"),
        ("threads=0", "threads"),
        ("steps=", "Integer"),
        ("optimizer.lr=nan", "train.optimizer.lr: found nan, expected 0 to 1"),
        ("weights.gauge=-1", "train.weights.gauge: found -1"),
        ("model.prior.kernel_size=4", "model.prior.kernel_size: found 4, expected an odd number"),
        ("model.text.heads=3", "160 channels do not divide among 3 heads"),
        ("model.denoiser.channels=[]", r"model.denoiser.channels: found \(\), expected 1 to"),
        ("model.style_dim=1000000000", "model.style_dim: found 1000000000"),
    ],
)
def test_wrong_overrides_are_refused(override, message):
    with pytest.raises(ConfigError, match=message):
        load_train_config("mini", [override])


def test_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(ConfigError, match="base, base_vc, mini, mini_vc, small, small_vc"):
        load_train_config("huge")

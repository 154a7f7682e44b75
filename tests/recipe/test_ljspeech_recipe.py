"""The whole recipe with a model of a few thousand weights on a synthetic voice: to its end, again, and killed in between."""

import os
import re
import signal
import subprocess
import time

import pytest
import torch
from safetensors.torch import load_file

from tts.metrics.systems import read_decoded
from tts.testing import make_corpus

pytestmark = [pytest.mark.recipe, pytest.mark.timeout(1500)]

STEPS = 24
TINY = (
    f"steps={STEPS} prior_steps=10 checkpoint_every=2 figures_every=1000 log_every=2 threads=1 max_batch=2 workers=0 keep=3 "
    "model.style_dim=8 model.style_hidden=8 model.content_dim=8 "
    "model.text.channels=8 model.text.layers=1 model.text.hidden=8 model.text.predictor_channels=8 "
    "model.prior.channels=8 model.prior.layers=1 model.denoiser.channels=[8,8]"
)
DATA = ["--frontend", "characters", "--num_eval", "1", "--num_dev", "1", "--nj", "1"]
MODEL = ["--train_args", TINY, "--inference_args", "--steps 2 --device cpu", "--asr", "none"]


@pytest.fixture(scope="module")
def options(real_recipe):
    """The options of every run here, with a corpus of seven sentences in a folder with an odd name."""
    corpus = make_corpus(real_recipe.folder / "a voice ü", n=7, seconds=1.0)
    return ["--db_root", str(corpus), *DATA, *MODEL]


@pytest.fixture(scope="module")
def finished(real_recipe, options):
    """The experiment folder of one run from recordings to a packed model."""
    done = real_recipe.run(*options, "--tag", "whole")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return real_recipe.folder / "exp" / "ljspeech_whole"


def same_weights(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_it_ends_with_speech_a_report_and_a_model(finished):
    assert list((finished / "checkpoints").glob("*.ckpt"))
    assert list((finished / "decode" / "eval").rglob("*.wav"))
    assert (finished / "evaluate" / "RESULTS.md").stat().st_size > 100
    assert {"config.json", "model.safetensors", "tokens.txt", "statistics.safetensors", "README.md"} <= {
        path.name for path in (finished / "model").iterdir()
    }


def test_the_packed_model_speaks(finished, real_recipe):
    out = real_recipe.folder / "said.wav"
    python = f"{real_recipe.environment['GLOTTIS_VENV']}/bin/python"
    words = ["-m", "tts.apps.cli", "synthesize", "--model", str(finished / "model"), "--text", "ma ne li.", "--out", str(out)]
    done = subprocess.run([python, *words], env=real_recipe.environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert out.stat().st_size > 1000


def test_run_again_it_does_nothing_in_little_time(finished, real_recipe, options):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file() and path.name != "run.sh"}
    begin = time.monotonic()
    done = real_recipe.run(*options, "--tag", "whole")
    assert done.returncode == 0
    assert time.monotonic() - begin < 60
    assert len(re.findall(r"stage \d, \w+: done before", done.stdout)) == 15
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_killed_in_training_and_run_again_it_ends_with_the_same_weights(finished, real_recipe, options):
    exp = real_recipe.folder / "exp" / "ljspeech_killed"
    run = subprocess.Popen(
        real_recipe.command(*options, "--tag", "killed", "--stop_stage", "6"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=real_recipe.environment,
        start_new_session=True,
    )
    deadline = time.monotonic() + 600
    while not list(exp.glob("checkpoints/*.ckpt")):
        assert run.poll() is None, "the run ended before its first checkpoint"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not (exp / ".done" / "5.train").exists(), "the run was not killed in training"
    done = real_recipe.run(*options, "--tag", "killed", "--stop_stage", "6")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    whole, killed = (load_file(folder / "averaged" / "model.safetensors") for folder in (finished, exp))
    assert same_weights(whole, killed)


def test_the_configuration_of_a_finished_experiment_cannot_be_changed(finished, real_recipe, options):
    done = real_recipe.run(*options, "--tag", "whole", "--stage", "5", "--stop_stage", "5", "--train_args", f"{TINY} seed=1")
    assert done.returncode == 1
    assert "another configuration" in done.stdout
    assert "seed: 0 -> 1" in done.stdout


def test_a_vocoder_is_trained_on_the_same_recordings_and_speaks(finished, real_recipe, options):
    vocoder = ["--vocoder", "train", "--vocoder_args", "--steps 2 --batch 1 --threads 1 --device cpu"]
    done = real_recipe.run(*options, "--tag", "whole", "--stage", "6", "--stop_stage", "7", *vocoder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (finished / "vocoder" / "last.ckpt").is_file()
    assert {system.vocoder for system in read_decoded([finished / "decode" / "eval"])} == {str(finished / "vocoder")}

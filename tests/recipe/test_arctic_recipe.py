"""The whole recipe of voice conversion with a model of a few thousand weights on synthetic voices: to its end, and again."""

import json
import re

import pytest

from tts.data.kaldi_dir import read_kaldi_dir
from tts.testing import make_corpus

pytestmark = [pytest.mark.recipe, pytest.mark.timeout(1500)]

TINY = (
    "steps=16 prior_steps=8 checkpoint_every=4 figures_every=1000 log_every=2 threads=1 max_batch=4 workers=0 "
    "model.style_dim=8 model.style_hidden=8 model.content_dim=8 "
    "model.text.channels=8 model.text.layers=1 model.text.hidden=8 model.text.predictor_channels=8 "
    "model.prior.channels=8 model.prior.layers=1 model.denoiser.channels=[8,8]"
)
DATA = ["--frontend", "characters", "--num_eval", "2", "--num_dev", "1", "--nj", "1", "--unseen_speakers", "joe liz"]
MODEL = ["--recognizer_args", "--steps 4 --max-frames 400 --device cpu", "--train_args", TINY]
SPEECH = ["--num_pairs", "4", "--inference_args", "--steps 2 --device cpu", "--asr", "none"]
STAGES = 26  # of run_stage, with those of the unseen speakers


@pytest.fixture(scope="module")
def options(real_arctic):
    """The options of every run here: five voices, of whom two are never trained on, in two folders of odd names."""
    one = make_corpus(real_arctic.folder / "voices ü", 6, 1.0, ("ada", "bob", "eve"))
    other = make_corpus(real_arctic.folder / "-more", 3, 1.0, ("joe", "liz"))
    return [f"--db_root={one},{other}", *DATA, *MODEL, *SPEECH, "--tag", "whole"]


@pytest.fixture(scope="module")
def finished(real_arctic, options):
    """The experiment folder of one run from recordings to a packed model."""
    done = real_arctic.run(*options)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return real_arctic.folder / "exp" / "arctic_whole"


def test_it_ends_with_conversions_speech_reports_and_a_model(finished):
    for name in ("both", "source_only", "filter_only", "unseen"):
        waves = sorted(path.stem for path in (finished / "convert" / name).rglob("*.wav"))
        pairs = finished / "pairs" / ("unseen.tsv" if name == "unseen" else "eval.tsv")
        lines = pairs.read_text(encoding="utf-8").splitlines()
        assert waves == sorted(line.split("\t")[0] for line in lines if not line.startswith("#"))
        assert len(waves) == 4
    assert list((finished / "decode" / "eval").rglob("*.wav"))
    for name in ("evaluate", "evaluate_conversion", "evaluate_unseen"):
        assert json.loads((finished / name / "results.json").read_text(encoding="utf-8"))
    assert {"config.json", "model.safetensors", "recognizer"} <= {path.name for path in (finished / "model").iterdir()}


def test_nobody_unseen_and_no_sentence_held_out_is_trained_on(finished, real_arctic):
    (data,) = real_arctic.folder.glob("dump/vc_*/data")
    sets = {name: read_kaldi_dir(data / name) for name in ("train", "dev", "eval", "unseen")}
    assert {u.speaker for u in sets["unseen"]} == {"joe", "liz"}
    assert {u.speaker for u in sets["train"]} == {"ada", "bob", "eve"}
    assert not {u.text for u in sets["train"]} & {u.text for u in sets["eval"] + sets["dev"]}


def test_run_again_it_does_nothing(finished, real_arctic, options):
    done = real_arctic.run(*options)
    assert done.returncode == 0
    assert len(re.findall(r"stage \d, \w+: done before", done.stdout)) == STAGES
    assert not re.findall(r"stage \d, \w+: done in", done.stdout)

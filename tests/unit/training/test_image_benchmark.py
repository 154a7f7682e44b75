"""The benchmark: a row a method and seed, made once, baselines always beside them, and the same minutes for all."""

import dataclasses
import json
import logging
from types import SimpleNamespace

import pytest

from tts.errors import ConfigError
from tts.image.datasets import open_images
from tts.image.registry import MODELS
from tts.inference.image_evaluation import EvaluationSettings
from tts.inference.image_folder import load_image_folder
from tts.metrics.learners import Trees
from tts.training import image_benchmark
from tts.training.image_benchmark import DIFFUSION, VAES, Benchmark, every_method, run_benchmark

PARTS = {"first_stage", "ddpm", "labelled", "contrastive"}  # no methods of codes by themselves
TINY = ("steps=2", "batch_size=2", "model.width=4", "model.hidden=8", "threads=1", "checkpoint_every=2", "figures_every=100")


@pytest.fixture
def benchmark(monkeypatch):
    """Two seeds of a small VAE at 16 pixels, scored by their seed alone."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    def scored(model, images, settings, *, baselines, **options):
        assert not baselines
        systems = {model.config.kind.value: {"mig": 0.2 + settings.seed, "mse": 0.01 * model.config.n_units, "sap": 0.0012}}
        return {"systems": systems, "conditions": [f"{images.name} scored", f"{settings.trees.value} trees"]}

    monkeypatch.setattr(image_benchmark, "evaluate_image_model", scored)
    monkeypatch.setattr(
        image_benchmark, "evaluate_baselines", lambda *a: {"random encoder": {"mig": 0.1}, "PCA of pixels": {"mig": 0.3}}
    )
    monkeypatch.setattr(image_benchmark, "train_latent_prior", lambda *args, **kwargs: 0.0)
    return Benchmark(size=16, methods=("betavae",), seeds=(0, 1), fast=True, overrides=TINY)


def test_rows_are_made_once_and_the_table_has_mean_deviation_and_baselines(benchmark, tmp_path, monkeypatch):
    table = run_benchmark(benchmark, tmp_path, "cpu")
    names = [f"{name}-seed{seed}.json" for name in ("baselines", "betavae") for seed in (0, 1)]
    assert sorted(path.name for path in (tmp_path / "rows").iterdir()) == names
    row = next(line for line in table.splitlines() if line.startswith("| betavae "))
    assert "0.700 ± 0.707 (2)" in row and "0.0012 ± 0.0000 (2)" in row
    assert "| PCA of pixels | 0.300 ± 0.000 (2) |" in table and "| random encoder | 0.100 ± 0.000 (2) |" in table
    assert "the steps of the presets" in table and "shapes scored; histogram trees." in table
    figures = json.loads((tmp_path / "rows" / "betavae-seed1.json").read_text())["systems"]["betavae"]
    assert figures["parameters"] > 1000 and figures["cpu_minutes"] * 60 == pytest.approx(2 * figures["seconds_per_step"])
    monkeypatch.setattr(image_benchmark, "train_image_model", None)
    assert run_benchmark(benchmark, tmp_path, "cpu") == table == (tmp_path / "RESULTS.md").read_text()


def test_variants_have_rows_of_their_own_and_the_base_of_guided_methods_one(benchmark, tmp_path):
    methods = ("betavae", "betavae:model.n_units=3,model.width=8")
    table = run_benchmark(dataclasses.replace(benchmark, methods=methods, seeds=(0,)), tmp_path / "vae", "cpu")
    rows = {line.split(" | ")[0].strip("| "): line for line in table.splitlines() if line.startswith("| betavae")}
    assert list(rows) == list(methods)
    assert "0.0300" in rows[methods[1]] and "0.1000" in rows[methods[0]]
    assert (tmp_path / "vae" / "rows" / "betavae-model.n_units-3-model.width-8-seed0.json").exists()
    tiny = ("steps=1", "batch_size=2", "threads=1", "model.unet.base=8", "model.unet.heads=2", "checkpoint_every=2")
    guided = dataclasses.replace(benchmark, methods=("pdae:model.encoder_width=4",), seeds=(0,), overrides=tiny)
    table = run_benchmark(guided, tmp_path / "guided", "cpu")
    assert "| ddpm |" in table and "| pdae:model.encoder_width=4 |" in table
    plain = ("steps=1", "batch_size=2", "threads=1")
    methods = ("clip_guided", "clip_guided:model.source=heads")
    told = dataclasses.replace(benchmark, methods=methods, seeds=(0,), overrides=plain)
    table = run_benchmark(told, tmp_path / "told", "cpu")
    assert "| ddpm |" in table and all(f"| {method} |" in table for method in methods)
    codes = {"clip_guided": (6, 64), "clip_guided-model.source-heads": (6, 8)}  # the first as long as the features of texts
    for name, shape in codes.items():
        config = load_image_folder(tmp_path / "told" / f"{name}-seed0" / "model").model.config
        assert (config.n_units, config.unit_dim) == shape
    assert (tmp_path / "told" / "encoder" / "model" / "config.json").exists()


def test_a_method_whose_code_is_ignored_has_its_row_and_the_table_says_so(benchmark, tmp_path):
    tiny = ("steps=1", "batch_size=2", "threads=1", "model.unet.base=8", "model.encoder_width=4", "z_usage_after=0")
    ignoring = dataclasses.replace(benchmark, methods=("encdiff",), seeds=(0,), overrides=tiny)
    table = run_benchmark(ignoring, tmp_path, "cpu")
    assert "| encdiff |" in table and "encdiff, seed 0: the code is ignored" in table


def test_by_default_every_method_is_compared_that_the_images_have_labels_for():
    every = {*DIFFUSION, *VAES}
    assert {*every_method(open_images("sprites", size=16))} == every == {kind.value for kind in MODELS} - PARTS
    attributes, nothing = (SimpleNamespace(factors=None, label_names=names) for names in (("young",), ()))
    assert every - {*every_method(attributes)} == {"clip_guided"}
    assert every - {*every_method(nothing)} == {"clip_guided", "guidedvae"}


def test_the_trees_are_those_that_are_asked_for_and_fast_ones_otherwise():
    assert Benchmark().settings(3) == EvaluationSettings(images=64, samples=400, trees=Trees.HISTOGRAM, seed=3)
    assert Benchmark(trees=Trees.EXACT).settings(0).trees is Trees.EXACT


def test_minutes_become_the_steps_that_fit_into_them(benchmark, tmp_path, monkeypatch):
    asked = []
    original = image_benchmark.train_image_model

    def watched(config, exp, **options):
        asked.append(config.steps)
        return original(dataclasses.replace(config, steps=2), exp, **options)

    monkeypatch.setattr(image_benchmark, "train_image_model", watched)
    table = run_benchmark(dataclasses.replace(benchmark, minutes=0.5), tmp_path, "cpu")
    found = json.loads((tmp_path / "steps" / "betavae.json").read_text())
    assert asked == [image_benchmark.PROBE_STEPS, found["steps"], found["steps"]]
    assert found["steps"] == round(30 / found["seconds_per_step"])
    assert "0.5 CPU minutes each" in table


@pytest.mark.parametrize(
    ("method", "size", "said"),
    [("pdae", 48, "pdae: size must be a power of two"), ("encdiff", 20, "expected a multiple of 8"), ("vae", 128, "for a VAE")],
)
def test_sizes_that_a_method_cannot_take_are_refused_before_its_base_is_trained(benchmark, tmp_path, method, size, said):
    wrong = dataclasses.replace(benchmark, methods=(method,), size=size, overrides=())
    with pytest.raises(ConfigError, match=said):
        run_benchmark(wrong, tmp_path, "cpu")
    assert not list(tmp_path.iterdir())

"""Training of image models: batches, phases, exact resume, steps that are not finite, the folder that a run leaves."""

import dataclasses
import logging
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from tts.errors import ConfigError, ModelError
from tts.image.base import BaseConfig
from tts.image.config import DiffusionConfig, Kind, TimesKind, UNetConfig
from tts.image.datasets import open_images
from tts.image.encdiff import EncDiffConfig
from tts.image.labelled import LabelledConfig
from tts.image.shapes import Shapes
from tts.image.vae_config import FactorVaeConfig
from tts.inference.image_folder import load_image_folder
from tts.inference.image_split import unseen
from tts.training.compose import preset_folder
from tts.training.image import ImageTask, learning_rate
from tts.training.image_config import ImageOptimizer, ImageTrainConfig, load_image_config
from tts.training.image_data import ImageStream
from tts.training.image_parts import Parts
from tts.training.image_run import train_image_model

UNET = UNetConfig(base=8, multipliers=(1,), attention=(True,), heads=2, unshuffle=4)
MODELS = {
    "encdiff": EncDiffConfig(
        n_units=3, encoder_width=4, unet=UNET, token_hidden=(4,), token_dim=4, diffusion=DiffusionConfig(times=TimesKind.gap)
    ),
    "factorvae": FactorVaeConfig(n_units=3, width=4, hidden=8, discriminator_width=8, discriminator_layers=2),
}


@pytest.fixture(autouse=True)
def quiet():
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def config(kind="factorvae", **changes):
    values = {"model": MODELS[kind], "data": "shapes", "size": 16, "batch_size": 4, "device": "cpu", "threads": 1}
    values |= {"log_every": 1, "checkpoint_every": 2, "figures_every": 1000, "flips": True}
    return ImageTrainConfig(**(values | changes))


def state(exp):
    return torch.load(exp / "last.ckpt", weights_only=True)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """For each kind a run of five steps that was never stopped."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in MODELS}
    for kind, folder in folders.items():
        train_image_model(config(kind, steps=5), folder)
    return folders


def test_a_batch_is_a_function_of_seed_and_number_and_flips_mirror_half_of_it():
    images = open_images("shapes", size=16)
    plain, flipped = (ImageStream(images, 64, seed=3, flips=flips) for flips in (False, True))
    again = iter(ImageStream(images, 64, seed=3, first_batch=2))
    assert torch.equal(next(again)[0], plain.batch(2)[0])
    assert not torch.equal(plain.batch(1)[0], plain.batch(2)[0])
    x, y = plain.batch(0)[0], flipped.batch(0)[0]
    same, mirrored = ((x == other).flatten(1).all(1) for other in (y, y.flip(3)))
    assert bool((same | mirrored).all())
    assert 16 < int((mirrored & ~same).sum()) < 48


def test_what_is_held_out_is_never_drawn_and_the_folder_says_so(tmp_path, monkeypatch):
    original, drawn = Shapes.images, []

    def watched(self, index):
        drawn.extend(np.asarray(index).tolist())
        return original(self, index)

    monkeypatch.setattr(Shapes, "images", watched)
    folder = train_image_model(config(steps=2, held_out=0.5, figures_every=1), tmp_path)
    assert len(drawn) > 4000 and not unseen(np.array(drawn), 0.5).any()
    assert load_image_folder(folder).trained.held_out == 0.5


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("stop", [1, 3])
def test_a_run_that_broke_off_ends_with_the_state_of_one_never_stopped(straight, tmp_path, monkeypatch, kind, stop):
    original = ImageTask.training_step

    def broken(self, batch, index):
        if self.batches == stop:
            raise OSError("as if killed")
        original(self, batch, index)

    monkeypatch.setattr(ImageTask, "training_step", broken)
    with pytest.raises(OSError, match="as if killed"):
        train_image_model(config(kind, steps=5), tmp_path)
    monkeypatch.undo()
    train_image_model(config(kind, steps=5), tmp_path)
    resumed, never = state(tmp_path), state(straight[kind])
    assert resumed["batches"] == never["batches"] == resumed["global_step"] == 5
    for name, tensor in never["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], tensor), name
    for mine, other in zip(resumed["optimizer_states"], never["optimizer_states"], strict=True):
        assert str(mine) == str(other)
    assert str(resumed.get("times")) == str(never.get("times"))
    weights = [folder / "model" / "model.safetensors" for folder in (tmp_path, straight[kind])]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def train_until_killed(kind, folder):
    """Train until SIGKILL comes in the middle of batch 3; the last checkpoint is of step 2."""
    original = ImageTask._step

    def step(self, *arguments):
        if self.batches == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *arguments)

    ImageTask._step = step
    train_image_model(config(kind, steps=5), Path(folder))


@pytest.mark.parametrize("kind", MODELS)
def test_a_process_that_was_killed_leaves_a_run_that_ends_with_the_same_bits(straight, tmp_path, kind):
    here = Path(__file__)
    code = f"import sys; sys.path.insert(0, {str(here.parent)!r}); import {here.stem} as t; t.train_until_killed(*sys.argv[1:])"
    environment = os.environ | {"PYTHONPATH": str(here.parents[3])}
    child = subprocess.run([sys.executable, "-c", code, kind, str(tmp_path)], env=environment, capture_output=True, text=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert (tmp_path / "last.ckpt").exists() and not (tmp_path / "model").exists()
    train_image_model(config(kind, steps=5), tmp_path)
    for name, tensor in state(straight[kind])["state_dict"].items():
        assert torch.equal(state(tmp_path)["state_dict"][name], tensor), name
    weights = [folder / "model" / "model.safetensors" for folder in (tmp_path, straight[kind])]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize("kind", MODELS)
def test_the_folder_holds_the_averaged_weights_and_the_statistics_of_codes(straight, kind):
    loaded, weights = load_image_folder(straight[kind]), state(straight[kind])["state_dict"]
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, weights[f"ema.{name}"]), name
    assert any(not torch.equal(weights[f"model.{name}"], value) for name, value in loaded.model.state_dict().items())
    assert loaded.codes is not None and loaded.codes.mean.shape == (3, 1)
    assert (loaded.trained.steps, loaded.trained.images, loaded.trained.data) == (5, 20, "shapes")
    assert "method | " in (straight[kind] / "model" / "README.md").read_text()


def test_each_phase_moves_its_own_parameters_alone():
    from tts.image.registry import build_model

    model = build_model(MODELS["factorvae"])
    task = ImageTask(config(), model)
    task.log = lambda *args, **kwargs: None
    moved = []
    for number in range(2):
        before = {name: p.clone() for name, p in model.named_parameters()}
        optimizer = torch.optim.SGD(task._trained_in(model.phases[number]), 0.1)
        optimizer.optimizer = optimizer
        task._optimizers = lambda optimizer=optimizer: [optimizer, optimizer]
        x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
        assert task._step(number, x, None, torch.Generator().manual_seed(0))
        moved.append({name.partition(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])})
    assert moved == [{"encoder", "decoder"}, {"discriminator"}]


def test_a_step_that_is_not_finite_changes_nothing_and_too_many_end_the_run(tmp_path, monkeypatch):
    original, states = ImageTask.training_step, []

    def poisoned(broken):
        def step(self, batch, index):
            states.append({name: value.clone() for name, value in self.ema.state_dict().items() if name != "progress"})
            x, labels = batch
            original(self, (x * (math.nan if self.batches in broken else 1), labels), index)

        return step

    monkeypatch.setattr(ImageTask, "training_step", poisoned({1}))
    train_image_model(config(steps=2), tmp_path / "some")
    assert len(states) == 3
    assert all(torch.equal(value, states[2][name]) for name, value in states[1].items())
    last = state(tmp_path / "some")
    assert (last["batches"], last["bad_steps"], last["global_step"]) == (3, 0, 2)
    assert all(value.isfinite().all() for value in last["state_dict"].values())
    monkeypatch.setattr(ImageTask, "training_step", poisoned(range(100)))
    with pytest.raises(ModelError, match="3 steps in a row had no finite gradient"):
        train_image_model(config(steps=5, max_bad_steps=3), tmp_path / "many")


def test_another_run_or_any_with_never_is_refused_and_a_base_where_none_is_used(straight, tmp_path):
    with pytest.raises(ModelError, match=r"another configuration.*batch_size: 4 -> 3.*another --tag"):
        train_image_model(config(steps=5, batch_size=3), straight["factorvae"])
    with pytest.raises(ModelError, match="holds a run already"):
        train_image_model(config(steps=5), straight["factorvae"], resume="never")
    with pytest.raises(ConfigError, match="factorvae takes no base"):
        train_image_model(config(steps=5), tmp_path, parts=Parts(base=straight["encdiff"]))
    with pytest.raises(ConfigError, match="pdae needs --base"):
        train_image_model(load_image_config("pdae_mini", ["size=16"]), tmp_path)


def test_the_learning_rate_warms_up_and_falls_to_its_end_on_a_cosine():
    settings = ImageOptimizer(warmup=4, final_lr=0.1)
    found = [learning_rate(n, settings, 100) for n in (0, 3, 50, 100)]
    expected = [0.25 * (0.1 + 0.9), 0.1 + 0.45 * (1 + math.cos(0.03 * math.pi)), 0.55, 0.1]
    assert np.allclose(found, expected)


@pytest.mark.parametrize("profile", ["mini", "paper"])
def test_every_preset_makes_its_model(profile):
    from tts.image.registry import build_model

    names = sorted(path.stem for path in (preset_folder() / "image").glob(f"*_{profile}.yaml"))
    stages = dict.fromkeys(("first_stage_vq", "first_stage_kl"), "first_stage")
    variants = {"isometric": "ddpm", **stages}  # presets of another kind's
    assert len(names) >= 10
    for name in names:
        found = load_image_config(name, ["seed=7"])
        method = name.rpartition("_")[0]
        assert (found.model.kind.value, found.seed) == (variants.get(method, method), 7)
        if found.model.kind is not Kind.clip_guided:  # which is built on an encoder's folder, or open_clip
            with torch.device("meta"):
                assert build_model(found.model).phases


METHODS = {kind.value for kind in Kind} - {"clip_guided", "first_stage"}  # the first is built on an encoder's folder


@pytest.mark.parametrize("method", sorted(METHODS | {"first_stage_vq", "first_stage_kl"}))
def test_every_method_trains_in_half_precision_with_losses_and_weights_in_full(tmp_path, monkeypatch, method):
    small = ["data=shapes", "size=16", "batch_size=4", "steps=1", "threads=1", "device=cpu", "precision=bf16"]
    guided = method in ("pdae", "disdiff")
    base = train_image_model(load_image_config("ddpm_mini", small), tmp_path / "base") if guided else None
    logged = {}
    monkeypatch.setattr(ImageTask, "log", lambda self, name, value, **_: logged.__setitem__(name, value))
    folder = train_image_model(load_image_config(f"{method}_mini", small), tmp_path / "run", parts=Parts(base=base))
    losses = [value for name, value in logged.items() if name.startswith("loss/")]
    assert losses and all(value.dtype is torch.float32 and torch.isfinite(value) for value in losses)
    weights = [v for v in load_image_folder(folder).model.state_dict().values() if v.is_floating_point()]
    assert all(v.dtype is torch.float32 and v.isfinite().all() for v in weights)


@pytest.mark.parametrize("stage", ["vq", "kl"])
def test_the_terms_of_a_first_stage_are_set_by_name(stage):
    found = load_image_config(f"first_stage_{stage}_mini", [f"model.{stage}.perceptual=1", f"model.{stage}.adversarial=0.5"])
    config = getattr(found.model, stage)
    keys = {field.name for field in dataclasses.fields(config)} - {"kind", "channels"}
    assert (config.perceptual, config.adversarial) == (1, 0.5)
    for profile in ("mini", "paper"):  # a key that a preset leaves out could not be overridden
        written = OmegaConf.load(preset_folder() / "image" / f"first_stage_{stage}_{profile}.yaml")
        assert {*written.model[stage]} == keys


@pytest.mark.parametrize("override", ["steps=0", "model.n_units=-1", "optimizer.lr=2", "nothing=1", "model.kind=vae", "size=7"])
def test_a_setting_out_of_range_or_unknown_is_refused(override):
    with pytest.raises(ConfigError):
        load_image_config("encdiff_mini", [override])


def test_a_pooled_run_makes_an_ordinary_model_of_the_smaller_size_and_a_labelled_one_takes_names_from_the_data(tmp_path):
    small = BaseConfig(unet=UNET, diffusion=DiffusionConfig(shift=2.0))
    folder = train_image_model(config(model=small, pool=1, steps=1, flips=False), tmp_path / "pooled")
    assert load_image_folder(folder).model.config.size == 8
    labelled = LabelledConfig(unet=UNET, label_dim=4)
    folder = train_image_model(config(model=labelled, steps=1, flips=False), tmp_path / "labelled")
    assert load_image_folder(folder).model.config.factor_names == open_images("shapes", size=16).label_names
    with pytest.raises(ConfigError, match=r"train\.pool: found 5, but 16 pixels cannot be halved so often"):
        train_image_model(config(model=small, pool=5), tmp_path / "no")

"""`glottis image` on a folder of the user's own, given with --data to a model that was trained on other images."""

import json
import logging

import numpy as np
import pytest
import torch
from PIL import Image

from tts.apps.cli import main
from tts.image.base import BaseConfig
from tts.image.config import UNetConfig
from tts.image.registry import build_model
from tts.inference.image_card import image_card
from tts.inference.image_folder import LoadedImageModel, TrainedOn, save_image_folder


@pytest.fixture(scope="module")
def ddpm(tmp_path_factory):
    """A colour model of 16 pixels."""
    config = BaseConfig(size=16, unet=UNetConfig(base=8, multipliers=(1,), attention=(False,), unshuffle=4))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_model(config).eval()
    trained = TrainedOn(data="shapes", size=16, steps=1, images=4, seed=0, cpu_seconds=0.5)
    loaded = LoadedImageModel(model=network, trained=trained, codes=None)
    folder = tmp_path_factory.mktemp("own") / "ddpm"
    save_image_folder(folder, loaded, image_card("mine", loaded))
    return folder


class Pixels:
    """In the place of the ImageNet network: the mean colour."""

    def to(self, device):
        return self

    def vectors(self, x):
        return x.mean((2, 3))


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Three images, all grey."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "photos").mkdir()
    for i in range(3):
        Image.new("L", (20 + i, 24), 40 * i).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


def run(verb, model, out, *words):
    return main(["image", verb, "--model", str(model), "--out", str(out), "--device", "cpu", "--steps", "4", *map(str, words)])


def cells(path):
    """Rows and columns of a grid of images of 16 pixels, enlarged four times."""
    width, height = Image.open(path).size
    return (height // 4 - 2) // 18, (width // 4 - 2) // 18


def test_grey_images_serve_a_colour_model_each_once_in_their_order(ddpm, photos, tmp_path):
    assert run("invert", ddpm, tmp_path / "x.png", "--data", photos) == 0
    assert cells(tmp_path / "x.png") == (2, 3)
    middles = np.asarray(Image.open(tmp_path / "x.png").convert("RGB"))[40, 40::72]
    assert middles.tolist() == [[0] * 3, [40] * 3, [80] * 3]


def test_a_folder_of_any_name_is_trained_on(photos, tmp_path, capsys):
    odd = photos.rename(tmp_path / "q'uo te (1), a=b#c [d] é")
    words = ["image", "train", "--config", "ddpm_mini", "--device", "cpu", "--data", str(odd), "--exp", str(tmp_path / "exp")]
    small = ["size=16", "steps=1", "batch_size=2", "threads=1"]
    assert main([*words, *small, "data=shapes"]) == 2
    assert "give one of them" in capsys.readouterr().err
    assert main([*words, *small]) == 0
    assert json.loads((tmp_path / "exp" / "model" / "config.json").read_text())["trained"]["data"] == str(odd)


def test_what_is_left_out_is_said_once(ddpm, photos, tmp_path, caplog):
    (photos / "bad.png").write_text("no image")
    with caplog.at_level(logging.WARNING):
        assert run("invert", ddpm, tmp_path / "x.png", "--data", photos) == 0
    assert [record.getMessage().count("bad.png") > 0 for record in caplog.records if record.levelname == "WARNING"] == [True]


def test_interpolation_takes_pairs_and_leaves_the_last_of_an_odd_number(ddpm, photos, tmp_path, capsys):
    assert run("interpolate", ddpm, tmp_path / "x.png", "--data", photos, "--count", 3) == 0
    assert cells(tmp_path / "x.png") == (1, 3)
    for name in ("1", "2"):
        (photos / f"{name}.png").unlink()
    assert run("interpolate", ddpm, tmp_path / "y.png", "--data", photos) == 2
    assert "images come in pairs, found 1" in capsys.readouterr().err


def test_the_card_of_a_model_without_codes_has_a_command_that_works(ddpm, photos, tmp_path):
    (command,) = [line.split() for line in (ddpm / "README.md").read_text().splitlines() if "glottis image" in line]
    assert command[:3] == ["glottis", "image", "invert"]
    assert run(command[2], ddpm, tmp_path / "x.png", "--data", photos) == 0


def test_a_small_folder_is_passed_over_until_as_many_images_are_seen(ddpm, photos, tmp_path, monkeypatch):
    seen = []

    def counted(config, model, delta, latents, *_):
        seen.append(len(latents.u))
        return [0.0]

    monkeypatch.setattr("tts.training.asyrp._train_batch", counted)
    monkeypatch.setattr("tts.training.edit_goals.imagenet_features", Pixels)
    (tmp_path / "having").mkdir()
    Image.new("RGB", (20, 20), (200, 0, 0)).save(tmp_path / "having" / "0.png")
    words = ["--without", photos, "--having", tmp_path / "having", "--encoder", "features", "--t-edit", 0.5, "--threads", 1]
    assert run("train-edit", ddpm, tmp_path / "a", *words, "--images", 7) == 0
    assert seen == [3, 3, 3]  # 9 images, the fewest whole passes that show 7
    assert run("train-edit", ddpm, tmp_path / "b", *words, "--images", 2) == 0
    assert run("train-edit", ddpm, tmp_path / "c", *words, "--epochs", 2) == 0
    assert seen[3:] == [2, 3, 3]

"""`glottis image` on diffusion models: edits, inversion, guidance, walks, geometry and their trainings, from the command line.

The models are tiny and untrained; images are drawn ones, and a user's own folder of files without labels.
"""

import argparse
import json

import numpy as np
import pytest
import torch
from PIL import Image

from tts.apps.cli import main
from tts.apps.cli.image import train_hae
from tts.diffusion import time_grid
from tts.image.base import BaseConfig
from tts.image.config import UNetConfig
from tts.image.contrastive import ContrastiveConfig
from tts.image.datasets import open_images
from tts.image.diffae import DiffAeConfig
from tts.image.groups.trajectories import START
from tts.image.labelled import LabelledConfig
from tts.image.registry import build_model
from tts.image.shapes import Shapes
from tts.image.subspace.pooled import pooled_config
from tts.inference.classifier_folder import load_classifier
from tts.inference.hae_folder import load_hae
from tts.inference.image_codes import CodeStatistics
from tts.inference.image_folder import LoadedImageModel, TrainedOn, save_image_folder
from tts.inference.image_model import ImageModel
from tts.testing import seeded

UNET = UNetConfig(base=8, multipliers=(1,), attention=(False,), unshuffle=4)
SMALL = ["--steps", "4"]


def written(folder, config, data="shapes"):
    """A model folder; what begins at zero is spread, so that codes, noise and h are felt."""
    network = seeded(lambda: build_model(config), spread=0.05).eval()
    trained = TrainedOn(data=data, size=config.size, steps=1, images=4, seed=0, cpu_seconds=0.5)
    codes = CodeStatistics.of(torch.randn(20, config.n_units, 1)) if config.n_units else None
    save_image_folder(folder, LoadedImageModel(model=network, trained=trained, codes=codes), "card")
    return str(folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("edits")


@pytest.fixture(scope="module")
def photos(root):
    """A folder of images without labels, and the same images darker."""
    pixels = open_images("shapes", size=16).images(np.arange(0, 480000, 60000))
    for name, factor in (("bright", 1.0), ("dark", 0.5)):
        (root / name).mkdir()
        for i, image in enumerate(pixels):
            shaded = (factor * image).astype(np.uint8).transpose(1, 2, 0)
            Image.fromarray(shaded).save(root / name / f"{i}.png")
    return root / "bright", root / "dark"


@pytest.fixture(scope="module")
def ddpm(root, photos):
    """A model that was "trained" on the user's folder."""
    return written(root / "ddpm", BaseConfig(size=16, unet=UNET), data=str(photos[0]))


@pytest.fixture(scope="module")
def diffae(root, photos):
    return written(root / "diffae", DiffAeConfig(size=16, n_units=3, encoder_width=4, unet=UNET), data=str(photos[0]))


@pytest.fixture(scope="module")
def edit(root, ddpm, photos):
    """An edit that makes images dark, of pairs."""
    out = root / "dark_edit"
    before, after = map(str, photos)
    words = ["--before", before, "--after", after, "--epochs", "1", "--t-edit", "0.5", "--threads", "1", *SMALL]
    assert train_edit(ddpm, out, *words, "--encoder", str(root / "diffae")) == 0
    return out


@pytest.fixture(scope="module", autouse=True)
def parts(diffae):
    """The encoder of edits is there before any is trained."""


def train_edit(model, out, *words):
    return main(["image", "train-edit", "--model", model, "--out", str(out), "--device", "cpu", *words])


def run(verb, model, out, *words):
    return main(["image", verb, "--model", model, "--out", str(out), "--device", "cpu", *map(str, words)])


def images_in(path, rows):
    """Columns of a grid of images of 16 pixels, enlarged four times, after its rows are found to be as many."""
    width, height = Image.open(path).size
    assert height == 4 * (18 * rows + 2), height
    return (width // 4 - 2) // 18


def test_an_edit_is_trained_on_pairs_of_folders_with_a_grid_and_a_plot_beside_it(edit):
    assert sorted(path.name for path in edit.iterdir()) == ["config.json", "model.safetensors"]
    assert images_in(edit.with_name("dark_edit.png"), rows=4) == 6
    assert Image.open(edit.with_name("dark_edit_profile.png")).format == "PNG"
    config = json.loads((edit / "config.json").read_text())
    assert (config["name"], config["steps"], config["t_edit"], config["t_boost"]) == ("dark_edit", 4, 0.5, 0.0)


def test_edits_are_trained_on_two_folders_and_on_labels_and_everywhere(root, ddpm, diffae, photos):
    bright, dark = map(str, photos)
    common = ["--encoder", diffae, "--threads", "1", *SMALL]
    groups = ["--without", bright, "--having", dark, "--everywhere", "--images", "8"]
    assert train_edit(ddpm, root / "groups", *groups, *common) == 0
    config = json.loads((root / "groups" / "config.json").read_text())
    assert config["fixed"] is not None and config["block"] is None and 0 < config["t_edit"] <= 1
    labelled = ["--data", "shapes", "--label", "shape", "--value", "2", "--images", "4", "--looked-at", "40", "--boost"]
    assert train_edit(diffae, root / "labels", *labelled, "--threads", "1", *SMALL) == 0
    assert json.loads((root / "labels" / "config.json").read_text())["t_boost"] > 0


def test_an_edit_is_trained_on_words(root, ddpm):
    space = Shapes(16).factors
    sizes = {"factor_names": space.names, "factor_sizes": space.sizes}
    words = ContrastiveConfig(size=16, n_units=6, encoder_width=4, text_width=8, **sizes)
    encoder = written(root / "words", words)
    texts = [words.sentences.phrase(space.names.index("shape"), value) for value in (0, 2)]
    said = ["--source-text", texts[0], "--target-text", texts[1], "--images", "4", "--encoder", encoder]
    assert train_edit(ddpm, root / "said", *said, "--threads", "1", *SMALL) == 0
    assert json.loads((root / "said" / "config.json").read_text())["name"] == "said"
    assert train_edit(ddpm, root / "above", *said, "--threads", "1", "--tap", "up.0", *SMALL) == 0
    assert json.loads((root / "above" / "config.json").read_text())["tap"] == "up.0"
    out = root / "above_edited.png"
    assert run("edit", ddpm, out, "--edit", root / "above", "--index", 0) == 0
    assert run("edit", ddpm, out, "--edit", root / "above", root / "said", "--index", 0) == 2  # of two taps


class Clip(torch.nn.Module):
    """In the place of a published CLIP: images by their mean colour, sentences by their lengths."""

    def __init__(self, name, weights):
        super().__init__()
        self.name, self.weight = (name, weights), torch.nn.Parameter(torch.ones(3))
        seen.append(self)

    def forward(self, x):
        return torch.nn.functional.normalize((x * self.weight[:, None, None]).mean((2, 3)) + 1.1, dim=1)

    def encode_text(self, sentences):
        return torch.nn.functional.normalize(torch.tensor([[float(len(s)), 3.0, 1.0] for s in sentences]), dim=1)


seen = []


def test_an_edit_is_trained_on_words_of_a_published_network(root, ddpm, photos, monkeypatch, capsys):
    monkeypatch.setattr("tts.training.edit_goals.OpenClipFeatures", Clip)
    said = ["--source-text", "a face", "--target-text", "a smiling face", "--images", "2", "--threads", "1", *SMALL]
    assert train_edit(ddpm, root / "smile", *said, "--encoder", "clip:ViT-B-32:file:of.pt") == 0
    (clip,) = seen
    assert clip.name == ("ViT-B-32", "file:of.pt") and clip.weight.grad is None
    assert run("edit", ddpm, root / "smile_edited.png", "--edit", root / "smile", "--index", 0) == 0
    assert train_edit(ddpm, root / "none", *said, "--encoder", "clip:ViT-B-32") == 2
    assert "expected clip:NAME:WEIGHTS" in capsys.readouterr().err


def test_images_of_a_folder_are_edited_by_trained_edits_and_directions(root, ddpm, diffae, edit):
    out = root / "edited.png"
    assert run("edit", ddpm, out, "--edit", edit, "--index", 0, 3) == 0
    assert images_in(out, rows=2) == 6
    assert run("edit", ddpm, out, "--edit", edit, edit, "--strengths", 1, "--inversion", "edit_friendly") == 0
    assert images_in(out, rows=4) == 2
    for words in (["pca:0", "--tap", "up.0"], ["pullback:0", "--tap", "down.0"]):
        assert run("edit", ddpm, out, "--direction", *words, "--index", 0, *SMALL) == 0
    for words in (["--together"], ["--average", "all", "--together"], ["--average", "images"]):
        assert run("edit", ddpm, out, "--edit", edit, edit, "--strengths", 1, *words) == 0
    assert images_in(out, rows=4) == 2
    assert run("edit", ddpm, out, "--direction", "pca:1", "--t-edit", "0.3", *SMALL) == 0
    assert images_in(out, rows=4) == 6
    for model in (ddpm, diffae):
        assert run("edit", model, out, "--direction", "pullback:0", "--strengths", 0, 9, "--index", 1, *SMALL) == 0
        assert images_in(out, rows=1) == 3
    picture = np.asarray(Image.open(out)).astype(int)
    assert np.abs(picture[:, 80:144] - picture[:, 152:216]).max() > 0  # strength 9 is another image than strength 0


def test_images_become_noise_in_a_file_and_come_back_and_are_edited_there(root, ddpm, diffae, edit):
    out, again, file = root / "inverted.png", root / "again.png", root / "noise.safetensors"
    for model, kind in ((diffae, "ddim"), (ddpm, "edit_friendly")):
        assert run("invert", model, out, "--noise", file, "--kind", kind, "--index", *range(8), *SMALL) == 0
        assert images_in(out, rows=2) == 8
        assert run("invert", model, again, "--back", file) == 0
        picture = np.asarray(Image.open(out))
        assert np.array_equal(np.asarray(Image.open(again))[8:72], picture[80:144])
    assert np.abs(picture[8:72].astype(int) - picture[80:144]).max() <= 1  # edit-friendly noise leads back exactly
    assert run("edit", ddpm, out, "--edit", edit, "--noise", file, "--strengths", 0) == 0
    assert images_in(out, rows=8) == 2


def test_a_folder_is_interpolated_without_codes_and_noise_is_walked(root, ddpm, diffae):
    out = root / "walk.png"
    assert run("interpolate", ddpm, out, "--index", 0, 1, "--count", 5, *SMALL) == 0
    assert images_in(out, rows=1) == 5
    assert run("traverse", ddpm, out, "--rows", 2, "--count", 3, *SMALL) == 0
    assert images_in(out, rows=2) == 3
    assert run("traverse", diffae, out, "--path", "lerp", "--inverted", "--index", 0, 1, *SMALL) == 0
    assert images_in(out, rows=1) == 8
    assert run("traverse", diffae, out, "--path", "slerp", "--rows", 1, *SMALL) == 0
    assert run("draw", ddpm, root / "pictures", *SMALL) == 0
    names = ["interpolations", "reconstructions", "samples"]
    assert sorted(path.stem for path in (root / "pictures").glob("*.png")) == names


def test_a_classifier_is_trained_and_guides(root, ddpm, diffae):
    folder, out = root / "classifier", root / "guided.png"
    words = ["--data", "shapes", "--values", "scale", "--steps", 2, "--batch-size", 4, "--held-out", 8, "--threads", 1]
    assert run("train-classifier", ddpm, folder, *words) == 0
    assert [head.name for head in load_classifier(folder).config.heads][-2:] == ["shape", "azimuth"]
    assert "| chance |" in (folder / "README.md").read_text()
    assert Image.open(root / "classifier.png").format == "PNG"
    wishes = ["--want", "shape=1,2", "scale=0.5", "--avoid", "floor_hue=0", "--weight", 2, 1, 1]
    rules = ["--keep", "azimuth", "scale", "--cap", 0.5, "--smooth", 0.5, "--resolve"]
    assert run("guide", ddpm, out, "--classifier", folder, *wishes, *rules, "--count", 3, *SMALL) == 0
    assert images_in(out, rows=2) == 3
    alone = ["--want", "shape=1", "--apply", "P", "--count", 2, *SMALL]
    assert run("guide", ddpm, out, "--classifier", folder, *alone, "--sampler", "ddim") == 0
    assert run("guide", ddpm, out, "--classifier", folder, *alone) == 2
    for model in (ddpm, diffae):
        words = ["--want", "shape=1", "--through-x0", "--apply", "P", "--inverted", "--index", 2, *SMALL]
        assert run("guide", model, out, "--classifier", folder, *words) == 0
        assert images_in(out, rows=2) == 1


def test_a_labelled_model_is_guided_without_a_classifier(root):
    space = Shapes(16).factors
    model = written(root / "labelled", LabelledConfig(size=16, unet=UNET, factor_names=space.names, factor_sizes=space.sizes))
    out = root / "told.png"
    assert run("guide", model, out, "--want", "shape=1", "scale=2", "--scale", 2, "--count", 2, *SMALL) == 0
    assert images_in(out, rows=2) == 2
    assert run("guide", model, out, "--want", "shape=1", "scale=2", "--weight", 1, 3, "--count", 2, *SMALL) == 0
    assert run("edit", model, out, "--direction", "pullback:0", "--index", 5, *SMALL) == 0


def test_samples_go_through_the_subspace_of_a_pooled_model(root, ddpm):
    full = BaseConfig(size=16, unet=UNET)
    pooled = written(root / "pooled", pooled_config(full, 1))
    out = root / "pooled.png"
    assert run("sample", ddpm, out, "--pooled", pooled, "--switch-time", 0.5, "--count", 3, *SMALL) == 0
    assert images_in(out, rows=1) == 3
    assert run("sample", ddpm, out, "--pooled", pooled, "--threshold", 1e3, "--count", 3, "--langevin", 0, *SMALL) == 0


def test_the_geometry_is_a_table_with_plots(root, ddpm, diffae):
    small = ["--pairs", 3, "--times", 1.0, 0.5, "--parts", 4, "--images", 2, *SMALL]
    assert run("geometry", ddpm, root / "geometry", *small) == 0
    table = (root / "geometry" / "GEOMETRY.md").read_text()
    assert "| mean |" in table and "| t_edit |" in table and "separability" not in table
    plots = ["condition", "frames", "profile", "rtl", "variation"]
    assert sorted(path.stem for path in (root / "geometry").glob("*.png")) == plots
    values = json.loads((root / "geometry" / "geometry.json").read_text())
    assert [*values["at"]] == ["1", "0.5"]
    assert all(row["mrtl"] >= 1 and row["mrtl_ideal"] == pytest.approx(1.11, abs=0.03) for row in values["at"].values())
    assert run("geometry", diffae, root / "labelled_geometry", "--data", "shapes", "--labelled", 24, *small) == 0
    found = json.loads((root / "labelled_geometry" / "geometry.json").read_text())["separability"]
    assert found and all(1 <= score <= 2 for scores in found.values() for score in scores.values())


def test_a_homomorphism_autoencoder_learns_moves_of_sprites_and_steps_of_denoising(root, ddpm):
    out = root / "hae"
    small = ["--out", str(out), "--steps", "2", "--batch-size", "4", "--restarts", "2", "--threads", "1"]
    assert main(["image", "train-hae", "--size", "8", "--positions", "8", "--reach", "2", *small]) == 0
    assert load_hae(out).config.blocks == (2, 2)
    assert "| D_LSBD |" in (out / "README.md").read_text()
    picture = Image.open(root / "hae.png")
    assert picture.size == (8 * (10 * 9 + 2), 8 * (10 * 8 + 2))
    words = ["--model", ddpm, "--runs", "16", "--denoising-steps", "10", "--device", "cpu"]
    for transition in ("steps", "free"):
        assert main(["image", "train-hae", *words, "--transition", transition, *small]) == 0
        assert load_hae(out).config.transition.value == transition
    assert images_in(root / "hae.png", rows=8) == 9


@pytest.mark.parametrize("model", [False, True])
def test_a_soft_weight_trains_one_block_and_writes_the_sizes_that_it_came_apart_into(root, ddpm, capsys, model):
    out, sprites = root / "soft", ["--size", "8", "--positions", "8", "--reach", "2"]
    moves = ["--model", ddpm, "--runs", "16", "--denoising-steps", "10", "--device", "cpu"] if model else sprites
    small = ["--out", str(out), "--steps", "2", "--batch-size", "4", "--restarts", "1", "--threads", "1"]
    assert main(["image", "train-hae", *moves, "--soft-weight", "0.5", *small]) == 0
    config = load_hae(out).config
    assert (config.blocks, config.soft_weight) == ((8,) if model else (4,), 0.5)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Blocks found: ")]
    sizes = [int(size) for size in lines[0].removeprefix("Blocks found: ").removesuffix(".").split()]
    assert len(lines) == 1 and sum(sizes) == sum(config.blocks) and lines[0] in (out / "README.md").read_text()


def test_denoising_that_is_learnt_begins_where_its_first_action_is_like_the_others(root, ddpm, tmp_path):
    parser = argparse.ArgumentParser()
    train_hae.add_arguments(parser)
    words = ["--model", ddpm, "--runs", "8", "--denoising-steps", "10", "--device", "cpu", "--out", str(tmp_path)]
    learnt, held_out = train_hae._denoising(parser.parse_args(words))
    steps = held_out.places[0, :, 0].diff()
    schedule = ImageModel.from_pretrained(ddpm, "cpu").diffusion.schedule
    assert float(learnt.places[0, 0, 0]) == pytest.approx(float(schedule.log_snr(torch.tensor(START)) / 2), abs=1e-4)
    plain = (schedule.log_snr(time_grid(schedule, 10)[:-1]) / 2).diff()
    assert steps[0] < 3 * steps[1] and plain[0] > 5 * plain[1]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["edit", "--direction", "up:1"], 2, "expected pca:K or pullback:K"),
        (["edit", "--direction", "pca:99"], 2, "principal directions, found 100"),
        (["edit", "--direction", "pullback:0", "--sampler", "heun"], 2, "take --steps alone"),
        (["edit", "--direction", "pullback:0", "--at", "2"], 2, "need at in (0, 1]"),
        (["edit", "--edit", "nowhere"], 1, "no such file"),
        (["edit", "--label", "shape"], 1, "no label 'shape'"),
        (["edit"], 2, "Give --edit or --direction"),
        (["edit", "--direction", "pca:0", "--tap", "up"], 2, "Taps of this network: down.0, middle, up.0"),
        (
            ["edit", "--edit", "nowhere", "--tap", "up.0"],
            2,
            "--tap: is of --direction pca:K and --direction pullback:K, found --edit",
        ),
        (["edit", "--direction", "pca:0", "--together"], 2, "--together: is of --edit, found --direction pca:K"),
        (["edit", "--label", "shape", "--t-boost", "0.2"], 2, "--t-boost: is of --edit and --direction pca:K, found --label"),
        (["edit", "--edit", "nowhere", "--at", "0.5"], 2, "--at: is of --direction pullback:K, found --edit"),
        (["edit", "--direction", "pca:0", "--value", "2"], 2, "--value: is of --label"),
        (["edit", "--direction", "pca:0", "--noise", "x", "--inversion", "ddim"], 2, "none inverted"),
        (["reconstruct"], 1, "--inverted of `glottis image reconstruct`"),
        (["invert", "--back", "a", "--noise", "b"], 2, "give it without --noise"),
        (["edit", "--direction", "pullback:0", "--noise", "x"], 2, "--noise: is of --edit and --direction pca:K"),
        (["invert", "--back", "nowhere"], 1, "no noise of images"),
        (["invert", "--fixed-points", "-1"], 2, "fixed_point_iterations must be"),
        (["interpolate", "--index", "0", "1", "--drawn-noise"], 1, "has no codes"),
        (["swap"], 1, "kind ddpm has no codes"),
        (["traverse", "--rows", "0"], 2, "--rows must be 1 or more"),
        (["traverse", "--count", "1"], 2, "count must be 2 or more"),
        (["guide", "--want", "shape=1"], 1, "is told no labels"),
        (["guide", "--want", "shape"], 2, "expected NAME=V"),
        (["guide", "--want", "shape=1", "--cap", "1"], 2, "Give --classifier"),
        (["guide", "--want", "shape=1", "--apply", "P"], 2, "Give --classifier"),
        (["geometry", "--times", "0"], 1, "geometry.times"),
        (["sample", "--pooled", "SELF", "--switch-time", "0.5"], 1, "expected fewer"),
        (["train-edit", "--label", "shape", "--before", "x"], 2, "expected one of --label"),
        (["train-edit", "--before", "x"], 2, "found pairs in part"),
        (["train-edit", "--without", "nowhere", "--having", "x", "--encoder", "DIFFAE"], 1, "nowhere: no such folder"),
        (["train-edit", "--label", "shape"], 1, "no codes to tell images by"),
        (["train-edit", "--source-text", "a", "--target-text", "b", "--encoder", "DIFFAE"], 1, "kind contrastive"),
        (["train-classifier"], 1, "no known factors"),
        (["train-hae", "--runs", "2"], 2, "--runs and --denoising-steps"),
        (
            ["train-hae", "--runs", "8", "--denoising-steps", "9", "--soft-weight", "1", "--transition", "free"],
            2,
            "no matrices",
        ),
        (["train-hae", "--runs", "8", "--denoising-steps", "9", "--soft-weight", "-1"], 1, "hae.soft_weight"),
        (["train-hae", "--runs", "8", "--denoising-steps", "9", "--blocks", "0"], 1, "hae.blocks"),
    ],
)
def test_a_fault_of_these_verbs_is_one_line_and_a_status(root, ddpm, diffae, tmp_path, capsys, words, status, said):
    words = [{"SELF": ddpm, "DIFFAE": diffae}.get(word, word) for word in words]
    assert run(words[0], ddpm, tmp_path / "x.png", *words[1:]) == status
    assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "x.png").exists()


def test_a_tap_that_is_not_there_is_refused_before_images_are_inverted(root, ddpm, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ImageModel, "profile", lambda *args, **options: pytest.fail("images were inverted"))
    words = ["--before", str(photos[0]), "--after", str(photos[1]), "--encoder", str(root / "diffae"), "--tap", "up.9", *SMALL]
    assert train_edit(ddpm, tmp_path / "edit", *words) == 2
    assert "no tap 'up.9'. Taps of this network: down.0, middle, up.0" in capsys.readouterr().err


def test_pairs_of_unequal_names_are_refused(root, ddpm, diffae, photos, tmp_path, capsys):
    Image.open(photos[1] / "0.png").save(tmp_path / "other.png")
    words = ["--before", str(photos[0]), "--after", str(tmp_path), "--encoder", diffae]
    assert train_edit(ddpm, tmp_path / "edit", *words) == 1
    assert "pairs need equal names, without a partner: 0, 1, 2, 3, 4" in capsys.readouterr().err


def test_noise_of_another_model_is_refused(root, ddpm, diffae, tmp_path, capsys):
    file = tmp_path / "noise.safetensors"
    assert run("invert", ddpm, tmp_path / "x.png", "--noise", file, "--index", 0, *SMALL) == 0
    assert run("invert", diffae, tmp_path / "y.png", "--back", file) == 1
    assert "Give the model the images were inverted by" in capsys.readouterr().err

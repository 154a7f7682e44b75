"""`glottis image`: every verb by its name, options passed on, pictures written, faults in one line."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

from tts.apps.cli import build_parser, main
from tts.apps.cli.image import verbs
from tts.image.registry import build_model
from tts.image.vae_config import BetaVaeConfig
from tts.inference.image_codes import CodeStatistics
from tts.inference.image_folder import LoadedImageModel, TrainedOn, save_image_folder
from tts.inference.image_grids import grid
from tts.inference.image_model import ImageModel

VERBS = [
    "benchmark",
    "decode",
    "draw",
    "edit",
    "encode",
    "evaluate",
    "experiments",
    "gap",
    "geometry",
    "guide",
    "interpolate",
    "invert",
    "pack",
    "reconstruct",
    "sample",
    "swap",
    "train",
    "train-classifier",
    "train-edit",
    "train-hae",
    "train-prior",
    "traverse",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small VAE that was never trained."""
    torch.manual_seed(0)
    network = build_model(BetaVaeConfig(size=16, n_units=3, width=4, hidden=8)).eval()
    trained = TrainedOn(data="shapes", size=16, steps=1, images=4, seed=0, cpu_seconds=0.5)
    folder = tmp_path_factory.mktemp("vae") / "model"
    codes = CodeStatistics.of(torch.randn(20, 3, 1))
    save_image_folder(folder, LoadedImageModel(model=network, trained=trained, codes=codes), "card")
    return folder


def test_the_verbs_are_the_modules_and_each_says_what_it_does():
    assert list(verbs()) == VERBS
    parser, _ = build_parser("image")
    assert all(name in parser.format_help() for name in VERBS)


def test_a_verb_draws_its_picture(model, tmp_path):
    for verb, size in (("reconstruct", (8, 2)), ("swap", (8, 5)), ("traverse", (8, 3)), ("interpolate", (8, 3))):
        out = tmp_path / f"{verb}.png"
        assert main(["image", verb, "--model", str(model), "--out", str(out)]) == 0
        columns, rows = size
        assert Image.open(out).size == (4 * (18 * columns + 2), 4 * (18 * rows + 2)), verb
    out = tmp_path / "edit.png"
    words = ["--label", "shape", "--value", "2", "--probe-images", "100", "--index", "3", "4"]
    assert main(["image", "edit", "--model", str(model), "--out", str(out), *words]) == 0
    assert Image.open(out).size == (4 * (18 * 6 + 2), 4 * (18 * 2 + 2))
    assert main(["image", "sample", "--model", str(model), "--out", str(tmp_path / "s.png"), "--count", "3"]) == 0


def test_draw_writes_all_pictures(model, tmp_path):
    assert main(["image", "draw", "--model", str(model), "--out", str(tmp_path)]) == 0
    names = ["edits", "interpolations", "reconstructions", "samples", "swaps", "traversals"]
    assert sorted(path.stem for path in tmp_path.glob("*.png")) == names


def test_codes_are_written_with_the_indices_of_their_images(model, tmp_path):
    out = tmp_path / "codes.safetensors"
    assert main(["image", "encode", "--model", str(model), "--out", str(out), "--index", "7", "479999"]) == 0
    found = load_file(out)
    assert found["codes"].shape == (2, 3, 1)
    assert np.array_equal(found["index"], [7, 479999])


def test_codes_are_decoded_as_they_were_written_or_changed_and_by_their_own_model_alone(model, tmp_path, capsys):
    codes, out = tmp_path / "codes.safetensors", tmp_path / "out.png"
    call = ["image", "decode", "--model", str(model), "--codes", str(codes), "--out", str(out), "--columns", "2"]
    assert main(["image", "encode", "--model", str(model), "--out", str(codes), "--index", "7", "8", "9"]) == 0
    assert main(call) == 0
    drawn = ImageModel.from_pretrained(model).decode(load_file(codes)["codes"])
    assert np.array_equal(np.asarray(Image.open(out)), grid([drawn[:2], drawn[2:]]))

    def after(tensors, metadata=None):
        save_file(tensors, codes, metadata)
        return main(call), capsys.readouterr().err.strip().splitlines()[-1:]

    mine = load_file(codes)["codes"]
    assert after({"codes": -mine})[0] == 0
    assert not np.array_equal(np.asarray(Image.open(out)), grid([drawn[:2], drawn[2:]]))
    out.unlink()
    for tensors, metadata, status, said in (
        ({"codes": mine}, {"model": "0" * 12}, 1, "are of model 000000000000, this one is"),
        ({"codes": mine * np.nan}, None, 1, "expected finite `codes`"),
        ({"codes": mine[:, :2]}, None, 2, "codes must be (n, 3, 1), found (3, 2, 1)"),
        ({"z": mine}, None, 1, "found z torch.float32 (3, 3, 1), expected"),
        ({"codes": mine, "index": mine[:, 0, 0]}, None, 1, "expected an `index` of 3 whole numbers"),
    ):
        found, line = after(tensors, metadata)
        assert found == status and said in line[0]
    codes.write_bytes(b"PK")
    assert main(call) == 1 and "no codes of images" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["reconstruct", "--index", "480000"], 2, "expected 0 to 479999"),
        (["reconstruct", "--steps", "3"], 2, "neither noise nor sampling options"),
        (["reconstruct", "--factors", "1"], 2, "neither noise nor sampling options"),
        (["draw", "--steps", "3"], 2, "--steps: a model of kind betavae takes no sampling options"),
        (["evaluate", "--code-to", "0.5"], 2, "--code-to: a model of kind betavae takes no sampling options"),
        (["swap", "--units", "9"], 2, "unit must be 0 to 2, found 9"),
        (["traverse", "--count", "0"], 2, "need 1 image or more to draw, found 0"),
        (["interpolate", "--count", "0"], 2, "count must be 1 or more, found 0"),
        (["edit", "--label", "mood"], 1, "no label 'mood'"),
        (["reconstruct", "--inverted"], 1, "no noise to invert"),
        (["interpolate", "--index", "1", "2", "3"], 2, "images come in pairs"),
        (["evaluate", "--split", "held_out"], 1, "trained on all images"),
        (["evaluate", "--split", "held_out", "--data", "sprites"], 2, "leave out --data"),
        (["gap"], 1, "betavae has no frozen base"),
        (["decode", "--codes", "none.safetensors"], 1, "none.safetensors: no codes of images"),
        (["decode", "--codes", "c", "--columns", "0"], 2, "--columns must be 1 or more"),
        (["decode", "--codes", "c", "--data", "sprites"], 2, "give both, or leave it out"),
        (["decode", "--codes", "c", "--inverted", "--one-noise"], 2, "give one of them"),
        (["gap", "--images", "0"], 2, "--images must be 1 or more"),
    ],
)
def test_a_fault_is_one_line_and_a_status(model, tmp_path, capsys, words, status, said):
    assert main(["image", *words, "--model", str(model), "--out", str(tmp_path / "x.png")]) == status
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in message
    assert not (tmp_path / "x.png").exists()

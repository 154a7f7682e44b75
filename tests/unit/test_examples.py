import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from tts.image.base import BaseConfig
from tts.image.config import UNetConfig
from tts.image.registry import build_model
from tts.image.subspace.pooled import pooled_config
from tts.inference.converter import VoiceConverter
from tts.inference.image_folder import LoadedImageModel, TrainedOn, save_image_folder
from tts.testing import make_model_folder, make_tone, seeded

EXAMPLES = Path(__file__).parents[2] / "egs"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model_folder(tmp_path_factory.mktemp("examples") / "model")


def run(name, *words, monkeypatch):
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_a_text_is_spoken_and_its_priors_are_drawn(model, tmp_path, monkeypatch, capsys):
    run("synthesize.py", "--model", model, "--text", "No.", "--out", tmp_path / "no.wav", "--steps", 1, monkeypatch=monkeypatch)
    wav, rate = soundfile.read(tmp_path / "no.wav")
    assert rate == 16000
    assert len(wav) % 256 == 0
    assert np.abs(wav).max() > 0
    assert imread(tmp_path / "no.png").shape[:2] == (1200, 1200)
    assert f"{len(wav) / rate:.2f} s of speech" in capsys.readouterr().out


def test_a_long_text_is_streamed_sentence_by_sentence(model, tmp_path, monkeypatch, capsys):
    text, out = tmp_path / "long.txt", tmp_path / "long.flac"
    text.write_text("One is here. Two are there.\n\n---\n\nThree.", encoding="utf-8")
    run("stream_long_text.py", "--model", model, "--text-file", text, "--out", out, monkeypatch=monkeypatch)
    printed = capsys.readouterr().out
    assert [f"sentence {n}:" in printed for n in (1, 2, 3, 4)] == [True, True, True, False]
    assert f"{out}: {soundfile.info(out).duration:.2f} s" in printed


def test_priors_are_rendered_alone_and_together(model, tmp_path, monkeypatch):
    run("mix_priors.py", "--model", model, "--text", "No.", "--out-dir", tmp_path, monkeypatch=monkeypatch)
    waves = {name: soundfile.read(tmp_path / f"{name}.wav")[0] for name in ("source", "filter", "both")}
    assert len({len(wav) for wav in waves.values()}) == 1
    assert not np.array_equal(waves["source"], waves["filter"])
    images = {name: imread(tmp_path / f"{name}.png") for name in waves}
    assert {image.shape[:2] for image in images.values()} == {(80, len(waves["both"]) // 256)}


def test_a_voice_is_converted_attribute_by_attribute(converter, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(VoiceConverter, "from_pretrained", lambda *_args, **_options: converter)
    soundfile.write(tmp_path / "a.wav", make_tone(120, 1.0), 16000)
    soundfile.write(tmp_path / "b.wav", make_tone(240, 1.0), 16000)
    words = ["--model", "any", "--source", tmp_path / "a.wav", "--target", tmp_path / "b.wav", "--out-dir", tmp_path / "out"]
    run("convert_voice.py", *words, monkeypatch=monkeypatch)
    heard = dict(re.findall(r"(\w+)\.wav: 1\.01 s, F0 around (\d+) Hz", capsys.readouterr().out))
    assert set(heard) == {"both", "filter", "source", "halfway"} == {path.stem for path in (tmp_path / "out").iterdir()}
    expected = {"both": 240, "filter": 120, "source": 240, "halfway": 170}
    assert {name: float(f0) for name, f0 in heard.items()} == pytest.approx(expected, abs=6)


def test_every_example_is_short_and_is_tested_here():
    examples = sorted(EXAMPLES.glob("*.py"))
    names = ["convert_voice.py", "image_subspaces.py", "mix_priors.py", "stream_long_text.py", "synthesize.py"]
    assert [e.name for e in examples] == names
    assert all(len(e.read_text(encoding="utf-8").splitlines()) <= 80 for e in examples)


def test_what_subspaces_leave_out_and_cost_is_printed(tmp_path, monkeypatch, capsys):
    unet = UNetConfig(base=8, multipliers=(1,), attention=(False,), unshuffle=4)
    full = BaseConfig(size=16, unet=unet)
    for name, config in {"full": full, "pooled": pooled_config(full, 1)}.items():
        trained = TrainedOn(data="shapes", size=config.size, steps=1, images=4, seed=0, cpu_seconds=0.5)
        network = seeded(lambda config=config: build_model(config)).eval()
        save_image_folder(tmp_path / name, LoadedImageModel(model=network, trained=trained, codes=None), "card")
    words = ["--model", tmp_path / "full", "--pooled", tmp_path / "pooled", "--images", 250, "--scored", 2, "--steps", 8]
    run("image_subspaces.py", *words, monkeypatch=monkeypatch)
    lines = capsys.readouterr().out.splitlines()
    left = [float(re.search(r"768 dimensions: ([.\d]+) left", line)[1]) for line in lines[:2]]
    assert 0 < left[1] < left[0]  # of 192 dimensions both, the principal ones are the best
    assert [line.split(":")[0] for line in lines[2:]] == ["alone", "through pooling"]

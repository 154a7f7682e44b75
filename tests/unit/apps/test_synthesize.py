"""`glottis synthesize`: what it writes where, and how it ends when it cannot."""

import pytest
import soundfile
import torch

from tts.apps.cli import main
from tts.testing import make_model_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model_folder(tmp_path_factory.mktemp("a model ü") / "tiny")


@pytest.fixture
def glottis(model):
    def run(*words):
        return main(["synthesize", "--model", str(model), "--device", "cpu", "--steps", "1", *map(str, words)])

    return run


@pytest.mark.parametrize("name", ["new folder/with/a.wav", "ünïcödé 音.flac"])
def test_the_folder_of_the_wave_is_made_and_any_name_works(glottis, tmp_path, name):
    assert glottis("--text", "Me lo.", "--out", tmp_path / name) == 0
    assert soundfile.info(tmp_path / name).samplerate == 16000


def test_a_name_that_begins_with_a_dash_is_given_after_an_equals_sign(glottis, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert glottis("--text", "Me lo.", "--out=-a.wav") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["-a.wav"]


def test_lines_are_replaced_only_with_overwrite(glottis, tmp_path, capsys):
    (tmp_path / "lines.txt").write_text("Me lo.\n")
    words = ["--text-file", tmp_path / "lines.txt", "--out-dir", tmp_path / "waves"]
    assert glottis(*words) == 0
    before = (tmp_path / "waves" / "1.wav").stat().st_mtime_ns
    assert glottis(*words) == 1
    assert "Give --overwrite or another folder" in capsys.readouterr().err
    assert (tmp_path / "waves" / "1.wav").stat().st_mtime_ns == before
    assert glottis(*words, "--overwrite") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--text", "Me lo.", "--out", "a.xyz"], "a.xyz: cannot write .xyz"),
        (["--text", "...", "--out", "a.wav"], "nothing to speak"),
        (["--text", "Me lo.", "--out", "a.wav", "--style", "nobody"], "no speaker and no file 'nobody'"),
        (["--text", "Me lo.", "--out", "a.wav", "--vocoder", "nothing"], "no vocoder 'nothing'"),
        (["--text", "Me lo.", "--out", "a.wav", "--model", "nowhere"], "nowhere: no model folder"),
        (["--long-file", "gone.txt", "--out", "a.wav"], "gone.txt: no such file"),
        (["--long-file", "latin.txt", "--out", "a.wav"], "latin.txt: not UTF-8 at byte 3"),
    ],
)
def test_an_input_at_fault_is_one_line_and_status_1(glottis, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    assert glottis(*words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("glottis synthesize: ") and message in line
    assert [path.name for path in tmp_path.iterdir()] == ["latin.txt"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--steps", "0"], "steps must be a whole number from 1 to 1000"),
        (["--temperature", "nan"], "temperature must be from 0 to 2"),
        (["--start", "0"], "start must be above 0"),
        (["--speed", "0"], "speed must be from 0.25 to 4"),
        (["--sampler", "pf"], "unknown sampler 'pf'"),
        (["--grid", "cubic"], "grid must be"),
    ],
)
def test_an_option_out_of_range_is_one_line_with_the_range_and_status_2(glottis, tmp_path, capsys, words, message):
    assert glottis("--text", "Me lo.", "--out", tmp_path / "a.wav", *words) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_not_there_is_said(glottis, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert glottis("--text", "Me lo.", "--out", tmp_path / "a.wav", "--device", "cuda") == 1
    assert "'cuda' asked for, 0 CUDA device(s) found" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--text", "a"], ["--text-file", "a"], ["--text-file", "a", "--out", "b"]])
def test_a_text_needs_its_own_kind_of_output(glottis, words, capsys):
    assert glottis(*words) == 2
    assert "--out" in capsys.readouterr().err

"""The scripts that make corpora: which texts they take, how they level a clip, and a folder made from two small packages."""

import gzip
import importlib.util
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tts.data.corpora import read_corpus
from tts.testing import make_tone


@pytest.fixture(scope="module")
def asterisk(load_tool):
    return load_tool("make_asterisk")


@pytest.fixture(scope="module")
def corpus(load_tool):
    pytest.importorskip("soxr")
    return load_tool("make_corpus")


PROMPTS = """; a comment
vm-goodbye: Goodbye.
vm-intro: Please leave your message after the tone.
dir/agent-pass: Please enter your password | followed by the pound key
vm-odd: Press [tone] to hear the message
digits/1: one two three
short: Too short
"""


def test_prompts_of_three_words_that_are_said_as_written_are_taken(asterisk, tmp_path):
    (tmp_path / "texts.gz").write_bytes(gzip.compress(PROMPTS.encode()))
    assert asterisk.read_texts(tmp_path / "texts.gz") == {
        "vm-intro": "Please leave your message after the tone.",
        "dir/agent-pass": "Please enter your password   followed by the pound key",
    }


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="packages are made with dpkg-deb")
def test_two_packages_become_a_corpus_and_a_second_run_leaves_it(asterisk, tmp_path, monkeypatch, capsys):
    if not importlib.util.find_spec("av") and not shutil.which("ffmpeg"):
        pytest.skip("nothing here decodes G.722")
    for name in asterisk.PACKAGES:
        root = tmp_path / name
        (root / "DEBIAN").mkdir(parents=True)
        control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: test\n"
        (root / "DEBIAN" / "control").write_text(control)
        for path, content in (
            (f"{asterisk.SOUNDS}/vm-intro.g722", bytes(range(256)) * 20),
            (asterisk.TEXTS, gzip.compress(PROMPTS.encode(), mtime=0)),
            (asterisk.LICENCE, b"CC BY-SA 3.0"),
        ):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        subprocess.run(["dpkg-deb", "--build", root, tmp_path / f"{name}_1_all.deb"], check=True, capture_output=True)
    words = ["make_asterisk.py", "--out", str(tmp_path / "out"), "--debs", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    asterisk.main()
    (utterance,) = read_corpus(tmp_path / "out")
    assert (utterance.id, utterance.text, utterance.speaker) == (
        "vm-intro",
        "Please leave your message after the tone.",
        "allison",
    )
    assert (tmp_path / "out" / "LICENSE").read_text() == "CC BY-SA 3.0"
    written = utterance.audio.stat().st_mtime_ns
    asterisk.main()
    assert "is made already" in capsys.readouterr().out
    assert utterance.audio.stat().st_mtime_ns == written


def test_a_folder_with_other_files_is_left_alone(asterisk, tmp_path, monkeypatch):
    (tmp_path / "mine.txt").touch()
    monkeypatch.setattr(sys, "argv", ["make_asterisk.py", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"found other files and no metadata\.csv"):
        asterisk.main()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_sentences_with_numbers_abbreviations_and_rare_names_are_left_out(corpus, tmp_path):
    plain = "the wind was cold and the men went home before night came"
    texts = [plain, f"{plain} in 1984", f"{plain} with Mr. Lee", "Too short."]
    (tmp_path / "metadata.csv").write_text("".join(f"a{i}|{text}|x\n" for i, text in enumerate(texts)))
    (tmp_path / "txt.done.data").write_text(f'( d "{plain}" )\n( e "{plain} with Eve" )\n')
    assert corpus.read_texts([tmp_path / "metadata.csv", tmp_path / "txt.done.data"]) == [(1, f"{plain}.")]
    (tmp_path / "bad").write_text("no transcript\n")
    with pytest.raises(SystemExit, match="found the line 'no transcript'"):
        corpus.read_texts([tmp_path / "bad"])


def test_a_clip_is_levelled_and_keeps_a_tenth_of_a_second_of_silence(corpus):
    wave = np.concatenate([np.zeros(24000), make_tone(150, 1.0, 24000), np.zeros(24000)])
    clip = corpus.finish(wave)
    assert len(clip) / 16000 == pytest.approx(1.2, abs=0.03)
    assert np.abs(clip[: 16000 // 20]).max() < 1e-2
    assert 20 * np.log10(np.sqrt(np.mean(clip[2400:-2400] ** 2))) == pytest.approx(-23, abs=0.5)
    np.testing.assert_allclose(corpus.finish(0.1 * wave), clip, atol=1e-3)  # whatever the level it came with

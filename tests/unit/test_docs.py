"""The documents say what is: tests, links, verbs, files and the example of the README."""

import ast
import re
from pathlib import Path

import pytest
import soundfile

from tts.apps.cli import verbs
from tts.testing import make_model_folder

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("recipes/**/*.md")])
TEST_NAME = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
ROW = re.compile(r"^\| (\d+) \|.*$", re.MULTILINE)

every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


def names_in(path):
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", ["bad-input.md", "oracles.md"])
def test_every_test_that_a_document_names_is_there(name):
    named = TEST_NAME.findall((ROOT / "docs" / name).read_text(encoding="utf-8"))
    assert len(named) > 20
    known = {path: names_in(path) for path, _ in named}
    assert [f"{path}::{test}" for path, test in named if test not in known[path]] == []


def test_every_kind_of_bad_input_is_held_by_a_test():
    text = (ROOT / "docs" / "bad-input.md").read_text(encoding="utf-8")
    rows = {int(match[1]): TEST_NAME.findall(match[0]) for match in ROW.finditer(text)}
    images = {
        *range(70, 75),
        *range(76, 79),
        *range(80, 82),
        *range(85, 100),
        101,
        104,
        *range(120, 125),
        *range(126, 138),
    }
    assert set(rows) == {*range(1, 51), *range(53, 56), *range(60, 67), *images}
    assert all(rows.values())


@every_document
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


@every_document
def test_verbs_and_files_that_are_named_exist(path):
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"(?<![\w/`(] )\bglottis ([a-z][a-z-]+)\b", text)) <= set(verbs())
    named = re.findall(r"(?<![\w/.])((?:tts|tools|recipes|egs|conf|docs|tests)/[a-z_0-9/-]+(?:\.(?:py|sh|md|yaml|csv))?)", text)
    built_elsewhere = {"tts/_conf", "tts/image"}
    assert [name for name in named if name not in built_elsewhere and not (ROOT / name).exists()] == []


def test_every_decision_is_listed():
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (ROOT / "docs/adr/README.md").read_text(encoding="utf-8"))
    assert listed == sorted(path.name for path in ROOT.glob("docs/adr/0*.md"))


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch):
    example = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    monkeypatch.chdir(tmp_path)
    make_model_folder(tmp_path / "exp" / "ljspeech_mini" / "model")
    exec(compile(example, "README.md", "exec"), {})
    assert soundfile.info("wind.wav").samplerate == 16000

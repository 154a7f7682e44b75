import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "recipes" / "ljspeech" / "run.sh"

SCRIPT = """#!/usr/bin/env bash
set -euo pipefail
. "{common}/log.sh"
. "{common}/parse_options.sh"
# Options
stage=0          # first stage
stop_stage=9     # last stage
name="no one"    # who
tag=             # label
# End of options
undeclared=1     # not an option
parse_options "${{BASH_SOURCE[0]}}" "$@"
printf '[%s]' "$stage" "$stop_stage" "$name" "$tag" "$undeclared"
"""


@pytest.fixture
def parse(tmp_path):
    script = tmp_path / "a script.sh"
    script.write_text(SCRIPT.format(common=ROOT / "recipes" / "common"))
    return lambda *words: subprocess.run(["bash", script, *words], capture_output=True, text=True, timeout=20)


def run_recipe(*words, cwd=ROOT):
    return subprocess.run(["bash", RUN, *words], capture_output=True, text=True, cwd=cwd, timeout=20)


def test_defaults_hold_without_options(parse):
    assert parse().stdout == "[0][9][no one][][1]"


@pytest.mark.parametrize("word", ["--stop_stage", "--stop-stage"])
def test_underscores_and_dashes_name_the_same_option(parse, word):
    assert parse(word, "3").stdout == parse(f"{word}=3").stdout == "[0][3][no one][][1]"


@pytest.mark.parametrize(
    "value", ["two  words", "Ωμέγα 名前", "-leading", "--leading", "$(touch x)", "a'b\"c", "*", "", "x=y", "line\nbreak", "-h"]
)
def test_values_are_taken_as_they_are(parse, tmp_path, value):
    assert parse("--name", value).stdout == parse(f"--name={value}").stdout == f"[0][9][{value}][][1]"
    assert not (tmp_path / "x").exists()


def test_the_last_of_two_values_holds_and_only_the_default_says_what_is_a_number(parse):
    assert parse("--name", "a", "--name", "b").stdout == "[0][9][b][][1]"
    assert parse("--tag", "10", "--tag", "ten").stdout == "[0][9][no one][ten][1]"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stray"], "unexpected argument 'stray'"),
        (["--tag", "a", "b"], "unexpected argument 'b'"),
        (["-s", "1"], "unexpected argument '-s'"),
        (["--sage", "1"], "unknown option '--sage'"),
        (["--undeclared", "2"], "unknown option '--undeclared'"),
        (["--PATH", "x"], "unknown option '--PATH'"),
        (["--", "x"], "unknown option '--'"),
        (["--tag"], "--tag needs a value"),
        (["--tag", "--stage", "1"], "--tag needs a value"),
        (["--stage", "two"], "--stage: found 'two', expected a whole number"),
        (["--stage", "-1"], "--stage: found '-1', expected a whole number"),
        (["--stage", ""], "--stage: found '', expected a whole number"),
        (["--stage=1.5"], "--stage: found '1.5', expected a whole number"),
    ],
)
def test_a_bad_command_line_exits_2_and_says_why(parse, words, message):
    done = parse(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_help_shows_the_values_that_hold_where_it_stands(parse):
    done = parse("--tag", "mine", "--help")
    assert done.returncode == 0
    assert re.search(r"--stage +first stage \(default 0\)\n", done.stdout)
    assert re.search(r"--name +who \(default no one\)\n", done.stdout)
    assert re.search(r"--tag +label \(default mine\)\n", done.stdout)
    assert "undeclared" not in done.stdout


def test_help_of_the_recipe_names_every_option_and_needs_no_environment(tmp_path):
    done = run_recipe("--help", cwd=tmp_path)
    assert done.returncode == 0
    declared = re.findall(r"^([a-z][a-z0-9_]*)=.*# ", (ROOT / "recipes" / "common" / "tts.sh").read_text(), flags=re.M)
    shown = re.findall(r"^  --(\w+) ", done.stdout, flags=re.M)
    assert shown == declared
    expected = {"stage", "stop_stage", "ngpu", "nj", "db_root", "dumpdir", "expdir", "train_config", "train_args"}
    assert expected | {"inference_args", "tag", "corpus", "profile", "fs", "speaker"} <= set(shown)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stray"], "unexpected argument 'stray'"),
        (["--profile", "huge"], "--profile: found 'huge', expected mini, small or base"),
        (["--corpus", "tedlium"], "--corpus: found 'tedlium', expected embedded, asterisk or ljspeech"),
        (["--fs", "8000"], "--fs: found '8000', expected 16000 or 22050"),
        (["--db_root", "no such folder"], "--db_root: no folder 'no such folder'"),
        (["--num_eval", "0"], "expected 1 sentence or more"),
        (["--frontend", "ipa"], "--frontend: found 'ipa', expected espeak or characters"),
        (["--ngpu", "all"], "--ngpu: found 'all', expected a whole number"),
    ],
)
def test_the_recipe_refuses_what_it_cannot_do_before_it_installs_anything(words, message):
    done = run_recipe(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("run.sh: ")


def test_run_sh_stays_short():
    assert len(RUN.read_text().splitlines()) <= 60


def test_the_installer_knows_the_extras_of_the_project():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    listed = re.search(r"^known=(.*)$", (ROOT / "tools" / "install.sh").read_text(), flags=re.M)
    assert listed and listed[1].split(",") == list(extras)


@pytest.mark.parametrize("words", [["--extras", "all"], ["--extras"], ["--gpu"], ["stray"]])
def test_the_installer_refuses_unknown_words(words):
    done = subprocess.run(["bash", ROOT / "tools" / "install.sh", *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "usage: tools/install.sh" in done.stderr

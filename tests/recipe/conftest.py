import hashlib
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "recipes"
RUN = RECIPES / "ljspeech" / "run.sh"
EXTRAS = ("asr", "eval", "phonemes", "train")

STUB = """#!/usr/bin/env bash
# Stands for the environment's Python: records its arguments, one line a call, and does what STUB_DO says.
case "$1 $2 $3" in
  "-P -m tts.apps.cli") shift 3 ;;
  *.py\\ *) ;;
  *) echo "unexpected interpreter call: $*" >&2; exit 99 ;;
esac
printf '%s\\0' "$@" >>"$STUB_CALLS"
printf '\\n' >>"$STUB_CALLS"
eval "${STUB_DO:-}"
"""


class Recipe:
    """A recipe of this repository, run with an interpreter of our choice in an environment that counts as installed."""

    def __init__(self, folder: Path, interpreter: str, script: Path = RUN) -> None:
        self.folder = folder
        self.script = script
        self.calls_file = folder / "calls"
        venv = folder / "venv"
        (venv / "bin").mkdir(parents=True)
        python = venv / "bin" / "python"
        python.write_text(interpreter)
        python.chmod(0o755)
        installed = (ROOT / "pyproject.toml").read_text().partition("[tool.")[0]
        stamp = hashlib.sha256(f"{installed}{ROOT}\n".encode()).hexdigest()
        (venv / "glottis-installed").write_text("\n".join([stamp, *EXTRAS]) + "\n")
        self.environment = os.environ | {"GLOTTIS_VENV": str(venv), "STUB_CALLS": str(self.calls_file)}

    def command(self, *arguments: str) -> list[str]:
        """The recipe's command line with its data and experiments in this folder."""
        places = ["--dumpdir", str(self.folder / "dump"), "--expdir", str(self.folder / "exp")]
        return ["bash", str(self.script), *places, *arguments]

    def run(self, *arguments: str, do: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the recipe to its end; `do` is what the stub does when it is called."""
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            cwd=cwd or self.folder,
            env=self.environment | {"STUB_DO": do},
            stdin=subprocess.DEVNULL,
            timeout=900,
        )

    def calls(self) -> list[list[str]]:
        """The calls of `glottis` since the last time this was asked, each as its arguments."""
        text = self.calls_file.read_text() if self.calls_file.exists() else ""
        self.calls_file.unlink(missing_ok=True)
        return [line.split("\0")[:-1] for line in text.splitlines()]


@pytest.fixture
def recipe(tmp_path):
    """The recipe with an interpreter that only records what it is asked to do."""
    return Recipe(tmp_path, STUB)


@pytest.fixture
def vc_recipe(tmp_path):
    """The recipes of voice conversion by name, with an interpreter that only records; they share their environment."""
    arctic = Recipe(tmp_path, STUB, RECIPES / "arctic" / "run.sh")

    def named(name: str = "arctic") -> Recipe:
        arctic.script = RECIPES / name / "run.sh"
        return arctic

    return named


@pytest.fixture(scope="module")
def real_recipe(tmp_path_factory):
    """The recipe of one voice with the interpreter that runs the tests."""
    return _real(tmp_path_factory.mktemp("real"), RUN)


@pytest.fixture(scope="module")
def real_arctic(tmp_path_factory):
    """The recipe of voice conversion with the interpreter that runs the tests."""
    return _real(tmp_path_factory.mktemp("arctic"), RECIPES / "arctic" / "run.sh")


def _real(folder: Path, script: Path) -> Recipe:
    recipe = Recipe(folder, f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', script)
    recipe.environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return recipe

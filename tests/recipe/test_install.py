"""What tools/install.sh says and when it does nothing; a whole installation takes minutes and is what CI begins with."""

import os
import subprocess
import time
from pathlib import Path

import pytest

INSTALL = Path(__file__).resolve().parents[2] / "tools" / "install.sh"


def install(*words, path=None, **environment):
    path = f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GLOTTIS")}
    return subprocess.run(
        ["bash", INSTALL, *words],
        capture_output=True,
        text=True,
        env=variables | {"PATH": path} | {name: str(value) for name, value in environment.items()},
        timeout=30,
    )


@pytest.fixture
def programs(tmp_path):
    """A folder for PATH, and a function that puts a program into it."""
    folder = tmp_path / "programs"
    folder.mkdir()

    def add(name, body):
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
        return folder

    return add


def test_a_finished_environment_is_left_alone_at_once(recipe):
    venv = recipe.environment["GLOTTIS_VENV"]
    begin = time.monotonic()
    done = install("--extras", "train,eval", GLOTTIS_VENV=venv, STUB_CALLS=recipe.calls_file)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - begin < 1
    assert recipe.calls() == []


def test_another_extra_or_another_pyproject_calls_for_pip(recipe, programs):
    venv = Path(recipe.environment["GLOTTIS_VENV"])
    (venv / "bin" / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$*"\n')
    done = install("--extras", "test", GLOTTIS_VENV=venv)
    assert "-m pip install" in done.stdout
    assert "[asr,eval,phonemes,train,test]" in done.stdout
    stamp = venv / "glottis-installed"
    assert stamp.read_text().split()[1:] == ["asr", "eval", "phonemes", "test", "train"]
    stamp.write_text("0" * 64 + "\ntrain\n")
    assert "-m pip install" in install("--extras", "train", GLOTTIS_VENV=venv).stdout


def test_an_installation_that_fails_leaves_no_stamp_and_says_what_to_do(recipe):
    venv = Path(recipe.environment["GLOTTIS_VENV"])
    (venv / "glottis-installed").unlink()
    (venv / "bin" / "python").write_text('#!/bin/sh\ncase "$*" in *install*) exit 1;; esac\n')
    done = install(GLOTTIS_VENV=venv)
    assert done.returncode == 1
    assert "pip could not install" in done.stderr and "g++" in done.stderr
    assert not (venv / "glottis-installed").exists()


def test_packages_that_do_not_import_are_reported(recipe):
    venv = Path(recipe.environment["GLOTTIS_VENV"])
    (venv / "bin" / "python").write_text('#!/bin/sh\ncase "$*" in *"import torch"*) exit 1;; esac\n')
    done = install("--extras", "test", GLOTTIS_VENV=venv)
    assert done.returncode == 1
    assert "CPU-only torch beside the registry's torchaudio is the usual cause" in done.stderr


def test_cuda_without_a_device_is_an_error(recipe):
    venv = Path(recipe.environment["GLOTTIS_VENV"])
    (venv / "bin" / "python").write_text('#!/bin/sh\ncase "$*" in *cuda*) exit 1;; esac\n')
    done = install("--cuda", "--extras", "train", GLOTTIS_VENV=venv)
    assert done.returncode == 1
    assert "--cuda asked for, but PyTorch finds no CUDA device" in done.stderr


def test_too_little_disk_is_said_before_anything_is_made(tmp_path, programs):
    folder = programs("df", 'echo "Filesystem 1024-blocks Used Available Capacity Mounted"; echo "x 9 9 3145728 50% /"')
    done = install(path=folder, GLOTTIS_VENV=tmp_path / "deep" / "venv")
    assert done.returncode == 1
    assert f"needs 8 GB of disk for PyTorch and its libraries; {tmp_path} has 3 GB free" in done.stderr
    assert not (tmp_path / "deep").exists()


def test_an_old_python_is_said_with_its_version(tmp_path, programs):
    old = 'case "$*" in *platform*) echo 3.9.2;; *) exit 1;; esac'
    for name in ("python3", "python3.13", "python3.12", "python3.11"):
        folder = programs(name, old)
    programs("df", 'echo; echo "x 9 9 99999999 50% /"')
    done = install(path=folder, GLOTTIS_VENV=tmp_path / "venv")
    assert done.returncode == 1
    assert "needs Python 3.11 or newer; python3 is 3.9.2;" in done.stderr
    done = install(path=folder, GLOTTIS_VENV=tmp_path / "venv", GLOTTIS_PYTHON=folder / "python3")
    assert f"needs Python 3.11 or newer; {folder}/python3 is 3.9.2; install one" in done.stderr


def test_a_python_without_venv_is_said_with_the_package_to_install(tmp_path, programs):
    folder = programs("python3", 'case "$*" in *ensurepip*) exit 1;; esac')
    programs("df", 'echo; echo "x 9 9 99999999 50% /"')
    done = install(path=folder, GLOTTIS_VENV=tmp_path / "venv")
    assert done.returncode == 1
    assert "python3 has no venv module. On Debian and Ubuntu: apt-get install python3-venv" in done.stderr

import importlib.util
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "check_repo.py"
spec = importlib.util.spec_from_file_location("check_repo", SCRIPT)
check_repo = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_repo)


@pytest.fixture
def repository(tmp_path, capsys):
    """A git repository to put files into; the function gives what the check says of it."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)

    def check(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        status = check_repo.main(tmp_path)
        return status, capsys.readouterr().out

    return check


def test_a_clean_repository_passes(repository):
    files = {"tts/a.py": "x = 1\n" * 300, "conf/mini.yaml": "steps: 3\n", "recipes/r/run.sh": "echo\n" * 60}
    assert repository(files) == (0, "3 files, 0.0 MB, 0 problem(s)\n")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("tts/a.py", "x = 1\n" * 501, "tts/a.py: 501 lines, at most 500"),
        ("recipes/r/run.sh", "echo\n" * 61, "recipes/r/run.sh: 61 lines, at most 60"),
        ("conf/a.yaml", "".join(f"k{i}: 1\n" for i in range(41)), "conf/a.yaml: 41 lines, at most 40"),
        ("tts/a.py", "x = 1\nx.cuda()\n", "tts/a.py:2: '.cuda('"),
        ("conf/speech/a.yaml", "_target_: os.system\n", "conf/speech/a.yaml:1: '_target_:'"),
        ("README.md", "cd /ho" + "me/jo\n", "README.md:1:"),
        ("conf/a.yaml", "a: 1\nb: 2\na: 3\n", "key 'a' comes twice"),
        ("recipes/r/conf/a.yml", "a:\n  b: 1\n  b: 1\n", "key 'b' comes twice"),
        ("conf/a.yaml", "a: [1\n", "conf/a.yaml: while parsing"),
    ],
)
def test_what_must_not_stand_is_named_with_its_place(repository, name, text, message):
    status, said = repository({name: text})
    assert status == 1
    assert message in said


def test_a_file_past_the_soft_limit_is_only_a_note(repository):
    status, said = repository({"tts/a.py": "x = 1\n" * 301})
    assert status == 0
    assert "note: tts/a.py: 301 lines; past 300 a file is asking to be two" in said


def test_a_repository_too_large_fails(repository, monkeypatch):
    monkeypatch.setattr(check_repo, "MAX_MEGABYTES", 0.001)
    status, said = repository({"data.bin": "0" * 2000})
    assert status == 1
    assert "at most 0.001 MB are allowed" in said


def test_ignored_files_do_not_count(repository):
    assert repository({".gitignore": "exp/\n", "exp/a.yaml": "a: 1\na: 1\n"})[0] == 0

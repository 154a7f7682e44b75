"""Check what no other tool does: sizes of the repository and of its files, words that must not stand, duplicate YAML keys."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
MAX_MEGABYTES = 25
SOFT_LINES, HARD_LINES = 300, 500  # of a Python file under tts/
LONG_ON_PURPOSE: dict[str, str] = {}  # path: reason, for files past HARD_LINES
MAX_YAML_LINES, MAX_RUN_LINES = 40, 60
FORBIDDEN = (
    (r"\.cuda\(", "tts/**/*.py", "move with .to(device); devices are chosen in tts/device.py", ("tts/device.py",)),
    (r"_target_\s*:", "conf/**/*.yaml", "a configuration names no code; use a registry", ()),
    (r"/(?:home|Users|workspace)/\w", "**/*", "a path of one machine", ("tools/check_repo.py",)),
)
TEXT_SUFFIXES = {".py", ".sh", ".md", ".toml", ".yaml", ".yml", ".cfg", ".txt", ".csv", ""}


class UniqueKeyLoader(yaml.SafeLoader):
    """A YAML loader that refuses a key that comes twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """The mapping of a node, if its keys differ."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} comes twice", node.start_mark)
        return super().construct_mapping(node, deep)


def repository_files(root: Path) -> list[Path]:
    """The files that git tracks or would track."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [path for name in listing.split("\0") if name and (path := root / name).is_file()]


def check_size(root: Path, files: list[Path]) -> Iterator[str]:
    """Everything together, and every file under tts/, recipes/ and conf/, stays small."""
    total = sum(path.stat().st_size for path in files) / 1e6
    if total > MAX_MEGABYTES:
        yield f"the repository holds {total:.1f} MB, at most {MAX_MEGABYTES} MB are allowed"
    for path in files:
        name = path.relative_to(root).as_posix()
        limit = _line_limit(name)
        if limit and (lines := len(path.read_text(encoding="utf-8").splitlines())) > limit and name not in LONG_ON_PURPOSE:
            yield f"{name}: {lines} lines, at most {limit}; make it two files with one role each"


def long_files(root: Path, files: list[Path]) -> Iterator[str]:
    """Files that are still allowed but ask to be two."""
    for path in files:
        name = path.relative_to(root).as_posix()
        if _line_limit(name) == HARD_LINES and (lines := len(path.read_text(encoding="utf-8").splitlines())) > SOFT_LINES:
            yield f"{name}: {lines} lines; past {SOFT_LINES} a file is asking to be two"


def check_words(root: Path, files: list[Path]) -> Iterator[str]:
    """No forbidden word stands in a text file."""
    for path in files:
        name = path.relative_to(root).as_posix()
        if path.suffix not in TEXT_SUFFIXES:
            continue
        text = path.read_text(encoding="utf-8")
        for pattern, glob, reason, exempt in FORBIDDEN:
            if name not in exempt and _matches(name, glob) and (found := re.search(pattern, text)):
                yield f"{name}:{text.count(chr(10), 0, found.start()) + 1}: {found[0]!r}: {reason}"


def check_yaml(root: Path, files: list[Path]) -> Iterator[str]:
    """Every YAML file is one mapping without a duplicate key."""
    for path in files:
        if path.suffix in (".yaml", ".yml"):
            try:
                yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeyLoader)  # noqa: S506 - a SafeLoader
            except yaml.YAMLError as err:
                yield f"{path.relative_to(root)}: {err}"


def _line_limit(name: str) -> int:
    if name.startswith("tts/") and name.endswith(".py"):
        return HARD_LINES
    if name.startswith("conf/") and name.endswith(".yaml"):
        return MAX_YAML_LINES
    return MAX_RUN_LINES if re.fullmatch(r"recipes/[^/]+/run\.sh", name) else 0


def _matches(name: str, glob: str) -> bool:
    pattern = re.escape(glob).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    return re.fullmatch(pattern, name) is not None


def main(root: Path = ROOT) -> int:
    """Print what is wrong; 1 if anything is."""
    files = repository_files(root)
    problems = [*check_size(root, files), *check_words(root, files), *check_yaml(root, files)]
    for note in long_files(root, files):
        print(f"note: {note}")
    for problem in problems:
        print(problem)
    print(f"{len(files)} files, {sum(p.stat().st_size for p in files) / 1e6:.1f} MB, {len(problems)} problem(s)")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())

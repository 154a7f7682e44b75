"""Text files that survive editors and crashes: tolerant line reading, strict identifiers, atomic writing."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from tts.errors import DataError

_FORBIDDEN = re.compile(r"[\s/\\\x00-\x1f\x7f|]")
_MAX_ID_BYTES = 200  # leaves room for a suffix in the 255 bytes of a file name


def check_id(identifier: str, where: str) -> str:
    """The identifier itself, if it can name a file and stand as one field of a Kaldi line.

    Raises:
        DataError: if it is empty, `.`, `..`, longer than 200 bytes, or holds white space, a slash, `|` or a control character.
    """
    if identifier in ("", ".", "..") or _FORBIDDEN.search(identifier) or len(identifier.encode()) > _MAX_ID_BYTES:
        raise DataError(
            f"{where}: {identifier[:80]!r} cannot be an utterance or speaker id. Expected 1 to {_MAX_ID_BYTES} bytes without "
            "white space, slashes, '|' or control characters. Rename it."
        )
    return identifier


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a UTF-8 file that are not blank, each with its number from 1; a byte order mark and CRLF are accepted.

    Raises:
        DataError: if the file is missing or is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as err:
        raise DataError(f"{path}: no such file.") from err
    except UnicodeDecodeError as err:
        raise DataError(f"{path}: not UTF-8 at byte {err.start}. Convert it, for example with iconv -t UTF-8.") from err
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        DataError: if the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise DataError(f"{path}: no such file.") from err
    except ValueError as err:
        raise DataError(f"{path}: not JSON ({err}).") from err


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and is removed otherwise.

    The file may be read by whomever the umask allows, even where the block's library makes its files private (safetensors).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid4().hex[:12]}.tmp")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with plain line ends, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value for people to read, atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def some(items: Sequence[str], count: int = 5) -> str:
    """The first `count` items in one phrase, with how many there are in all."""
    shown = ", ".join(items[:count])
    return shown if len(items) <= count else f"{shown}, … ({len(items)} in all)"

"""Unpacking tar and zip archives that nobody vouches for: every member is judged before the first byte is written."""

import bz2
import gzip
import io
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from tts.errors import DataError

MAX_BYTES = 64 * 2**30
MAX_MEMBERS = 2_000_000
_MAX_RATIO, _FREE_BYTES = 200, 64 * 2**20  # audio never shrinks 200-fold; small archives may
_CHUNK = 2**20
_MAX_READ = 16 * 2**20  # a header that claims more is there to fill the memory
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
)


@dataclass(frozen=True, kw_only=True)
class _Member:
    """One entry of an archive; `problem` says why it may not be unpacked."""

    name: str
    is_folder: bool
    size: int  # bytes, unpacked
    problem: str | None
    open: Callable[[], IO[bytes]]


def extract_archive(path: Path, folder: Path, *, max_bytes: int = MAX_BYTES, max_members: int = MAX_MEMBERS) -> None:
    """Unpack a tar (plain, gz, bz2, xz) or zip archive into `folder`, which must not exist yet and appears only when complete.

    Refused before anything is written: absolute names, `..`, backslashes, drives, NUL; links, devices, sparse and encrypted
    members; names that come twice or lie under a file; more than `max_bytes` or 200 times the archive's own size unpacked;
    more than `max_members` members. File modes, owners and times are not taken over.

    Raises:
        DataError: if `folder` exists, the archive is refused, or it is damaged.
    """
    if folder.exists():
        raise DataError(f"{folder} exists already. Remove it or unpack elsewhere.")
    if not path.is_file():
        raise DataError(f"{path}: no such archive.")
    limit = min(max_bytes, _MAX_RATIO * path.stat().st_size + _FREE_BYTES)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        with _open_members(path) as members:
            for member in _checked(path, members, limit, max_members):
                _write_member(path, member, partial)
        partial.mkdir(parents=True, exist_ok=True)  # an archive without members
        partial.rename(folder)
    except _BROKEN as err:
        raise DataError(f"{path}: cannot be unpacked ({err}). If it is damaged, remove it and fetch it again.") from err
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _checked(path: Path, members: Iterator[_Member], max_bytes: int, max_members: int) -> list[_Member]:
    """All members, if each of them and the whole may be unpacked; listing stops at the first that may not."""
    checked: list[_Member] = []
    kinds: dict[tuple[str, ...], str] = {}
    total = 0
    for member in members:
        problem = member.problem or _name_problem(member) or _clash(member, kinds)
        total += member.size
        if total > max_bytes:
            problem = f"brings it to more than {max_bytes} bytes unpacked"
        elif len(checked) == max_members:
            problem = f"is one more than {max_members}"
        if problem:
            raise DataError(f"{path}: refused, member {member.name[:100]!r} {problem}. Nothing was unpacked.")
        checked.append(member)
    return checked


def _name_problem(member: _Member) -> str | None:
    """Why a name may lead out of the folder, or None."""
    name = member.name
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "has an absolute name"
    if ".." in name.split("/"):
        return "has '..' in its name"
    if "\\" in name or "\0" in name:
        return "has a backslash or NUL in its name"
    if not member.is_folder and not PurePosixPath(name).parts:
        return "has no name"
    return None


def _clash(member: _Member, kinds: dict[tuple[str, ...], str]) -> str | None:
    """Why a member cannot stand beside those before it (upper and lower case count as one), or None."""
    parts = PurePosixPath(member.name.casefold()).parts
    for depth in range(1, len(parts)):
        if kinds.setdefault(parts[:depth], "folder") == "file":
            return "lies under a file"
    if parts in kinds and not (member.is_folder and kinds[parts] == "folder"):
        return "comes twice"
    kinds[parts] = "folder" if member.is_folder else "file"
    return None


def _write_member(path: Path, member: _Member, root: Path) -> None:
    target = root / PurePosixPath(member.name)
    if member.is_folder:
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with member.open() as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, _CHUNK)
        written = file.tell()
    if written != member.size:
        raise DataError(f"{path}: member {member.name!r} has {written} of {member.size} bytes; the archive is damaged.")


@contextmanager
def _open_members(path: Path) -> Iterator[Iterator[_Member]]:
    """The members of an archive, listed lazily; they can be opened while the block lasts."""
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            yield (_zip_member(archive, info) for info in archive.infolist())
        return
    openers: dict[bytes, Callable[..., Any]] = {b"BZh": bz2.open, b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open}
    opener = next((o for start, o in openers.items() if magic.startswith(start)), io.FileIO)
    with opener(path, "rb") as stream, tarfile.open(fileobj=_Guarded(stream), mode="r:") as tar:  # type: ignore[call-overload]
        yield (_tar_member(tar, info) for info in tar)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    odd = kind not in (0, stat.S_IFREG, stat.S_IFDIR)
    return _Member(
        name=info.orig_filename,
        is_folder=info.is_dir(),
        size=info.file_size,
        problem="is a link or a device" if odd else "is encrypted" if info.flag_bits & 1 else None,
        open=lambda: archive.open(info),
    )


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.issparse() and info.size >= 0
    return _Member(
        name=info.name,
        is_folder=info.isdir(),
        size=info.size if plain else 0,
        problem=None if plain or info.isdir() else "is a link, a device or sparse",
        open=lambda: cast(IO[bytes], tar.extractfile(info)),
    )


class _Guarded:
    """A seekable stream that refuses to read much at once, as a forged header size would make `tarfile` do."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.seek, self.tell, self._read = stream.seek, stream.tell, stream.read

    def read(self, size: int) -> bytes:
        if size > _MAX_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._read(size)

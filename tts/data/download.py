"""Downloads that are used only when their SHA-256 is the one expected, and that go on where they stopped."""

import hashlib
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tts.data.archive import extract_archive
from tts.errors import DataError

_CHUNK = 2**20
_TIMEOUT = 60.0  # seconds without a byte
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, kw_only=True)
class CorpusArchive:
    """A corpus that can be fetched."""

    url: str
    sha256: str
    root: str  # the folder inside the archive that is the corpus


CORPORA = {
    "ljspeech": CorpusArchive(
        url="https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
        sha256="be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
        root="LJSpeech-1.1",
    ),
}


def fetch_corpus(name: str, folder: Path) -> Path:
    """Download and unpack a known corpus under `folder`, unless that is done already; the corpus's root.

    The archive is kept beside it, so that a second call downloads nothing.

    Raises:
        DataError: if the name is not known, or as `download` and `extract_archive` do.
    """
    if name not in CORPORA:
        raise DataError(f"no archive {name!r} is known. Known: {', '.join(CORPORA)}.")
    archive = CORPORA[name]
    unpacked = folder / name
    if not unpacked.exists():
        file = folder / archive.url.rpartition("/")[2]
        download(archive.url, file, archive.sha256)
        extract_archive(file, unpacked)
    return unpacked / archive.root


def download(url: str, path: Path, sha256: str) -> None:
    """Fetch `url` to `path`, which appears only when complete and verified; nothing is fetched if it is there already.

    What was received is kept in `<path>.part` when the connection breaks, and the next call asks for the rest.

    Args:
        url: https, or file; http only of this very machine.
        path: where the file is to lie.
        sha256: 64 hex digits of the right content.

    Raises:
        ValueError: if `sha256` is not 64 hex digits.
        DataError: if the scheme is not allowed, the connection fails, or the content has another hash (it is removed then).
    """
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError(f"sha256 of {url}: found {sha256!r}, expected 64 lower-case hex digits.")
    _require_allowed(url)
    if path.exists():
        if file_sha256(path) != sha256:
            raise DataError(f"{path}: is there, but is not the content of {url}. Remove it and run again.")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        _receive(url, part)
    except (OSError, HTTPException) as err:
        raise DataError(f"{url}: {err}. What was received is kept in {part}; run again to go on.") from err
    found = file_sha256(part)
    if found != sha256:
        part.unlink()
        raise DataError(
            f"{url}: content has SHA-256 {found}, expected {sha256}. It was removed; run again. If this stays, the address "
            "serves something else."
        )
    part.replace(path)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to where a download may come from."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _require_allowed(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_allowed(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if not (parts.scheme in ("https", "file") or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
        raise DataError(f"{url}: downloads come over https, found {parts.scheme or 'no scheme'}. Use an https address.")


def _receive(url: str, part: Path) -> None:
    """Append to `part` what is missing of `url`; OSError if the connection ends before that."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - scheme checked
    opener = urllib.request.build_opener(_Redirects)
    try:
        response = opener.open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as err:
        if have and err.code == 416:  # nothing is missing: the hash decides
            return
        raise
    with response:
        resumed = f"{response.headers.get('Content-Range')}".startswith(f"bytes {have}-") and response.status == 206
        length = response.headers.get("Content-Length")
        start = have if resumed else 0
        total = start + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file, _progress(part, start, total) as bar:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and part.stat().st_size < total:
        raise OSError(f"the connection ended after {part.stat().st_size} of {total} bytes")


def _progress(part: Path, start: int, total: int | None) -> Any:
    return tqdm(desc=part.name.removesuffix(".part"), initial=start, total=total, unit="B", unit_scale=True)

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
    root: str  # the folder inside the archive that is the corpus; empty where the archive has none above it


_ARCTIC = {
    "aew": "645cb33c0f0b2ce41384fdd8d3db2c3f5fc15c1e688baeb74d2e08cab18ab406",
    "ahw": "024664adeb892809d646a3efd043625b46b5bfa3e6189b3500b2d0d59dfab06c",
    "aup": "2c55bc3050caa996758869126ad10cf42e1441212111db034b3a45189c18b6fc",
    "awb": "d74a950c9739a65f7bfc4dfa6187f2730fa03de5b8eb3f2da97a51b74df64d3c",
    "axb": "dd65c3d2907d1ee52f86e44f578319159e60f4bf722a9142be01161d84e330ff",
    "bdl": "26b91aaf48b2799b2956792b4632c2f926cd0542f402b5452d5adecb60942904",
    "clb": "3f16dc3f3b97955ea22623efb33b444341013fc660677b2e170efdcc959fa7c6",
    "eey": "8a0ee4e5acbd4b2f61a4fb947c1730ab3adcc9dc50b195981d99391d29928e8a",
    "fem": "3fcff629412b57233589cdb058f730594a62c4f3a75c20de14afe06621ef45e2",
    "gka": "dc82e7967cbd5eddbed33074b0699128dbd4482b41711916d58103707e38c67f",
    "jmk": "3a37c0e1dfc91e734fdbc88b562d9e2ebca621772402cdc693bbc9b09b211d73",
    "ksp": "8029cafce8296f9bed3022c44ef1e7953332b6bf6943c14b929f468122532717",
    "ljm": "b23993765cbf2b9e7bbc3c85b6c56eaf292ac81ee4bb887b638a24d104f921a0",
    "lnh": "4faf34d71aa7112813252fb20c5433e2fdd9a9de55a00701ffcbf05f24a5991a",
    "rms": "c6dc11235629c58441c071a7ba8a2d067903dfefbaabc4056d87da35b72ecda4",
    "rxr": "1fa4271c393e5998d200e56c102ff46fcfea169aaa2148ad9e9469616fbfdd9b",
    "slp": "54345ed55e45c23d419e9a823eef427f1cc93c83a710735ec667d068c916abf1",
    "slt": "7c173297916acf3cc7fcab2713be4c60b27312316765a90934651d367226b4ea",
}
_LIBRITTS = {
    "dev-clean": "da0864e1bd26debed35da8a869dd5c04dfc27682921936de7cff9c8a254dbe1a",
    "dev-other": "d413eda26f3a152ac7c9cf3658ef85504dfb1b625296e5fa83727f5186cca79c",
    "test-clean": "234ea5b25859102a87024a4b9b86641f5b5aaaf1197335c95090cde04fe9a4f5",
    "test-other": "33a5342094f3bba7ccc2e0500b9e72d558f72eb99328ac8debe1d9080402f10d",
    "train-clean-100": "c5608bf1ef74bb621935382b8399c5cdd51cd3ee47cec51f00f885a64c6c7f6b",
    "train-clean-360": "ce7cff44dcac46009d18379f37ef36551123a1dc4e5c8e4eb73ae57260de4886",
    "train-other-500": "e35f7e34deeb2e2bdfe4403d88c8fdd5fbf64865cae41f027a185a6965f0a5df",
}
# The SHA-256 are those of torchaudio.datasets (2.11), which the tests hold them against.
CORPORA = {
    "ljspeech": CorpusArchive(
        url="https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
        sha256="be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
        root="LJSpeech-1.1",
    ),
    "vctk": CorpusArchive(
        url="https://datashare.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
        sha256="f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
        root="",
    ),
    **{
        f"arctic_{voice}": CorpusArchive(
            url=f"https://www.festvox.org/cmu_arctic/packed/cmu_us_{voice}_arctic.tar.bz2",
            sha256=sha256,
            root=f"cmu_us_{voice}_arctic",
        )
        for voice, sha256 in _ARCTIC.items()
    },
    **{
        f"libritts_{subset}": CorpusArchive(
            url=f"https://www.openslr.org/resources/60/{subset}.tar.gz",
            sha256=sha256,
            root=f"LibriTTS/{subset}",
        )
        for subset, sha256 in _LIBRITTS.items()
    },
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

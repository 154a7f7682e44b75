import hashlib
import http.server
import io
import re
import tarfile
import threading

import pytest
from torchaudio import datasets

from tts.data import download as module
from tts.data.download import CORPORA, CorpusArchive, download, fetch_corpus
from tts.errors import DataError

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT at /file with ranges; `cut` breaks each reply off after that many bytes."""

    cut: int | None = None
    ranges: bool = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.headers["Range"])
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "http://example.org/file")
            self.end_headers()
            return
        match = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "") if self.server.ranges else None
        start = int(match[1]) if match else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if match else 200)
        if match:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:][: self.server.cut])

    def log_message(self, *_args):
        pass


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_verified_file_appears_and_is_not_fetched_twice(server, tmp_path):
    path = tmp_path / "new" / "file"
    download(f"{server.url}/file", path, SHA256)
    download(f"{server.url}/file", path, SHA256)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None]
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_cut_connection_keeps_the_part_and_the_next_call_fetches_the_rest(server, tmp_path):
    server.cut = 100_000
    with pytest.raises(DataError, match=r"ended after 100000 of 256000 bytes.*run again"):
        download(f"{server.url}/file", tmp_path / "file", SHA256)
    assert (tmp_path / "file.part").stat().st_size == 100_000
    assert not (tmp_path / "file").exists()
    server.cut = None
    download(f"{server.url}/file", tmp_path / "file", SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_a_server_without_ranges_starts_again_from_the_beginning(server, tmp_path):
    server.ranges = False
    (tmp_path / "file.part").write_bytes(CONTENT[:5000])
    download(f"{server.url}/file", tmp_path / "file", SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_part_that_is_complete_already_is_verified_and_used(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    download(f"{server.url}/file", tmp_path / "file", SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"", b"of something else"])
def test_content_with_another_hash_is_removed_and_never_used(server, tmp_path, part):
    if part:
        (tmp_path / "file.part").write_bytes(part)
    with pytest.raises(DataError, match=rf"content has SHA-256 [0-9a-f]{{64}}, expected {'0' * 64}"):
        download(f"{server.url}/file", tmp_path / "file", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_another_file_in_the_place_is_not_overwritten(server, tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(DataError, match="is not the content of"):
        download(f"{server.url}/file", tmp_path / "file", SHA256)
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("url", ["http://example.org/x", "ftp://example.org/x", "x.tar", "http://127.0.0.1.example.org/x"])
def test_only_https_is_allowed(tmp_path, url):
    with pytest.raises(DataError, match="downloads come over https"):
        download(url, tmp_path / "file", SHA256)


def test_a_redirect_may_not_lead_to_plain_http(server, tmp_path):
    with pytest.raises(DataError, match=r"http://example\.org/file: downloads come over https"):
        download(f"{server.url}/elsewhere", tmp_path / "file", SHA256)


@pytest.mark.parametrize("digest", ["", "abc", "Z" * 64])
def test_a_hash_is_mandatory(tmp_path, digest):
    with pytest.raises(ValueError, match="expected 64 lower-case hex digits"):
        download("https://example.org/x", tmp_path / "file", digest)


def test_a_missing_address_says_what_happened(server, tmp_path):
    with pytest.raises(DataError, match="No such file or directory"):
        download((tmp_path / "missing").as_uri(), tmp_path / "file", SHA256)


def test_a_corpus_is_fetched_unpacked_and_then_left_alone(tmp_path, monkeypatch):
    archive = tmp_path / "voice.tar.bz2"
    with tarfile.open(archive, "w:bz2") as tar:
        info = tarfile.TarInfo("Voice-1.0/metadata.csv")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"a|b"))
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(CORPORA, "voice", CorpusArchive(url=archive.as_uri(), sha256=sha256, root="Voice-1.0"))
    root = fetch_corpus("voice", tmp_path / "db")
    assert (root / "metadata.csv").read_text() == "a|b"
    monkeypatch.setattr(module, "download", None)
    assert fetch_corpus("voice", tmp_path / "db") == root == tmp_path / "db" / "voice" / "Voice-1.0"
    with pytest.raises(DataError, match="no archive 'vioce' is known"):
        fetch_corpus("vioce", tmp_path)


def test_hashes_and_names_are_those_that_torchaudio_publishes():
    tables = [datasets.cmuarctic._CHECKSUMS, datasets.libritts._CHECKSUMS, datasets.vctk._CHECKSUMS]
    published = {url.rpartition("/")[2]: sha256 for table in tables for url, sha256 in table.items()}
    release = datasets.ljspeech._RELEASE_CONFIGS["release1"]
    published[release["url"].rpartition("/")[2]] = release["checksum"]
    assert {archive.url.rpartition("/")[2]: archive.sha256 for archive in CORPORA.values()} == published


def test_every_known_corpus_has_https_and_a_hash():
    for archive in CORPORA.values():
        assert archive.url.startswith("https://")
        assert re.fullmatch("[0-9a-f]{64}", archive.sha256)

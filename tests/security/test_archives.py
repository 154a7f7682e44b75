"""Hostile archives are refused before anything is written (row 36 of the bad inputs)."""

import io
import stat
import struct
import tarfile
import zipfile

import pytest

from tts.data.archive import extract_archive
from tts.errors import DataError

CONTENT = b"RIFF" * 100


def make_tar(path, members, mode="w"):
    """`members`: (TarInfo or name, content)."""
    with tarfile.open(path, mode) as tar:
        for info, content in members:
            info = tarfile.TarInfo(info) if isinstance(info, str) else info
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content))
    return path


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in members:
            archive.writestr(info, content)
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def refused(path, tmp_path, match, **limits):
    """The archive is refused with `match`, and neither the target nor anything else is there afterwards."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=match):
        extract_archive(path, tmp_path / "deep" / "out", **limits)
    assert sorted(tmp_path.rglob("*")) == before


def damaged(path, tmp_path):
    """The archive cannot be unpacked, and of what was unpacked so far nothing is left."""
    with pytest.raises(DataError, match=r"cannot be unpacked|damaged"):
        extract_archive(path, tmp_path / "deep" / "out")
    assert [p for p in tmp_path.rglob("*") if p != tmp_path / "deep"] == [path]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.zip"])
def test_an_honest_archive_is_unpacked_whatever_its_name(tmp_path, name):
    members = [("corpus/metadata.csv", b"x|y"), ("corpus/wavs/ü b.wav", CONTENT), ("./readme", b"")]
    path = tmp_path / "archive"
    make_zip(path, members) if name.endswith("zip") else make_tar(path, members, f"w:{name[6:]}")
    extract_archive(path, tmp_path / "out")
    found = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == {"corpus/metadata.csv": b"x|y", "corpus/wavs/ü b.wav": CONTENT, "readme": b""}


ESCAPES = {
    "../evil": "'..' in its name",
    "good/../../evil": "'..' in its name",
    "/tmp/evil": "absolute name",
    "C:/evil": "absolute name",
    "..\\evil": "backslash",
}


@pytest.mark.parametrize(("name", "reason"), ESCAPES.items())
@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_a_name_that_leads_out_is_refused_before_the_good_members_are_written(tmp_path, make, name, reason):
    refused(make(tmp_path / "a", [("good.wav", CONTENT), (name, b"evil")]), tmp_path, reason)


LINKS = {
    "symlink": (tarfile.SYMTYPE, "/etc/passwd"),
    "relative symlink": (tarfile.SYMTYPE, "good.wav"),
    "hard link": (tarfile.LNKTYPE, "../../etc/passwd"),
    "character device": (tarfile.CHRTYPE, ""),
    "block device": (tarfile.BLKTYPE, ""),
    "fifo": (tarfile.FIFOTYPE, ""),
    "sparse": (tarfile.GNUTYPE_SPARSE, ""),
    "unknown type": (b"Z", ""),
}


@pytest.mark.parametrize("kind", LINKS)
def test_tar_members_that_are_not_files_or_folders_are_refused(tmp_path, kind):
    path = make_tar(tmp_path / "a.tar", [("good.wav", CONTENT), (special("odd", *LINKS[kind]), b"")])
    refused(path, tmp_path, "link, a device or sparse|cannot be unpacked")


def test_a_link_to_a_folder_cannot_redirect_a_later_member(tmp_path):
    members = [(special("dir", tarfile.SYMTYPE, str(tmp_path / "elsewhere")), b""), ("dir/evil", b"evil")]
    (tmp_path / "elsewhere").mkdir()
    refused(make_tar(tmp_path / "a.tar", members), tmp_path, "link")


def test_zip_links_and_encrypted_members_are_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(make_zip(tmp_path / "a.zip", [(info, b"/etc/passwd")]), tmp_path, "is a link or a device")
    path = make_zip(tmp_path / "b.zip", [("secret", CONTENT)])
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the encryption flag, in the local header and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    refused(path, tmp_path, "is encrypted")


def test_a_zip_name_cut_by_nul_is_judged_whole(tmp_path):
    path = make_zip(tmp_path / "a.zip", [("good.wavX", b"evil")])
    path.write_bytes(path.read_bytes().replace(b"good.wavX", b"good.wav\0"))
    refused(path, tmp_path, "backslash or NUL")


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_come_twice_or_lie_under_a_file_are_refused(tmp_path, make):
    refused(make(tmp_path / "a", [("x.wav", b"1"), ("X.wav", b"2")]), tmp_path, "comes twice")
    refused(make(tmp_path / "b", [("x", b"1"), ("x/y", b"2")]), tmp_path, "lies under a file")
    refused(make(tmp_path / "c", [("x/y", b"1"), ("x", b"2")]), tmp_path, "comes twice")


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_too_many_bytes_or_members_are_refused(tmp_path, make):
    path = make(tmp_path / "a", [(f"{i}.wav", CONTENT) for i in range(5)])
    refused(path, tmp_path, "more than 1999 bytes", max_bytes=1999)
    refused(path, tmp_path, "one more than 4", max_members=4)
    extract_archive(path, tmp_path / "out", max_bytes=2000, max_members=5)


def test_a_decompression_bomb_is_refused_by_its_ratio(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as file:
        for _ in range(80):
            file.write(bytes(2**20))
    refused(path, tmp_path, "bytes unpacked")


def test_a_member_that_claims_a_huge_size_is_refused_without_reading_it(tmp_path):
    info = tarfile.TarInfo("huge")
    info.size = 2**50
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(1024))
    refused(tmp_path / "a.tar", tmp_path, "bytes unpacked")


def test_a_tar_header_that_would_fill_the_memory_is_refused(tmp_path):
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 2**33
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(1024))
    refused(tmp_path / "a.tar", tmp_path, "cannot be unpacked")


def test_a_zip_that_lies_about_a_size_is_refused(tmp_path):
    path = make_zip(tmp_path / "a.zip", [("x.wav", CONTENT)])
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24  # uncompressed size in the directory
    data[at : at + 4] = struct.pack("<I", 10)
    path.write_bytes(data)
    damaged(path, tmp_path)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_a_truncated_archive_leaves_nothing(tmp_path, name):
    path = tmp_path / name
    members = [("x.wav", bytes(range(256)) * 40)]
    make_zip(path, members) if name.endswith("zip") else make_tar(path, members, f"w:{name[6:]}")
    path.write_bytes(path.read_bytes()[: 5000 if name == "a.tar" else 60])
    damaged(path, tmp_path)


def test_what_is_no_archive_or_is_there_already_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"hello" * 1000)
    refused(tmp_path / "a", tmp_path, "cannot be unpacked")
    refused(tmp_path / "missing", tmp_path, "no such archive")
    with pytest.raises(DataError, match="exists already"):
        extract_archive(make_tar(tmp_path / "b", [("x", b"1")]), tmp_path)


def test_what_a_killed_run_left_is_replaced(tmp_path):
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "x").write_bytes(b"half")
    extract_archive(make_tar(tmp_path / "a", [("x", b"whole")]), tmp_path / "out")
    assert (tmp_path / "out" / "x").read_bytes() == b"whole"
    assert not (tmp_path / ".out.partial").exists()


def test_modes_are_not_taken_over(tmp_path):
    info = tarfile.TarInfo("x")
    info.mode = 0o6777
    extract_archive(make_tar(tmp_path / "a", [(info, b"1")]), tmp_path / "out")
    assert not (tmp_path / "out" / "x").stat().st_mode & 0o7111

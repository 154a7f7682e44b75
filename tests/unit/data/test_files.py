import os

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tts.data.files import atomic_path, check_id, read_lines, some, write_text
from tts.errors import DataError


@pytest.mark.parametrize("bad", ["", ".", "..", "a b", "a/b", "a\\b", "a\x00b", "a|b", "tab\tb", "é" * 101])
def test_ids_that_cannot_name_a_file_or_a_kaldi_field_are_refused(bad):
    with pytest.raises(DataError, match="cannot be an utterance or speaker id"):
        check_id(bad, "here")


@pytest.mark.parametrize("good", ["LJ001-0001", "p225_001", "-dash", "наташа", "a.b"])
def test_ordinary_ids_pass(good):
    assert check_id(good, "here") == good


def test_lines_are_numbered_as_an_editor_shows_them_and_keep_unicode_separators(tmp_path):
    (tmp_path / "t").write_bytes("\ufeffone\r\n\r\nthree\u2028still\x0bthree\r\n".encode())
    assert read_lines(tmp_path / "t") == [(1, "one"), (3, "three\u2028still\x0bthree")]


def test_a_file_in_another_encoding_is_named_with_the_byte(tmp_path):
    (tmp_path / "t").write_bytes("caf\xe9".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8 at byte 3"):
        read_lines(tmp_path / "t")


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    write_text(tmp_path / "t", "old")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "t") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "t").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_file_has_the_mode_that_the_umask_gives_whatever_made_it(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with atomic_path(tmp_path / "t") as temporary:
            save_file({"a": np.zeros(1)}, temporary)  # makes files that only their owner may read
    finally:
        os.umask(before)
    assert (tmp_path / "t").stat().st_mode & 0o777 == mode
    assert load_file(tmp_path / "t")["a"].tolist() == [0.0]


def test_long_lists_are_shown_by_their_first_five():
    assert some(["a", "b"]) == "a, b"
    assert some(list("abcdefg")) == "a, b, c, d, e, … (7 in all)"

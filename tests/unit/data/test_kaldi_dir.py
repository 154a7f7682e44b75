from pathlib import Path

import pytest

from tts.data.kaldi_dir import find_problems, fix_kaldi_dir, read_kaldi_dir, write_kaldi_dir
from tts.data.manifest import Utterance
from tts.errors import DataError


def utterance(utterance_id, speaker="eve", text="hello there"):
    return Utterance(id=utterance_id, audio=Path(f"/corpus/with space/{utterance_id}.wav"), text=text, speaker=speaker)


@pytest.fixture
def folder(tmp_path):
    write_kaldi_dir(tmp_path, [utterance("b"), utterance("a-2", "bob"), utterance("B"), utterance("a", "bob", text="")])
    return tmp_path


def rewrite(path, *lines):
    path.write_bytes("".join(lines).encode())


def test_tables_are_sorted_bytewise_and_read_back_equal(folder):
    assert (folder / "text").read_text() == "B hello there\na\na-2 hello there\nb hello there\n"
    assert (folder / "wav.scp").read_text().splitlines()[1] == "a /corpus/with space/a.wav"
    assert (folder / "spk2utt").read_text() == "bob a a-2\neve B b\n"
    expected = [utterance("B"), utterance("a", "bob", ""), utterance("a-2", "bob"), utterance("b")]
    assert read_kaldi_dir(folder) == expected
    assert find_problems(folder) == []


def test_ids_beyond_the_basic_plane_sort_by_their_bytes(tmp_path):
    ids = ["\uff5e", "\U00010400", "z", "é"]
    write_kaldi_dir(tmp_path, [utterance(i) for i in ids])
    assert [u.id for u in read_kaldi_dir(tmp_path)] == sorted(ids, key=str.encode)


def test_a_byte_order_mark_windows_line_ends_tabs_and_trailing_spaces_are_accepted(folder):
    rewrite(folder / "text", "\ufeffB\thello there \r\n", "a\r\n", "a-2 x\r\n", "b y\r\n")
    assert [u.text for u in read_kaldi_dir(folder)] == ["hello there", "", "x", "y"]


def test_duplicate_and_unsorted_ids_are_reported_by_line_number(folder):
    rewrite(folder / "text", "B x\n", "b x\n", "a x\n", "a-2 x\n", "B again\n")
    problems = find_problems(folder)
    assert f"{folder}/text:3: id a comes after b; expected bytewise order (LC_ALL=C sort)." in problems
    assert f"{folder}/text:5: id B stands on line 1 already." in problems
    assert len(problems) == 3  # a-2 comes after b too


def test_a_pipe_command_is_refused_and_never_run(folder, tmp_path):
    bait = tmp_path / "bait"
    rewrite(folder / "wav.scp", "B /x.wav\n", f"a touch {bait} |\n", "a-2 /x.wav\n", "b /x.wav\n")
    with pytest.raises(DataError, match=r"wav\.scp:2: a is a pipe command, which is never executed"):
        read_kaldi_dir(folder)
    assert not bait.exists()


def test_tables_that_disagree_list_the_first_five_ids_of_each_side(folder):
    rewrite(folder / "text", "B x\n", "b x\n", *(f"z{i} x\n" for i in range(7)))
    (problem,) = find_problems(folder)
    assert "wav.scp and text disagree; only in wav.scp: a, a-2; only in text: z0, z1, z2, z3, z4, … (7 in all)." in problem


def test_an_utterance_without_speaker_is_reported(folder):
    rewrite(folder / "utt2spk", "B eve\n", "a bob\n", "a-2\n", "b eve\n")
    problems = find_problems(folder)
    assert f"{folder}/utt2spk:3: a-2 has no value." in problems
    assert f"{folder}/spk2utt: does not match utt2spk." in problems


def test_missing_tables_and_segments_are_named(folder):
    (folder / "segments").touch()
    assert "not supported. Cut the recordings" in find_problems(folder)[0]
    (folder / "text").unlink()
    assert "text missing" in find_problems(folder)[0]
    with pytest.raises(DataError, match="text missing"):
        fix_kaldi_dir(folder)


def test_fix_sorts_drops_and_rebuilds_and_keeps_a_backup(folder):
    rewrite(folder / "wav.scp", "b /b.wav\r\n", "B /B.wav\r\n", "a cat a |\r\n", "c /c.wav\r\n", "b /other.wav\r\n")
    (folder / "spk2utt").unlink()
    report = fix_kaldi_dir(folder)
    assert report[-1] == f"{folder}: 2 utterances kept, sorted; dropped a, a-2, c."
    assert find_problems(folder) == []
    assert [(u.id, str(u.audio)) for u in read_kaldi_dir(folder)] == [("B", "/B.wav"), ("b", "/b.wav")]
    assert (folder / ".backup" / "wav.scp").read_text().count("\n") == 5
    assert fix_kaldi_dir(folder) == []


def test_fix_never_leaves_nothing(folder):
    rewrite(folder / "wav.scp", "x cat x |\n")
    with pytest.raises(DataError, match="nothing would be left"):
        fix_kaldi_dir(folder)
    assert (folder / "wav.scp").read_text() == "x cat x |\n"


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(DataError, match="no utterance"):
        write_kaldi_dir(tmp_path, [])
    with pytest.raises(DataError, match="more than once: a"):
        write_kaldi_dir(tmp_path, [utterance("a"), utterance("a")])
    with pytest.raises(DataError, match=r"cannot stand in wav\.scp"):
        write_kaldi_dir(tmp_path, [Utterance(id="a", audio=Path("/x|"), text="", speaker="s")])

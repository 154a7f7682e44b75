"""Several corpora in one."""

import pytest

from tts.data.corpora import read_corpora
from tts.errors import DataError


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def make_ljspeech(root, *ids):
    for name in ids:
        touch(root / "wavs" / f"{name}.wav")
    (root / "metadata.csv").write_text("".join(f"{name}|text of {name}\n" for name in ids))
    return root


def make_arctic(root, *voices):
    for voice in voices:
        folder = root / f"cmu_us_{voice}_arctic"
        touch(folder / "wav" / "arctic_a0001.wav")
        touch(folder / "etc" / "txt.done.data")
        (folder / "etc" / "txt.done.data").write_text('( arctic_a0001 "Author of the trail." )\n')
    return root


def make_vctk(root, *speakers):
    for speaker in speakers:
        touch(root / "wav16" / speaker / f"{speaker}_001.flac")
    (root / "txt").mkdir()
    return root


def test_corpora_of_different_layouts_become_one_in_the_order_given(tmp_path):
    arctic = make_arctic(tmp_path / "arctic", "slt", "bdl")
    kathleen = make_ljspeech(tmp_path / "kathleen", "arctic_a0001")
    vctk = make_vctk(tmp_path / "vctk", "p225")
    found = [(u.id, u.speaker) for u in read_corpora([vctk, arctic / "cmu_us_slt_arctic", kathleen])]
    assert found == [("p225_001", "p225"), ("slt_arctic_a0001", "slt"), ("arctic_a0001", "kathleen")]
    assert len(read_corpora([arctic, kathleen, vctk])) == 4


def test_corpora_that_share_ids_are_refused_with_both_folders(tmp_path):
    one = make_ljspeech(tmp_path / "one", "0001", "0002", "mine")
    other = make_ljspeech(tmp_path / "other", "0001", "0002", "yours")
    with pytest.raises(DataError, match=r"other and .*one: both have the utterance ids 0001, 0002.*Rename the clips"):
        read_corpora([one, other])


def test_corpora_that_share_a_speaker_are_refused_unless_it_is_the_one_given(tmp_path):
    monday = make_ljspeech(tmp_path / "monday" / "voice", "m1")
    friday = make_ljspeech(tmp_path / "friday" / "voice", "f1")
    with pytest.raises(DataError, match=r"friday.*and .*monday.*both have the speakers voice.*Rename the speaker or corpus"):
        read_corpora([monday, friday])
    assert {u.speaker for u in read_corpora([monday, friday], speaker="eve")} == {"eve"}


def test_a_corpus_given_twice_is_refused(tmp_path):
    voice = make_ljspeech(tmp_path / "voice", "a")
    with pytest.raises(DataError, match="give no corpus twice"):
        read_corpora([voice, voice])

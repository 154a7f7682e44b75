import pytest

from tts.data.corpora import read_corpus
from tts.data.layouts import detect_layout
from tts.errors import DataError


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.fixture
def ljspeech(tmp_path):
    root = tmp_path / "My Voice"
    for name in ("a.wav", "b.flac", "c.ogg"):
        touch(root / "wavs" / name)
    return root


def write_metadata(root, text, encoding="utf-8"):
    (root / "metadata.csv").write_bytes(text.encode(encoding))


def test_ljspeech_takes_the_normalised_text_and_any_of_three_formats(ljspeech):
    write_metadata(ljspeech, "a|1 cat|one cat\nb|two\nc|3|three|eve\n")
    found = {u.id: (u.text, u.speaker, u.audio.name) for u in read_corpus(ljspeech)}
    assert found == {
        "a": ("one cat", "My_Voice", "a.wav"),
        "b": ("two", "My_Voice", "b.flac"),
        "c": ("three", "eve", "c.ogg"),
    }


def test_a_byte_order_mark_windows_line_ends_and_trailing_spaces_are_accepted(ljspeech):
    write_metadata(ljspeech, "\ufeffa|one|one  \r\n\r\nb|two|two\r\n")
    assert [(u.id, u.text) for u in read_corpus(ljspeech, speaker="eve")] == [("a", "one"), ("b", "two")]


def test_a_line_without_a_text_column_is_named_by_its_number(ljspeech):
    write_metadata(ljspeech, "a|one\nbroken line\n")
    with pytest.raises(DataError, match=r"metadata\.csv:2: found 1 column"):
        read_corpus(ljspeech)


def test_missing_audio_is_listed_by_its_first_five_ids(ljspeech):
    write_metadata(ljspeech, "a|one\n" + "".join(f"x{i}|t\n" for i in range(7)))
    with pytest.raises(DataError, match=r"no audio .* for x0, x1, x2, x3, x4, … \(7 in all\)"):
        read_corpus(ljspeech)


def test_an_id_that_comes_twice_is_refused(ljspeech):
    write_metadata(ljspeech, "a|one\na|again\n")
    with pytest.raises(DataError, match="ids come more than once: a"):
        read_corpus(ljspeech)


def test_an_id_that_leads_out_of_the_folder_is_refused(ljspeech):
    write_metadata(ljspeech, "../a|one\n")
    with pytest.raises(DataError, match=r"\.\./a"):
        read_corpus(ljspeech)


def test_two_formats_of_one_clip_are_refused(ljspeech):
    touch(ljspeech / "wavs" / "a.flac")
    write_metadata(ljspeech, "a|one\n")
    with pytest.raises(DataError, match=r"a\.flac and a\.wav share a name"):
        read_corpus(ljspeech)


def make_arctic(root, voice, lines):
    folder = root / f"cmu_us_{voice}_arctic"
    for number in range(1, 3):
        touch(folder / "wav" / f"arctic_a000{number}.wav")
    (folder / "etc").mkdir()
    (folder / "etc" / "txt.done.data").write_text(lines)
    return folder


LINES = '( arctic_a0001 "Author of the \\"trail\\", etc." )\n( arctic_a0002 "Not at this case." )\n'


def test_arctic_ids_carry_the_voice_because_all_voices_read_the_same_ids(tmp_path):
    make_arctic(tmp_path, "slt", LINES)
    make_arctic(tmp_path, "bdl", LINES)
    found = read_corpus(tmp_path)
    assert [u.id for u in found] == ["bdl_arctic_a0001", "bdl_arctic_a0002", "slt_arctic_a0001", "slt_arctic_a0002"]
    assert found[0].text == 'Author of the "trail", etc.'
    assert {u.speaker for u in found} == {"bdl", "slt"}


def test_one_arctic_folder_gives_the_same_ids_as_the_folder_above_it(tmp_path):
    folder = make_arctic(tmp_path, "slt", LINES)
    assert read_corpus(folder) == read_corpus(tmp_path)


def test_a_broken_arctic_line_is_named_by_its_number(tmp_path):
    make_arctic(tmp_path, "slt", LINES + "arctic_a0003 no parentheses\n")
    with pytest.raises(DataError, match=r"txt\.done\.data:3"):
        read_corpus(tmp_path)


def test_vctk_takes_the_first_microphone_and_the_text_where_there_is_one(tmp_path):
    for name in ("p225/p225_001_mic1.flac", "p225/p225_001_mic2.flac", "p226/p226_002_mic1.flac"):
        touch(tmp_path / "wav48_silence_trimmed" / name)
    (tmp_path / "txt" / "p225").mkdir(parents=True)
    (tmp_path / "txt" / "p225" / "p225_001.txt").write_text(" Please call Stella.\n")
    found = [(u.id, u.text, u.speaker) for u in read_corpus(tmp_path)]
    assert found == [("p225_001", "Please call Stella.", "p225"), ("p226_002", "", "p226")]


def make_libritts(root, clips):
    for clip in clips:
        speaker, chapter, *_ = clip.split("_")
        touch(root / speaker / chapter / f"{clip}.wav")
        (root / speaker / chapter / f"{clip}.original.txt").write_text("Mr. Bell, 1876")
        (root / speaker / chapter / f"{clip}.normalized.txt").write_text("Mister Bell, eighteen seventy six\n")
    return root


def test_libritts_takes_the_normalised_text_of_one_subset_or_of_all_of_them(tmp_path):
    make_libritts(tmp_path / "dev-clean", ["84_121123_000007_000001", "84_121550_000000_000000"])
    train = make_libritts(tmp_path / "train-clean-100", ["19_198_000000_000002"])
    (tmp_path / "SPEAKERS.txt").touch()
    touch(train / "19" / "198" / "19_198_000001_000000.wav")
    text = "Mister Bell, eighteen seventy six"
    assert [(u.id, u.text, u.speaker) for u in read_corpus(tmp_path)] == [
        ("84_121123_000007_000001", text, "84"),
        ("84_121550_000000_000000", text, "84"),
        ("19_198_000000_000002", text, "19"),
        ("19_198_000001_000000", "", "19"),
    ]
    assert read_corpus(train) == read_corpus(tmp_path)[2:]
    assert detect_layout(tmp_path) == detect_layout(train) == "libritts"


def test_two_folders_that_would_be_one_speaker_are_refused(tmp_path):
    for name in ("SF 1/a.wav", "SF_1/b.wav"):
        touch(tmp_path / name)
    with pytest.raises(DataError, match=r"SF 1 and .*SF_1: both would be the speaker SF_1"):
        read_corpus(tmp_path)


def test_names_that_make_one_id_of_two_clips_are_refused(tmp_path):
    for name in ("a/b_c.wav", "a_b/c.wav"):
        touch(tmp_path / name)
    with pytest.raises(DataError, match="ids come more than once: a_b_c"):
        read_corpus(tmp_path)


def test_folders_of_speakers_need_no_text(tmp_path):
    touch(tmp_path / "SF 1" / "200001.wav")
    touch(tmp_path / "TM3" / "TM3_1.flac")
    (tmp_path / "TM3" / "TM3_1.txt").write_text("Hello there.")
    found = [(u.id, u.text, u.speaker) for u in read_corpus(tmp_path)]
    assert found == [("SF_1_200001", "", "SF_1"), ("TM3_1", "Hello there.", "TM3")]


def test_a_folder_that_is_no_corpus_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"found notes\.txt\. Expected metadata\.csv and wavs/"):
        detect_layout(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_corpus(tmp_path / "missing")
    with pytest.raises(DataError, match="layout 'kaldi' is not known"):
        read_corpus(tmp_path, "kaldi")

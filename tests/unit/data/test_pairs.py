from collections import Counter
from pathlib import Path

import pytest

from tts.data.manifest import Utterance
from tts.data.pairs import Pair, make_pairs, read_pairs, write_pairs
from tts.errors import DataError


def corpus(*speakers, n=6, text="sentence {}"):
    """`n` utterances by each speaker, all of the same sentences."""
    return [
        Utterance(id=f"{who}-{i}", audio=Path(f"/x/{who}/{i}.wav"), text=text.format(i), speaker=who)
        for who in speakers
        for i in range(n)
    ]


@pytest.fixture
def waves(tmp_path, monkeypatch):
    """Two files in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "b b.wav"):
        Path(name).touch()
    return tmp_path


def test_pairs_survive_the_file_with_absolute_paths_and_names_of_speakers(waves):
    write_pairs(waves / "pairs.tsv", [Pair("1", Path("a.wav"), "b b.wav"), Pair("2", Path("a.wav"), "bob")])
    found = read_pairs(waves / "pairs.tsv")
    assert found == [Pair("1", waves / "a.wav", str(waves / "b b.wav")), Pair("2", waves / "a.wav", "bob")]
    assert [pair.target_audio for pair in found] == [waves / "b b.wav", None]


def test_comments_blank_lines_and_windows_line_ends_are_passed_over(waves):
    (waves / "pairs.tsv").write_bytes("\ufeff# name\tsource\ttarget\r\n\r\n1\ta.wav\tbob\r\n".encode())
    assert read_pairs(waves / "pairs.tsv") == [Pair("1", Path("a.wav"), "bob")]


def test_every_fault_of_a_list_of_pairs_is_named_by_its_line(waves):
    lines = ["1\ta.wav\tbob", "2\ta.wav", "3\tc.wav\t./d.wav", "1\ta.wav\tbob", "a/b\ta.wav\tbob", "4 a.wav bob"]
    (waves / "pairs.tsv").write_text("\n".join(lines))
    with pytest.raises(DataError) as caught:
        read_pairs(waves / "pairs.tsv")
    first = str(caught.value).splitlines()
    assert "pairs.tsv:2: found 2 column(s), expected 3" in first[0]
    assert "pairs.tsv:3: no such file for the source: c.wav" in first[1]
    assert "pairs.tsv:3: no such file for the target: d.wav" in first[2]
    assert "pairs.tsv:4: the name 1 stands on line 1 already" in first[3]
    assert "pairs.tsv:5: 'a/b' cannot be an utterance or speaker id" in first[4]
    assert first[5] == "… 1 more"


def test_a_list_without_pairs_is_refused_and_never_written(waves):
    (waves / "pairs.tsv").write_text("# nothing\n")
    with pytest.raises(DataError, match="no pair in it"):
        read_pairs(waves / "pairs.tsv")
    with pytest.raises(DataError, match="no pair to write"):
        write_pairs(waves / "new.tsv", [])
    with pytest.raises(DataError, match="names come more than once: 1"):
        write_pairs(waves / "new.tsv", [Pair("1", Path("a.wav"), "bob")] * 2)
    assert not (waves / "new.tsv").exists()


@pytest.mark.parametrize("n", [1, 6, 14, 60])
def test_ordered_pairs_of_speakers_come_equally_often_and_no_pair_twice(n):
    pairs = make_pairs(corpus("ada", "bob", "eve"), n)
    ways = Counter((pair.source.parent.name, Path(pair.target).parent.name) for pair in pairs)
    assert len(pairs) == n
    assert all(source != target for source, target in ways)
    assert len(ways) == min(n, 6)
    assert max(ways.values()) - min(ways.values()) <= 1
    assert len({(pair.source, pair.target) for pair in pairs}) == n
    assert [pair.name for pair in pairs[:1]] == [f"0001_{pairs[0].source.parent.name}_{Path(pairs[0].target).parent.name}"]


def test_source_and_target_say_different_sentences_while_there_are_any():
    utterances = corpus("ada", "bob", n=3)
    pairs = make_pairs(utterances, 18)  # all there are: 2 x 3 x 3, of which 6 are of one sentence
    same = [pair.source.stem == Path(pair.target).stem for pair in pairs]
    assert same == [False] * 12 + [True] * 6
    untold = make_pairs(corpus("ada", "bob", n=3, text=""), 12)
    assert not any(pair.source.stem == Path(pair.target).stem for pair in untold)


def test_the_sources_of_two_speakers_take_turns():
    pairs = make_pairs(corpus("ada", "bob", n=8, text="{} by one"), 16)
    counts = Counter(pair.source for pair in pairs)
    assert len(counts) >= 14  # of 16; one whose first target says its own sentence waits for the next round
    assert max(counts.values()) <= 2


def test_a_seed_means_the_same_pairs_in_any_order_of_the_corpus():
    utterances = corpus("ada", "bob", "eve")
    assert make_pairs(utterances, 20, seed=3) == make_pairs(utterances[::-1], 20, seed=3)
    assert make_pairs(utterances, 20, seed=3) != make_pairs(utterances, 20, seed=4)


def test_all_pairs_are_taken_with_a_warning_where_there_are_fewer_than_asked_for(caplog):
    pairs = make_pairs(corpus("ada", "bob", n=2), 9)
    assert len({(pair.source, pair.target) for pair in pairs}) == len(pairs) == 8
    assert "4 utterances of 2 speakers give 8 pairs, not 9: all are taken" in caplog.text


def test_a_single_speaker_and_no_pair_asked_for_are_refused():
    with pytest.raises(DataError, match="two speakers at least, found ada"):
        make_pairs(corpus("ada"), 1)
    with pytest.raises(ValueError, match="n >= 1"):
        make_pairs(corpus("ada", "bob"), 0)

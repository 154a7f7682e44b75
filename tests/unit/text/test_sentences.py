import types

import pytest

from tts.text.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith met Mr. J. R. Lee. Then left.", ["Dr. Smith met Mr. J. R. Lee.", "Then left."]),
        ("He said “Hi.” Then he left.", ["He said “Hi.”", "Then he left."]),
        ("Cats, e.g. Tom. See No. 5. Vol. 2 is out.", ["Cats, e.g. Tom.", "See No. 5.", "Vol. 2 is out."]),
        ("In the U.S. Senate. It was I. Then she left.", ["In the U.S. Senate.", "It was I.", "Then she left."]),
        ("Well... and so on. End etc. The end.", ["Well... and so on.", "End etc.", "The end."]),
        ("Pi is 3.14 here. A.b is not.", ["Pi is 3.14 here.", "A.b is not."]),
        ("A title\n\nA line\nbroken here", ["A title", "A line broken here"]),
        ("What?! No", ["What?!", "No"]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_sentences_end_where_they_end(text, sentences):
    assert list(split_sentences(text)) == sentences


def test_a_long_sentence_is_cut_after_a_clause_first():
    text = "The first clause is here, the second clause is there, and the third"
    assert list(split_sentences(text, 40)) == ["The first clause is here,", "the second clause is there,", "and the third"]


def test_then_between_words_and_only_then_inside_a_word():
    assert list(split_sentences("aaa bbb ccc ddd", 7)) == ["aaa bbb", "ccc ddd"]
    assert list(split_sentences("aa " + "x" * 10 + " bb", 4)) == ["aa", "xxxx", "xxxx", "xx", "bb"]
    assert list(split_sentences("abc", 1)) == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["x" * 100_000, "word " * 20_000, "I. " * 33_000, "Yes. No! " * 11_000])
def test_a_hundred_thousand_characters_keep_order_and_content(text):
    pieces = list(split_sentences(text, 200))
    assert all(0 < len(piece) <= 200 and piece == piece.strip() for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_pieces_come_one_at_a_time():
    pieces = split_sentences("One. " * 1_000_000)
    assert isinstance(pieces, types.GeneratorType)
    assert [next(pieces) for _ in range(3)] == ["One.", "One.", "One."]


@pytest.mark.parametrize("max_chars", [0, -5])
def test_a_length_that_is_not_positive_is_refused_at_once(max_chars):
    with pytest.raises(ValueError, match=f"max_chars must be at least 1, found {max_chars}"):
        split_sentences("a", max_chars)

import time
from pathlib import Path

import pytest

from tts.errors import TextError
from tts.text.normalize import normalize
from tts.text.numbers import cardinal, fraction, ordinal, plural, roman_to_int, year

ROWS = [
    line.split("\t")
    for line in Path(__file__).with_name("normalization.tsv").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("# ")
]


def test_the_table_is_large_and_well_formed():
    assert len(ROWS) >= 80
    assert all(len(row) == 2 for row in ROWS)


@pytest.mark.parametrize(("written", "spoken"), ROWS, ids=[row[0] for row in ROWS])
def test_the_regression_table_holds(written, spoken):
    assert normalize(written) == spoken


@pytest.mark.parametrize(("_", "spoken"), ROWS, ids=[row[1][:40] for row in ROWS])
def test_what_is_spoken_has_no_digits_and_reads_as_itself(_, spoken):
    assert not any(c.isdigit() for c in spoken)
    assert normalize(spoken) == spoken


@pytest.mark.parametrize("text", ["", "   ", "\t\r\n", "...", "?!", "--- ---", '"()"', "\ufeff", "***", "\u200b"])
def test_a_text_with_nothing_to_speak_is_refused(text):
    with pytest.raises(TextError, match="nothing to speak after normalisation"):
        normalize(text)


def test_characters_without_a_reading_are_dropped_with_one_warning(caplog):
    assert normalize("hello 😀 \x00日本 мир 😀") == "hello"
    assert len(caplog.records) == 1
    assert "dropped 7 character(s) without an English reading: 😀 U+0000 日 本 м и р" in caplog.text


def test_strict_refuses_characters_without_a_reading():
    with pytest.raises(TextError, match=r"characters without an English reading: 😀\. Remove"):
        normalize("hello 😀", strict=True)
    assert normalize("Hello, world!", strict=True) == "Hello, world!"


def test_a_text_of_nothing_but_such_characters_is_refused(caplog):
    with pytest.raises(TextError, match="found only 日 本 語"):
        normalize("日本語")
    assert not caplog.records


def test_line_ends_tabs_and_byte_order_marks_are_white_space():
    assert normalize("\ufeffone\r\ntwo\tthree\u2028four ") == "one two three four"


@pytest.mark.parametrize(
    "unit", ["1", "a", "1.", "1,111", "a.", "I. ", "$1", "a@", "a@b.", "www.", "1-", "'", "%", " .", "St. "]
)
def test_time_grows_with_the_length_of_a_text_and_not_faster(unit):
    start = time.process_time()
    normalize("a " + (unit * 20000)[:20000])
    assert time.process_time() - start < 10  # quadratic patterns take minutes


def test_numbers_in_words():
    assert [cardinal(n) for n in ("0", "10", "1,010", "0042")] == ["zero", "ten", "one thousand ten", "zero zero four two"]
    assert [ordinal(n) for n in ("1", "02", "8", "12", "40", "101")] == [
        "first",
        "second",
        "eighth",
        "twelfth",
        "fortieth",
        "one hundred first",
    ]
    assert [year(n) for n in ("1001", "1110", "1801", "1999", "2050")] == [
        "one thousand one",
        "eleven ten",
        "eighteen oh one",
        "nineteen ninety-nine",
        "twenty fifty",
    ]
    assert [fraction("1", "2"), fraction("3", "8"), fraction("3", "2")] == ["one half", "three eighths", "three halves"]
    assert [plural("twenty"), plural("six"), plural("one")] == ["twenties", "sixes", "ones"]
    assert [roman_to_int(n) for n in ("I", "IV", "IX", "XIV", "XXXVIII")] == [1, 4, 9, 14, 38]


def test_a_run_of_digits_beyond_any_integer_is_spelled():
    assert normalize("7" * 5000) == " ".join(["seven"] * 5000)

import pytest

from tts.metrics.words import error_rates, plain_words


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Hello, World!", "hello world"),
        ("Mr. Smith and Mrs. Smith saw Dr. Who.", "mister smith and missus smith saw doctor who"),
        ("It's the dog's; don't!", "its the dogs dont"),
        ("  many\tspaces\nand\u2014dashes ", "many spaces and dashes"),
        ("well-known", "well known"),
        ("42 caf\u00e9s", "caf s"),
        ("?!", ""),
    ],
)
def test_text_is_compared_in_plain_words(text, plain):
    assert plain_words(text) == plain


def test_errors_are_counted_over_the_words_of_the_corpus():
    # one substitution, one deletion and one insertion in 3 + 5 words
    rates = error_rates(["a red house", "one two three four five"], ["a blue house", "one three four five six"])
    assert rates.word_errors == [1, 2]
    assert rates.wer.value == pytest.approx(3 / 8)
    assert rates.wer.n == 2
    assert rates.wer.low <= rates.wer.value <= rates.wer.high


def test_characters_are_counted_with_their_spaces():
    assert error_rates(["ab cd"], ["ab ce"]).cer.value == pytest.approx(1 / 5)


def test_punctuation_case_and_titles_are_no_errors():
    rates = error_rates(["Mr. Jones isn't here."], ["mister jones isn't here"])
    assert (rates.wer.value, rates.cer.value) == (0.0, 0.0)


def test_nothing_heard_is_every_word_lost():
    rates = error_rates(["a red house"], [""])
    assert (rates.wer.value, rates.cer.value) == (1.0, 1.0)


def test_insertions_take_the_rate_above_one():
    assert error_rates(["yes"], ["yes oh yes oh"]).wer.value == pytest.approx(3.0)


@pytest.mark.parametrize(("references", "hypotheses"), [([], []), (["a"], []), (["a"], ["a", "b"])])
def test_unequal_numbers_of_sentences_are_refused(references, hypotheses):
    with pytest.raises(ValueError, match="as many hypotheses as references"):
        error_rates(references, hypotheses)


def test_a_reference_without_words_is_named():
    with pytest.raises(ValueError, match=r"reference 1 \('42!'\) has no words"):
        error_rates(["a", "42!"], ["a", "forty two"])

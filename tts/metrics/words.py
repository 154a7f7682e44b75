"""Word and character error rates."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tts.metrics.intervals import Interval, bootstrap

_EXPANSIONS = {"mr.": "mister", "mrs.": "missus", "dr.": "doctor"}


@dataclass(frozen=True)
class ErrorRates:
    """Rates of a set of sentences (1 = as many errors as words), and the sentences with the errors of each."""

    wer: Interval
    cer: Interval
    word_errors: list[int]


def plain_words(text: str) -> str:
    """English text as an error rate compares it: lower case a-z, single spaces, titles spelled out, apostrophes closed.

    Digits vanish, so numbers must be spelled out on both sides.
    """
    text = text.lower()
    for short, spoken in _EXPANSIONS.items():
        text = text.replace(short, spoken)
    return " ".join(re.sub(r"[^a-z' ]+", " ", text).replace("'", "").split())


def error_rates(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRates:
    """Word and character error rate of a corpus, both sides in `plain_words`.

        WER = Σ (substitutions + deletions + insertions) / Σ words of the references

    Args:
        references: what was to be said; each has at least one word.
        hypotheses: what was heard, in the same order; may be empty.

    Returns:
        both rates with bootstrap intervals over sentences; insertions can take them above 1.

    Raises:
        ValueError: if the numbers of sentences differ or are 0, or a reference has no words.
        ImportError: if jiwer is not installed (extra `eval`).
    """
    import jiwer

    if len(references) != len(hypotheses) or not references:
        raise ValueError(f"need as many hypotheses as references, found {len(hypotheses)} and {len(references)}.")
    truth, heard = [plain_words(text) for text in references], [plain_words(text) for text in hypotheses]
    for number, words in enumerate(truth):
        if not words:
            raise ValueError(f"reference {number} ({references[number]!r}) has no words to compare.")
    pairs = list(zip(truth, heard, strict=True))
    word_errors = [_errors(jiwer.process_words(reference, hypothesis)) for reference, hypothesis in pairs]
    letter_errors = [_errors(jiwer.process_characters(reference, hypothesis)) for reference, hypothesis in pairs]
    return ErrorRates(
        wer=_rate(word_errors, [len(words.split()) for words in truth]),
        cer=_rate(letter_errors, [len(words) for words in truth]),
        word_errors=word_errors,
    )


def _errors(alignment: object) -> int:
    return sum(getattr(alignment, kind) for kind in ("substitutions", "deletions", "insertions"))


def _rate(errors: list[int], lengths: list[int]) -> Interval:
    return bootstrap([e / n for e, n in zip(errors, lengths, strict=True)], lengths)

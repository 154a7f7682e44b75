"""Long text in pieces short enough to synthesise one by one."""

import re
from collections.abc import Iterator

from tts.text import english

_STOPS_INSIDE = {*english.TITLES, *english.COUNTED, "e.g", "i.e", "vs", "approx"}  # a sentence goes on after these
_BREAK = re.compile(r"""[.!?…]["'”’)\]]*(?=\s)|\n[^\S\n]*\n""")
_OPENING = "\"'“‘([—- "
_CLAUSE_END = re.compile(r"[,;:—][\"'”’)\]]*\s")


def split_sentences(text: str, max_chars: int = 300) -> Iterator[str]:
    """The sentences of `text` in order, each of at most `max_chars` characters, one at a time.

    A full stop after an abbreviation or an initial, or before a lower-case word, ends nothing; a blank line ends a sentence.
    A longer sentence is cut after a clause, else between words, else inside a word. Only white space is lost.

    Raises:
        ValueError: if `max_chars` is not positive.
    """
    if max_chars < 1:
        raise ValueError(f"max_chars must be at least 1, found {max_chars}.")
    return _pieces(text, max_chars)


def _pieces(text: str, max_chars: int) -> Iterator[str]:
    start = 0
    for match in _BREAK.finditer(text):
        if _ends_sentence(text, start, match):
            yield from _cut(text[start : match.end()], max_chars)
            start = match.end()
    yield from _cut(text[start:], max_chars)


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    if match[0][0] != ".":
        return True
    following = text[match.end() : match.end() + 8].lstrip().lstrip(_OPENING)[:1]
    if following.islower():
        return False
    before = text[max(start, match.start() - 12) : match.start()].split()
    word = before[-1].lstrip(_OPENING) if before else ""
    is_initial = len(word) == 1 and word.isupper() and word != "I"
    is_acronym = "." in word and word[-1:].isupper() and len(word.split(".")[-1]) == 1
    return not (word in _STOPS_INSIDE or is_initial or is_acronym)


def _cut(sentence: str, max_chars: int) -> Iterator[str]:
    words, start = " ".join(sentence.split()), 0
    while len(words) - start > max_chars:
        window = words[start : start + max_chars + 1]
        clause = max((m.end() - 1 for m in _CLAUSE_END.finditer(window)), default=0)
        at = clause if clause > max_chars // 3 else window.rfind(" ")
        at = at if at > 0 else max_chars
        yield window[:at]
        start += at + (window[at] == " ")
    if start < len(words):
        yield words[start:]

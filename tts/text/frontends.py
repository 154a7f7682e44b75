"""Front ends: text to symbols, each of which is one sound, a word boundary or a punctuation mark."""

import re
import unicodedata
from collections.abc import Callable
from typing import Protocol

from tts.errors import ConfigError
from tts.text.espeak import load_espeak

WORD_BOUNDARY = " "
PUNCTUATION = ("?", "!", ".", ":", ";", "—", ",")  # strongest first: of "?!," one "?" stays
STRESS = "ˈˌ"

_QUOTES = re.compile(r"""["«»“”„‟‹›()\[\]{}<>*_~`]|(?<!\w)'|'(?!\w)""")
_DASHES = re.compile(r" ?(?:[—–―]|--+) ?| - ")
_MARKS = re.compile(r" ?((?:(?:[?!;—]|(?<!\d)[.,:]|[.,:](?!\d)) ?)+)")
_VOWEL = re.compile(r"[aeiouyæøœɐɑɒɔɘəɚɛɜɝɞɤɨɪɯɵɶʉʊʌʏᵻᵿ]")
_MODIFIERS = "[ːˑ̩̯̃ʲ̪̥̬̊ʰ]*"
_SOUND = re.compile(f"(?:tʃ|dʒ|aɪ|aʊ|eɪ|oʊ|ɔɪ|\\w){_MODIFIERS}")


class Frontend(Protocol):
    """Turns texts into symbols: never drops a line, and every line with a sound ends in a punctuation mark."""

    name: str

    def phonemize(self, texts: list[str]) -> list[list[str]]:
        """The symbols of every text, in order; [] for a text without a sound."""
        ...


def split_clauses(text: str) -> list[tuple[str, str]]:
    """The clauses of a text, each with the mark that ends it; the last mark is "." where the text has none.

    Quotes and brackets fall away, every dash becomes "—", an ellipsis "."; of a run of marks the strongest stays.
    """
    text = unicodedata.normalize("NFC", text).replace("’", "'").replace("‘", "'").replace("…", ".")
    parts = _MARKS.split(_DASHES.sub("—", " ".join(_QUOTES.sub(" ", text).split())))
    clauses: list[tuple[str, str]] = []
    for words, marks in zip(parts[::2], [*parts[1::2], "."], strict=True):
        if any(c.isalnum() for c in words):
            clauses.append((words, next(p for p in PUNCTUATION if p in marks)))
    return clauses


def split_ipa(ipa: str) -> list[str]:
    """The symbols of espeak's IPA (phones joined by "_" or not at all, words by " ").

    A diphthong, an affricate, and a vowel with its length mark are one symbol; a stress mark goes to the vowel after it.
    """
    symbols: list[str] = []
    for word in ipa.split():
        stress, sounds = "", []
        for piece in re.findall(f"[{STRESS}]|{_SOUND.pattern}", word.replace("_", " ")):
            if piece in STRESS:
                stress = piece
            elif _VOWEL.match(piece):
                sounds.append(stress + piece)
                stress = ""
            else:
                sounds.append(piece)
        if sounds:
            symbols += [WORD_BOUNDARY, *sounds] if symbols else sounds
    return symbols


class EspeakFrontend:
    """American English phones from espeak-ng, with stress on the vowels: "hello" is h ə l ˈoʊ."""

    name = "espeak"

    def __init__(self, voice: str = "en-us") -> None:
        self._to_ipa = load_espeak(voice)

    def phonemize(self, texts: list[str]) -> list[list[str]]:
        """The symbols of every text, in order; [] for a text without a sound."""
        return [_join_clauses(text, lambda words: split_ipa(self._to_ipa(words))) for text in texts]


class CharacterFrontend:
    """Lower-case letters as they are written; needs no other package."""

    name = "characters"

    def phonemize(self, texts: list[str]) -> list[list[str]]:
        """The symbols of every text, in order; [] for a text without a sound."""
        return [_join_clauses(text, lambda words: list(" ".join(words.lower().replace("-", " ").split()))) for text in texts]


def _join_clauses(text: str, to_symbols: Callable[[str], list[str]]) -> list[str]:
    symbols: list[str] = []
    for words, mark in split_clauses(text):
        sounds = to_symbols(words)
        if sounds:
            symbols += [WORD_BOUNDARY, *sounds, mark] if symbols else [*sounds, mark]
    return symbols


FRONTENDS: dict[str, Callable[[], Frontend]] = {"espeak": EspeakFrontend, "characters": CharacterFrontend}


def get_frontend(name: str) -> Frontend:
    """The front end called `name`.

    Raises:
        ConfigError: if there is none of that name, or its packages are not installed.
    """
    if name not in FRONTENDS:
        raise ConfigError(f"front end {name!r} is not known. Use one of {', '.join(FRONTENDS)}.")
    return FRONTENDS[name]()

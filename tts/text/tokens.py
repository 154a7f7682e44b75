"""The symbol table of a model: symbols to ids and the file tokens.txt."""

import logging
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from tts.errors import TextError
from tts.text.frontends import PUNCTUATION, STRESS, WORD_BOUNDARY

logger = logging.getLogger(__name__)

PAD = "<pad>"
PAD_ID = 0
_SPACE = "<space>"  # how tokens.txt writes the word boundary
_SILENT = {PAD, WORD_BOUNDARY, *PUNCTUATION}


class Tokens:
    """An ordered set of symbols; the id of a symbol is its place, and the padding symbol has id 0."""

    def __init__(self, symbols: Sequence[str]) -> None:
        """Raises TextError unless `symbols` starts with "<pad>" and holds every symbol once."""
        if not symbols or symbols[PAD_ID] != PAD:
            raise TextError(f"a token table starts with {PAD!r}, found {list(symbols[:1])}.")
        self.symbols = list(symbols)
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols)}
        if len(self._ids) < len(self.symbols):
            twice = sorted(s for s in self._ids if self.symbols.count(s) > 1)
            raise TextError(f"a token table holds every symbol once, found twice: {', '.join(map(repr, twice[:5]))}.")
        if broken := [s for s in self.symbols if not s or "\n" in s or "\r" in s or s == _SPACE]:
            raise TextError(f"a symbol is neither empty nor {_SPACE!r} and has no line break, found {broken[:5]}.")

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._ids

    @classmethod
    def build(cls, corpus: Iterable[Iterable[str]]) -> "Tokens":
        """The table of every symbol in `corpus`, sorted by code point, so equal corpora give equal tables."""
        return cls([PAD, *sorted({symbol for line in corpus for symbol in line} - {PAD})])

    def encode(self, symbols: Sequence[str], *, strict: bool = False) -> list[int]:
        """The ids of `symbols`.

        A symbol the table lacks becomes itself without stress or accent if the table has that, and is dropped with one
        warning otherwise.

        Raises:
            TextError: if no sound is left, or, with `strict`, for any dropped symbol.
        """
        ids: list[int] = []
        unknown: dict[str, None] = {}
        for symbol in symbols:
            found = self.find(symbol)
            if found is None:
                unknown[symbol] = None
            else:
                ids.append(found)
        if all(self.symbols[i] in _SILENT for i in ids):
            found_text = f"unknown symbols {' '.join(unknown)}" if unknown else "no sound"
            raise TextError(f"nothing to speak: found {found_text}. Give text in the language and script of the model.")
        if unknown and strict:
            raise TextError(f"symbols the model does not know: {' '.join(unknown)}. Remove them or allow dropping them.")
        if unknown:
            logger.warning("dropped %d symbol(s) the model does not know: %s", len(unknown), " ".join(unknown))
        return ids

    def find(self, symbol: str) -> int | None:
        """The id of a symbol, or of what it is without stress or accent; None if the table has neither."""
        plain = symbol.lstrip(STRESS)
        for candidate in (symbol, plain, unicodedata.normalize("NFD", plain)[:1]):
            if candidate in self._ids and candidate != PAD:
                return self._ids[candidate]
        return None

    def save(self, path: str | Path) -> None:
        """Writes one symbol a line (UTF-8), the word boundary as "<space>"; atomic."""
        path = Path(path)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        lines = [_SPACE if s == WORD_BOUNDARY else s for s in self.symbols]
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
        part.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> "Tokens":
        """The table of a file written by `save`; a byte order mark and Windows line ends are accepted.

        Raises:
            TextError: if the file is missing or not a token table.
        """
        try:
            lines = Path(path).read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
        except (OSError, UnicodeDecodeError) as err:
            raise TextError(f"{path} cannot be read as a token table ({err}). Expected UTF-8, one symbol a line.") from err
        try:
            return cls([WORD_BOUNDARY if line == _SPACE else line for line in lines])
        except TextError as err:
            raise TextError(f"{path}: {err}") from err

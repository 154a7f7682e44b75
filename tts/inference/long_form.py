"""Files out of texts: one wave for a text of any length, written as it is spoken; or one wave a line."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tts.errors import AudioError, TextError
from tts.inference.synthesizer import Synthesizer
from tts.inference.wave_file import require_writable, write_blocks

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.15  # between sentences


def read_text(path: Path) -> str:
    """The text in a UTF-8 file; a byte order mark and Windows line ends are accepted.

    Raises:
        TextError: if the file is missing or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as err:
        raise TextError(f"{path}: no such file.") from err
    except UnicodeDecodeError as err:
        raise TextError(f"{path}: not UTF-8 at byte {err.start}. Convert it, for example with iconv -t UTF-8.") from err


def speak_long(synthesizer: Synthesizer, text: str, out: Path, **options: object) -> float:
    """Speak a text of any length into one file, sentence by sentence, in constant memory; seconds written.

    Samples beyond [-1, 1] are clipped, with one warning.

    Raises:
        TextError: if there is nothing to speak.
        AudioError: if the ending of `out` is no audio format.
    """
    rate = synthesizer.audio.sample_rate
    pause = np.zeros(round(PAUSE_SECONDS * rate), np.float32)
    require_writable(out)

    def blocks() -> Iterator[NDArray[np.float32]]:
        for number, audio in enumerate(tqdm(synthesizer.stream(text, **options), desc="speak", unit="sentence", disable=None)):
            if number:
                yield pause
            yield audio.wav

    return write_blocks(out, blocks(), rate)


def speak_lines(synthesizer: Synthesizer, lines: Path, folder: Path, *, overwrite: bool = False, **options: object) -> int:
    """Speak every line of a file into `folder`/N.wav, N its line number from 1; waves written.

    A line with nothing to speak has no wave, with a warning where it has letters; the numbers of the others stay.

    Raises:
        TextError: if the file is missing or not UTF-8, or no line has a word.
        AudioError: if a wave is there and `overwrite` is not asked for.
    """
    texts = read_text(lines).split("\n")
    candidates = [(n, text) for n, text in enumerate(texts, 1) if any(c.isalnum() for c in text)]
    there = [str(n) for n, _ in candidates if (folder / f"{n}.wav").exists()]
    if there and not overwrite:
        raise AudioError(
            f"{folder}: {len(there)} of the waves are there ({there[0]}.wav …). Give --overwrite or another folder."
        )
    spoken = 0
    for n, text in tqdm(candidates, desc="speak", unit="line", disable=None):
        try:
            speak_long(synthesizer, text, folder / f"{n}.wav", **options)
            spoken += 1
        except TextError as err:
            logger.warning("%s:%d: no wave, %s", lines, n, err)
    if not spoken:
        raise TextError(f"{lines}: no line has a word to speak.")
    return spoken

"""Files out of texts: one wave for a text of any length, written as it is spoken; or one wave a line."""

from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from tts.audio.io import WRITABLE_FORMATS
from tts.data.files import atomic_path
from tts.errors import AudioError, TextError
from tts.inference.synthesizer import Synthesizer

PAUSE_SECONDS = 0.15  # between sentences


def speak_long(synthesizer: Synthesizer, text: str, out: Path, **options: object) -> float:
    """Speak a text of any length into one file, sentence by sentence, in constant memory; seconds written.

    Raises:
        TextError: if there is nothing to speak.
        AudioError: if the ending of `out` is no audio format.
    """
    container = WRITABLE_FORMATS.get(out.suffix.lower())
    if container is None:
        raise AudioError(f"{out}: cannot write {out.suffix or 'a file without extension'}. Use {' '.join(WRITABLE_FORMATS)}.")
    rate = synthesizer.audio.sample_rate
    pause = np.zeros(round(PAUSE_SECONDS * rate), np.float32)
    written = 0
    with (
        atomic_path(out) as temporary,
        soundfile.SoundFile(temporary, "w", rate, 1, format=container) as file,
    ):
        for audio in tqdm(synthesizer.stream(text, **options), desc="speak", unit="sentence", disable=None):
            if not np.isfinite(audio.wav).all():
                raise AudioError(f"{out}: the model gave samples that are not finite. Check the model folder.")
            if written:
                file.write(pause)
                written += len(pause)
            file.write(np.clip(audio.wav, -1.0, 1.0))
            written += len(audio.wav)
    return written / rate


def speak_lines(synthesizer: Synthesizer, lines: Path, folder: Path, *, overwrite: bool = False, **options: object) -> int:
    """Speak every line of a file into `folder`/N.wav, N its line number from 1; an empty line has no wave. Waves written.

    Raises:
        TextError: if the file is not UTF-8, or no line has a word.
        AudioError: if a wave is there and `overwrite` is not asked for.
    """
    try:
        texts = lines.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as err:
        raise TextError(f"{lines}: not UTF-8 at byte {err.start}. Convert it, for example with iconv -t UTF-8.") from err
    spoken = [(n, text) for n, text in enumerate(texts, 1) if any(c.isalnum() for c in text)]
    if not spoken:
        raise TextError(f"{lines}: no line has a word to speak.")
    there = [str(n) for n, _ in spoken if (folder / f"{n}.wav").exists()]
    if there and not overwrite:
        raise AudioError(
            f"{folder}: {len(there)} of the waves are there ({there[0]}.wav …). Give --overwrite or another folder."
        )
    for n, text in tqdm(spoken, desc="speak", unit="line", disable=None):
        speak_long(synthesizer, text, folder / f"{n}.wav", **options)
    return len(spoken)

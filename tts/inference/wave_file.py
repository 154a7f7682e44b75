"""One audio file out of blocks that are made one by one."""

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from tts.audio.io import WRITABLE_FORMATS
from tts.data.files import atomic_path
from tts.errors import AudioError

logger = logging.getLogger(__name__)


def require_writable(out: Path) -> str:
    """The container that the ending of a path asks for.

    Raises:
        AudioError: if it is no audio format.
    """
    container = WRITABLE_FORMATS.get(out.suffix.lower())
    if container is None:
        raise AudioError(f"{out}: cannot write {out.suffix or 'a file without extension'}. Use {' '.join(WRITABLE_FORMATS)}.")
    return container


def write_blocks(out: Path, blocks: Iterable[NDArray[np.float32]], rate: int) -> float:
    """Write consecutive blocks (N,) into one file, which appears whole or not at all; seconds written.

    Samples beyond [-1, 1] are clipped, with one warning.

    Raises:
        AudioError: if the ending of `out` is no audio format, or a sample is not finite.
    """
    container = require_writable(out)
    written = n_clipped = 0
    with atomic_path(out) as temporary, soundfile.SoundFile(temporary, "w", rate, 1, format=container) as file:
        for wav in blocks:
            if not np.isfinite(wav).all():
                raise AudioError(f"{out}: the model gave samples that are not finite. Check the model folder.")
            file.write(np.clip(wav, -1.0, 1.0))
            written += len(wav)
            n_clipped += int((np.abs(wav) > 1).sum())
    if n_clipped:
        logger.warning("%s: %d of %d samples beyond [-1, 1] were clipped.", out, n_clipped, written)
    return written / rate

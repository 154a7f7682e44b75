"""Audio files of any length, read and resampled block by block in constant memory."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from tts.audio.io import (
    Wav,
    mix_down,
    open_audio,
    promised_samples,
    raw_blocks,
    require_finite,
    require_rate,
    resample,
    warn_if_narrowband,
)
from tts.errors import AudioError

logger = logging.getLogger(__name__)

BLOCK_SECONDS = 10
_CONTEXT_SECONDS = 1  # on either side of a block; no resampling filter is a tenth as long


def read_blocks(path: str | Path, sample_rate: int) -> Iterator[Wav]:
    """The waveform of a file in blocks (N,) of 10 s, the last one shorter; together what `read_audio` gives at `sample_rate`.

    Raises:
        AudioError: naming the file if it is missing, not audio or empty, when a block is asked for; if a sample is not finite,
            when its block is.
        ValueError: if `sample_rate` is not positive.
    """
    require_rate(sample_rate)
    path = Path(path)
    with open_audio(path) as file:
        rate, found = file.samplerate, 0
        warn_if_narrowband(path, rate, sample_rate)
        before = np.zeros(0, dtype=np.float32)
        for block, after in _with_next(_whole_blocks(file, BLOCK_SECONDS * rate, path)):
            n_samples = round(len(block) * sample_rate / rate)
            if not found:
                n_samples = max(1, n_samples)
            found += len(block)
            around = np.concatenate((before, block, after[: _CONTEXT_SECONDS * rate]))
            start = len(before) // rate * sample_rate  # whole seconds are whole samples at both rates
            yield resample(around, rate, sample_rate)[start : start + n_samples]
            before = block[-_CONTEXT_SECONDS * rate :]
        if not found:
            raise AudioError(f"{path} has no samples (header only or damaged). Remove or replace it.")
        if found < (promised := promised_samples(file, found)):
            logger.warning("%s is cut short: its header promises %d samples, %d could be read.", path, promised, found)


def cut_windows(blocks: Iterable[Wav], spans: Iterable[tuple[int, int]]) -> Iterator[Wav]:
    """The samples [start, stop) of each span, out of consecutive blocks; the starts must not fall.

    What lies past the end of the blocks is missing in the window.
    """
    coming, held, origin = iter(blocks), np.zeros(0, dtype=np.float32), 0
    for start, stop in spans:
        held, origin = held[start - origin :], start
        while len(held) < stop - origin and (block := next(coming, None)) is not None:
            held = np.concatenate((held, block))
        yield held[: stop - start]


def _whole_blocks(file: soundfile.SoundFile, size: int, path: Path) -> Iterator[Wav]:
    """Blocks of exactly `size` finite samples at the file's rate, channels averaged; the last one may be shorter."""
    held: list[Wav] = []
    count = position = 0
    for raw in raw_blocks(file):
        held.append(mix_down(raw))
        require_finite(held[-1], f"{path}, from sample {position}")
        position += len(raw)
        count += len(raw)
        if count >= size:
            joined = np.concatenate(held)
            yield joined[:size]
            held, count = [joined[size:]], count - size
    if count:
        yield np.concatenate(held)


def _with_next(blocks: Iterator[Wav]) -> Iterator[tuple[Wav, Wav]]:
    """Every block with the one after it, an empty one after the last."""
    block = next(blocks, None)
    while block is not None:
        following = next(blocks, None)
        yield block, np.zeros(0, dtype=np.float32) if following is None else following
        block = following

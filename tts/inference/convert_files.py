"""Converting files of any length: one, a folder or a list of them."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tts.audio.io import WRITABLE_FORMATS, open_audio
from tts.data.files import read_lines, some
from tts.errors import AudioError, DataError, GlottisError
from tts.inference.attributes import Voice
from tts.inference.casting import SOURCE, TARGET
from tts.inference.converter import VoiceConverter
from tts.inference.wave_file import require_writable, write_blocks

logger = logging.getLogger(__name__)

READABLE = frozenset({*WRITABLE_FORMATS, ".aiff", ".aif", ".au", ".w64", ".caf", ".opus"})
LIST_SUFFIXES = frozenset({".txt", ".lst"})
BATCHED_SECONDS = 30.0  # of what is not computed piece by piece in constant memory

Job = tuple[Path, Path]


def find_jobs(source: Path, out: Path) -> list[Job]:
    """Every (recording, converted file) that a source stands for.

    Args:
        source: a recording; a folder, searched with its subfolders; or a list, a text file (.txt or .lst) with one path a line.
        out: for a recording the file to write; else a folder, where a recording keeps its place and name, as .wav.

    Raises:
        DataError: if the folder or the list has no recording, or two would be written to one file.
    """
    if source.is_dir():
        found = sorted(p for p in source.rglob("*") if p.suffix.lower() in READABLE and p.is_file())
        jobs = [(path, out / path.relative_to(source).with_suffix(".wav")) for path in found]
    elif source.suffix.lower() in LIST_SUFFIXES:
        found = [Path(line.strip()) for _, line in read_lines(source)]
        jobs = [(path, out / f"{path.stem}.wav") for path in found]
    else:
        return [(source, out)]
    if not jobs:
        raise DataError(f"{source}: no recording in it. Expected files that end in {' '.join(sorted(READABLE))}.")
    outs = [str(o) for _, o in jobs]
    twice = sorted({o for o in outs if outs.count(o) > 1})
    if twice:
        raise DataError(f"{source}: more than one recording would be written to {some(twice)}. Rename one of them.")
    return jobs


def convert_file(converter: VoiceConverter, source: Path, out: Path, target: Any = None, **options: Any) -> float:
    """Convert a recording of any length into one file, piece by piece in constant memory; seconds written.

    Args:
        converter: converts.
        source: recording.
        out: ends in .wav, .flac, .ogg or .mp3.
        target: see `VoiceConverter.convert`.
        options: of `VoiceConverter.stream`.

    Raises:
        AudioError: if the ending of `out` is no audio format; and what `VoiceConverter.stream` raises.
    """
    require_writable(out)
    pieces = converter.stream(source, target, **options)

    def waves() -> Iterator[NDArray[np.float32]]:
        with tqdm(desc=source.name, unit="s", disable=None, leave=False) as bar:
            for piece in pieces:
                bar.update(round(piece.duration, 2))
                yield piece.wav

    return write_blocks(out, waves(), converter.audio.sample_rate)


def convert_files(
    converter: VoiceConverter,
    jobs: Sequence[Job],
    target: Any = None,
    *,
    overwrite: bool = False,
    batch_size: int = 1,
    seed: int = 0,
    **options: Any,
) -> dict[Path, str]:
    """Convert many recordings; what went wrong with those that failed, which does not stop the others.

    Args:
        converter: converts.
        jobs: (recording, converted file), from `find_jobs`.
        target: see `VoiceConverter.convert`.
        overwrite: whether outputs that are there may be replaced.
        batch_size: recordings short enough for one piece that are computed at once; what comes out is the same.
        seed: of every recording.
        options: of `VoiceConverter.stream`.

    Raises:
        AudioError: if an output is there and `overwrite` is not asked for; nothing is converted then.
        GlottisError: what went wrong with the only recording.
        SpeakerError: if the target is no speaker and no file.
        ValueError: if `batch_size` is below 1, or naming an option out of its range.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, found {batch_size}.")
    there = [str(out) for _, out in jobs if out.exists()]
    if there and not overwrite:
        raise AudioError(f"{len(there)} of the outputs are there: {some(there)}. Give --overwrite or another place.")
    options = find_voices(converter, options)
    voice = None if target is None else converter.voices.find(target)
    failed: dict[Path, str] = {}
    with tqdm(total=len(jobs), desc="convert", unit="file", disable=None if len(jobs) > 1 else True) as bar:
        for batch in _batches(jobs, batch_size):
            if not _convert_at_once(converter, batch, voice, seed, options):
                for source, out in batch:
                    try:
                        convert_file(converter, source, out, voice, seed=seed, **options)
                    except GlottisError as err:
                        if len(jobs) == 1:
                            raise
                        failed[source] = str(err)
            bar.update(len(batch))
    return failed


def _batches(jobs: Sequence[Job], size: int) -> Iterator[list[Job]]:
    """The jobs, up to `size` together that are short; one that cannot be read or is not short is by itself."""
    batch: list[Job] = []
    for job in jobs:
        if size > 1 and _is_short(job[0]):
            batch.append(job)
        else:
            yield [job]
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _is_short(path: Path) -> bool:
    try:
        with open_audio(path) as file:
            return file.frames <= BATCHED_SECONDS * file.samplerate
    except AudioError:
        return False


def _convert_at_once(
    converter: VoiceConverter, batch: Sequence[Job], voice: Voice | None, seed: int, options: dict[str, Any]
) -> bool:
    """Whether a batch of more than one was converted; if one of it is at fault, none is."""
    if len(batch) == 1:
        return False
    for _, out in batch:
        require_writable(out)
    try:
        results = converter.convert_batch([source for source, _ in batch], voice, seeds=[seed] * len(batch), **options)
    except GlottisError:
        return False
    for audio, (_, out) in zip(results, batch, strict=True):
        write_blocks(out, [audio.wav], audio.sample_rate)
    return True


def find_voices(converter: VoiceConverter, options: dict[str, Any]) -> dict[str, Any]:
    """The options with the voices they name found once, not for every file."""
    found = dict(options)
    for name in ("source_style", "filter_style"):
        if options.get(name, TARGET) not in (TARGET, SOURCE):
            found[name] = converter.voices.find(options[name])
    if options.get("blend") is not None:
        other, weight = options["blend"]
        found["blend"] = (converter.voices.find(other), weight)
    return found


def report_failures(failed: dict[Any, str], n: int) -> None:
    """One warning that counts what failed and gives the first reasons."""
    if failed:
        reasons = "\n".join(list(failed.values())[:5])
        logger.warning("%d of %d could not be converted: %s\n%s", len(failed), n, some([str(f) for f in failed]), reasons)

"""Converting files of any length: one, a folder or a list of them, or the pairs of an evaluation."""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tqdm import tqdm

from tts.audio.io import WRITABLE_FORMATS
from tts.config import to_dict
from tts.data.files import atomic_path, read_lines, some, write_json
from tts.data.pairs import Pair
from tts.errors import AudioError, DataError, GlottisError
from tts.inference.casting import SOURCE, TARGET
from tts.inference.converter import VoiceConverter
from tts.inference.decode import DECODE
from tts.inference.results import PRIORS
from tts.inference.wave_file import require_writable, write_blocks

logger = logging.getLogger(__name__)

READABLE = frozenset({*WRITABLE_FORMATS, ".aiff", ".aif", ".au", ".w64", ".caf", ".opus"})
LIST_SUFFIXES = frozenset({".txt", ".lst"})


def find_jobs(source: Path, out: Path) -> list[tuple[Path, Path]]:
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
    converter: VoiceConverter, jobs: Sequence[tuple[Path, Path]], target: Any = None, *, overwrite: bool = False, **options: Any
) -> dict[Path, str]:
    """Convert many recordings; what went wrong with those that failed, which does not stop the others.

    Raises:
        AudioError: if an output is there and `overwrite` is not asked for; nothing is converted then.
        GlottisError: what went wrong with the only recording.
        SpeakerError: if the target is no speaker and no file.
    """
    there = [str(out) for _, out in jobs if out.exists()]
    if there and not overwrite:
        raise AudioError(f"{len(there)} of the outputs are there: {some(there)}. Give --overwrite or another place.")
    options = _find_voices(converter, options)
    voice = None if target is None else converter.voices.find(target)
    failed: dict[Path, str] = {}
    for source, out in tqdm(jobs, desc="convert", unit="file", disable=None if len(jobs) > 1 else True):
        try:
            convert_file(converter, source, out, voice, **options)
        except GlottisError as err:
            if len(jobs) == 1:
                raise
            failed[source] = str(err)
    return failed


def convert_set(
    converter: VoiceConverter, pairs: Sequence[Pair], out: Path, *, seed: int = 0, **options: Any
) -> dict[str, str]:
    """Write `<name>.wav`, `<name>.safetensors` (mel, f0, source_prior, filter_prior) and `decode.json` for every pair.

    Args:
        converter: converts.
        pairs: whose words in whose voice.
        out: folder, made if missing.
        seed: of the first pair; the next ones count up.
        options: of `VoiceConverter.convert`.

    Returns:
        what went wrong, by the names of the pairs that failed.

    Raises:
        DataError: if every pair failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    options = _find_voices(converter, options)
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for i, pair in enumerate(tqdm(pairs, desc="convert", unit="pair", disable=None)):
        try:
            audio = converter.convert(pair.source, pair.target, seed=seed + i, **options)
        except GlottisError as err:
            failed[pair.name] = str(err)
            continue
        audio.save(out / f"{pair.name}.wav")
        with atomic_path(out / f"{pair.name}.safetensors") as temporary:
            save_file({name: getattr(audio, name) for name in ("mel", *PRIORS, "f0")}, temporary)
        row = {"id": pair.name, "source": str(pair.source), "target": pair.target}
        rows.append(row | {"duration": audio.duration, "seconds": audio.seconds})
    if not rows:
        raise DataError(f"{out}: none of {len(pairs)} pairs could be converted. {next(iter(failed.values()), '')}")
    sampling = {k: v for k, v in options.items() if k in to_dict(converter.loaded.sampling)}
    settings = to_dict(dataclasses.replace(converter.loaded.sampling, **sampling)) | {"seed": seed}
    write_json(out / DECODE, {"vocoder": converter.vocoder.name, "sampling": settings, "utterances": rows})
    return failed


def _find_voices(converter: VoiceConverter, options: dict[str, Any]) -> dict[str, Any]:
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

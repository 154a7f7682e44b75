"""Conversion pairs: whose words, in whose voice (`pairs.tsv`); and drawing them, balanced, from a corpus."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, permutations
from pathlib import Path
from typing import TypeVar

import numpy as np

from tts.audio.io import WRITABLE_FORMATS
from tts.data.files import check_id, read_lines, some, write_text
from tts.data.manifest import Utterance
from tts.errors import DataError

T = TypeVar("T")

logger = logging.getLogger(__name__)

_COLUMNS = "name, source wave, target wave or speaker's name"


@dataclass(frozen=True)
class Pair:
    """One conversion.

    name: of the converted file, without suffix.
    source: recording of the words.
    target: recording of the voice, or the name of a speaker.
    """

    name: str
    source: Path
    target: str

    @property
    def target_audio(self) -> Path | None:
        """The file of the voice, None for a speaker's name; a file has a slash or the suffix of an audio file."""
        path = Path(self.target)
        return path if "/" in self.target or path.suffix.lower() in WRITABLE_FORMATS else None


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a tab-separated file with the columns of `Pair`; blank lines and those that begin with # are skipped.

    A relative path counts from the current folder, as in `wav.scp`.

    Raises:
        DataError: listing the first problems by line: a number of columns that is not 3, a name that cannot name a file or
            comes twice, a file that is not there; or if there is no pair.
    """
    pairs: list[Pair] = []
    problems: list[str] = []
    line_of: dict[str, int] = {}
    for number, line in read_lines(path):
        if line.lstrip().startswith("#"):
            continue
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) != 3 or not all(columns):
            problems.append(
                f"{path}:{number}: found {len([c for c in columns if c])} column(s), expected 3, tab-separated: {_COLUMNS}."
            )
            continue
        pair = Pair(columns[0], Path(columns[1]), columns[2])
        problems += _problems(pair, f"{path}:{number}")
        if pair.name in line_of:
            problems.append(f"{path}:{number}: the name {pair.name} stands on line {line_of[pair.name]} already.")
        line_of.setdefault(pair.name, number)
        pairs.append(pair)
    if problems:
        more = f"\n… {len(problems) - 5} more" if len(problems) > 5 else ""
        raise DataError("\n".join(problems[:5]) + more)
    if not pairs:
        raise DataError(f"{path}: no pair in it. Write a line a conversion, tab-separated: {_COLUMNS}.")
    return pairs


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Write the pairs, their files with absolute paths, atomically.

    Raises:
        DataError: if there is no pair, a name comes twice, or a path cannot stand in a column.
    """
    names = [pair.name for pair in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not pairs:
        raise DataError(f"{path}: " + (f"names come more than once: {some(twice)}." if twice else "no pair to write."))
    lines = []
    for pair in pairs:
        target = pair.target if pair.target_audio is None else str(pair.target_audio.absolute())
        columns = [check_id(pair.name, str(path)), str(pair.source.absolute()), target]
        if any(column != column.strip() or {"\t", "\n"} & set(column) for column in columns):
            raise DataError(f"{path}: {columns} cannot stand in a line of tab-separated columns. Rename the file.")
        lines.append("\t".join(columns) + "\n")
    write_text(path, f"# {_COLUMNS}\n" + "".join(lines))


def make_pairs(utterances: Sequence[Utterance], n: int, seed: int = 0) -> list[Pair]:
    """Draw `n` different pairs of a source utterance and an utterance of another speaker, or with a warning all there are.

    Every ordered pair of speakers comes equally often, give or take one, as long as it has pairs left; within it the source
    utterances take turns. The target says another sentence than the source as long as there is such a pair. Sentences are
    compared by text, and without text by the name of the file.

    Args:
        utterances: of two speakers at least.
        n: number of pairs.
        seed: of the draws.

    Returns:
        pairs named `0001_SOURCE_TARGET` by their number and speakers.

    Raises:
        ValueError: if `n` is not positive.
        DataError: if there are fewer than two speakers.
    """
    if n < 1:
        raise ValueError(f"need n >= 1 pairs, found {n}.")
    by_speaker: defaultdict[str, list[Utterance]] = defaultdict(list)
    for utterance in sorted(utterances, key=lambda u: u.id):
        by_speaker[utterance.speaker].append(utterance)
    if len(by_speaker) < 2:
        raise DataError(f"pairs need two speakers at least, found {some(sorted(by_speaker)) or 'none'}. Give a set with more.")
    ways = list(permutations(sorted(by_speaker), 2))
    order = np.random.default_rng([seed, len(ways)]).permutation(len(ways)).tolist()
    queues = [_draw(by_speaker[ways[w][0]], by_speaker[ways[w][1]], (seed, len(ways), w)) for w in order]
    drawn = list(islice(_in_turn(queues), n))
    if len(drawn) < n:
        logger.warning(
            "%d utterances of %d speakers give %d pairs, not %d: all are taken.",
            len(utterances),
            len(by_speaker),
            len(drawn),
            n,
        )
    return [
        Pair(f"{number:04d}_{source.speaker}_{target.speaker}", source.audio, str(target.audio.absolute()))
        for number, (source, target) in enumerate(drawn, start=1)
    ]


def _draw(sources: list[Utterance], targets: list[Utterance], key: tuple[int, ...]) -> Iterator[tuple[Utterance, Utterance]]:
    """All pairs of two speakers in a random order: in round r source i goes with target i + r; pairs of one sentence last."""
    generator = np.random.default_rng(key)
    sources = [sources[i] for i in generator.permutation(len(sources))]
    targets = [targets[i] for i in generator.permutation(len(targets))]
    for same in (False, True):
        for r in range(len(targets)):
            pairs = ((source, targets[(i + r) % len(targets)]) for i, source in enumerate(sources))
            yield from (pair for pair in pairs if (_sentence(pair[0]) == _sentence(pair[1])) is same)


def _in_turn(queues: Sequence[Iterator[T]]) -> Iterator[T]:
    """One item of every queue, then the next of each that has one, until all are empty."""
    while queues:
        left = []
        for queue in queues:
            for item in islice(queue, 1):
                left.append(queue)
                yield item
        queues = left


def _sentence(utterance: Utterance) -> str:
    return utterance.text or f"\0{utterance.audio.stem}"


def _problems(pair: Pair, where: str) -> list[str]:
    problems = []
    try:
        check_id(pair.name, where)
    except DataError as err:
        problems.append(str(err))
    files = [("source", pair.source), ("target", pair.target_audio)]
    problems += [f"{where}: no such file for the {role}: {file}" for role, file in files if file and not file.is_file()]
    return problems

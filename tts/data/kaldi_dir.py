"""Kaldi data directories: `wav.scp text utt2spk spk2utt`, one line per utterance, sorted bytewise (`LC_ALL=C`)."""

from collections import defaultdict
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tts.data.files import check_id, read_lines, some, write_text
from tts.data.manifest import Utterance
from tts.errors import DataError

TABLES = ("wav.scp", "text", "utt2spk")


class Entry(NamedTuple):
    """One line of a table: its number, the key and the rest."""

    line: int
    key: str
    value: str


def write_kaldi_dir(folder: Path, utterances: list[Utterance]) -> None:
    """Write the four tables, sorted bytewise; audio paths are written absolute.

    Raises:
        DataError: if there is no utterance, an id comes twice, or a path cannot stand on one line.
    """
    if not utterances:
        raise DataError(f"{folder}: no utterance to write.")
    ordered = sorted(utterances, key=lambda u: u.id)  # code point order is the byte order of UTF-8
    twice = [a.id for a, b in pairwise(ordered) if a.id == b.id]
    if twice:
        raise DataError(f"{folder}: ids come more than once: {some(twice)}.")
    tables: dict[str, list[tuple[str, str]]] = {name: [] for name in TABLES}
    for utterance in ordered:
        check_id(utterance.id, str(folder))
        check_id(utterance.speaker, str(folder))
        path = str(utterance.audio.absolute())
        if path != path.strip() or "\n" in path or path.endswith("|"):
            raise DataError(f"{folder}: the path {path!r} of {utterance.id} cannot stand in wav.scp. Rename the file.")
        tables["wav.scp"].append((utterance.id, path))
        tables["text"].append((utterance.id, " ".join(utterance.text.split())))
        tables["utt2spk"].append((utterance.id, utterance.speaker))
    _write_tables(folder, tables)


def remove_kaldi_dir(folder: Path) -> None:
    """Remove the tables of a Kaldi directory, and the folder if nothing else is in it; nothing happens where there is none."""
    for name in (*TABLES, "spk2utt"):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def read_kaldi_dir(folder: Path) -> list[Utterance]:
    """The utterances of a Kaldi directory, sorted by id; a relative path counts from the current folder, as in Kaldi.

    Raises:
        DataError: listing the first problems of `find_problems`, if there are any.
    """
    problems = find_problems(folder)
    if problems:
        more = f"\n… {len(problems) - 5} more" if len(problems) > 5 else ""
        raise DataError("\n".join(problems[:5]) + more + f"\nMend {folder} by hand or with `glottis prepare validate --fix`.")
    wav, text, speaker = ({e.key: e.value for e in read_table(folder / name)} for name in TABLES)
    return [Utterance(id=key, audio=Path(path), text=text[key], speaker=speaker[key]) for key, path in wav.items()]


def read_table(path: Path) -> list[Entry]:
    """The entries of one table, in file order; byte order mark, CRLF, tabs and trailing spaces are accepted."""
    entries = []
    for number, line in read_lines(path):
        key, *rest = line.strip().split(maxsplit=1)
        entries.append(Entry(number, key, rest[0] if rest else ""))
    return entries


def find_problems(folder: Path) -> list[str]:
    """Everything wrong with the tables of a Kaldi directory, one line each; nothing is opened but the tables.

    Found are: missing files, `segments`, duplicate and unsorted ids, empty values, pipes in `wav.scp`, ids that only some
    tables have, and a `spk2utt` that does not match `utt2spk`.
    """
    try:
        _require_tables(folder)
    except DataError as err:
        return [str(err)]
    tables = {name: read_table(folder / name) for name in TABLES}
    problems: list[str] = []
    for name, entries in tables.items():
        problems += _table_problems(folder / name, entries)
    problems += _disagreements(folder, {name: {e.key for e in entries} for name, entries in tables.items()})
    expected = _speaker_table([(e.key, e.value) for e in tables["utt2spk"]])
    if not (folder / "spk2utt").is_file():
        problems.append(f"{folder / 'spk2utt'}: missing.")
    elif sorted((e.key, " ".join(sorted(e.value.split()))) for e in read_table(folder / "spk2utt")) != expected:
        problems.append(f"{folder / 'spk2utt'}: does not match utt2spk.")
    return problems


def fix_kaldi_dir(folder: Path, unusable: Collection[str] = ()) -> list[str]:
    """Sort the tables, keep the first of duplicate ids, drop bad rows, rebuild `spk2utt`; what was wrong and done, by line.

    The old tables are kept in `<folder>/.backup`.

    Args:
        folder: the Kaldi directory.
        unusable: ids to drop besides those `find_problems` finds.

    Raises:
        DataError: if a table is missing or no row is left.
    """
    _require_tables(folder)
    problems = find_problems(folder)
    if not problems and not unusable:
        return []
    rows: dict[str, dict[str, str]] = {}
    for name in TABLES:
        rows[name] = {}
        for entry in read_table(folder / name):
            if not (name == "wav.scp" and (not entry.value or is_pipe(entry.value))):
                rows[name].setdefault(entry.key, entry.value)
    rows["utt2spk"] = {k: v for k, v in rows["utt2spk"].items() if v and not _id_problem(folder, 0, k, v)}
    kept = sorted(set(rows["wav.scp"]) & set(rows["text"]) & set(rows["utt2spk"]) - set(unusable))
    if not kept:
        raise DataError(f"{folder}: no usable utterance is in {', '.join(TABLES)} alike; nothing would be left.")
    dropped = sorted(set().union(*rows.values()) - set(kept))
    for name in (*TABLES, "spk2utt"):
        if (folder / name).is_file():
            write_text(folder / ".backup" / name, (folder / name).read_text(encoding="utf-8-sig"))
    _write_tables(folder, {name: [(key, rows[name][key]) for key in kept] for name in TABLES})
    summary = f"{folder}: {len(kept)} utterances kept, sorted" + (f"; dropped {some(dropped)}." if dropped else ".")
    return [*problems, summary]


def _require_tables(folder: Path) -> None:
    missing = [name for name in TABLES if not (folder / name).is_file()]
    if missing:
        raise DataError(f"{folder}: {', '.join(missing)} missing. A Kaldi directory has {', '.join(TABLES)} and spk2utt.")
    if (folder / "segments").exists():
        raise DataError(f"{folder / 'segments'}: not supported. Cut the recordings into one file per utterance first.")


def _table_problems(path: Path, entries: list[Entry]) -> list[str]:
    """Duplicates, wrong order and unusable values of one table, by line number."""
    problems = []
    line_of: dict[str, int] = {}
    previous = ""
    for line, key, value in entries:
        if key in line_of:
            problems.append(f"{path}:{line}: id {key} stands on line {line_of[key]} already.")
        elif key < previous:
            problems.append(f"{path}:{line}: id {key} comes after {previous}; expected bytewise order (LC_ALL=C sort).")
        line_of.setdefault(key, line)
        previous = max(previous, key)
        if path.name == "wav.scp" and is_pipe(value):
            problems.append(
                f"{path}:{line}: {key} is a pipe command, which is never executed. Write the audio to a file first."
            )
        elif not value and path.name != "text":
            problems.append(f"{path}:{line}: {key} has no value.")
        elif path.name != "text":
            problems += _id_problem(path, line, key, value if path.name == "utt2spk" else key)
    return problems


def _id_problem(path: Path, line: int, key: str, speaker: str) -> list[str]:
    try:
        check_id(key, f"{path}:{line}")
        check_id(speaker, f"{path}:{line}")
    except DataError as err:
        return [str(err)]
    return []


def _disagreements(folder: Path, keys: dict[str, set[str]]) -> list[str]:
    """The first ids of each side for tables that do not list the same utterances."""
    problems = []
    for name in TABLES[1:]:
        only_wav, only_other = sorted(keys["wav.scp"] - keys[name]), sorted(keys[name] - keys["wav.scp"])
        if only_wav or only_other:
            sides = [f"only in {n}: {some(ids)}" for n, ids in (("wav.scp", only_wav), (name, only_other)) if ids]
            problems.append(f"{folder}: wav.scp and {name} disagree; {'; '.join(sides)}.")
    return problems


def is_pipe(value: str) -> bool:
    """Whether a value of `wav.scp` is a command."""
    return value.endswith("|") or value.startswith("|")


def _speaker_table(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Speaker, then their utterances in one string; both sorted."""
    by_speaker: defaultdict[str, set[str]] = defaultdict(set)
    for utterance, speaker in pairs:
        by_speaker[speaker].add(utterance)
    return [(speaker, " ".join(sorted(ids))) for speaker, ids in sorted(by_speaker.items())]


def _write_tables(folder: Path, tables: dict[str, list[tuple[str, str]]]) -> None:
    for name, pairs in (*tables.items(), ("spk2utt", _speaker_table(tables["utt2spk"]))):
        write_text(folder / name, "".join(f"{key} {value}".rstrip() + "\n" for key, value in pairs))

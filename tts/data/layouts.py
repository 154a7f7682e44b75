"""How corpora lie in folders: one reader per layout, and which of them a folder has."""

import re
from collections.abc import Callable
from pathlib import Path

from tts.data.files import read_lines, some
from tts.data.manifest import Utterance
from tts.errors import DataError

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg")

_ARCTIC_LINE = re.compile(r'\(\s*(\S+)\s+"(.*)"\s*\)')


def detect_layout(root: Path) -> str:
    """The name of the layout that `root` has.

    Raises:
        DataError: if it has none of them.
    """
    if (root / "metadata.csv").is_file():
        return "ljspeech"
    if _arctic_folders(root):
        return "arctic"
    if (root / "txt").is_dir() and _vctk_audio_folder(root):
        return "vctk"
    if _libritts_subsets(root):
        return "libritts"
    if any(_audio_files(folder) for folder in _folders(root)):
        return "folders"
    raise DataError(
        f"{root}: no corpus layout known here, found {some(sorted(p.name for p in root.iterdir())) or 'nothing'}. "
        "Expected metadata.csv and wavs/ (ljspeech), etc/txt.done.data and wav/ (arctic), txt/ and wav*/ (vctk), "
        "[SUBSET/]SPEAKER/CHAPTER/*.wav with *.normalized.txt (libritts), or SPEAKER/*.wav (folders)."
    )


def read_ljspeech(root: Path, speaker: str) -> list[Utterance]:
    """`metadata.csv` with `id|text[|normalised[|speaker]]` and `wavs/<id>.{wav,flac,ogg}`; the normalised text is taken."""
    audio = _audio_files(root / "wavs")
    utterances: list[Utterance] = []
    missing: list[str] = []
    for number, line in read_lines(root / "metadata.csv"):
        columns = [column.strip() for column in line.split("|")]
        if not 2 <= len(columns) <= 4:
            found = f"found {len(columns)} column(s), expected id|text[|normalised[|speaker]]"
            raise DataError(f"{root / 'metadata.csv'}:{number}: {found}.")
        utterance_id, text, normalised, who = (*columns, "", "")[:4]
        if utterance_id in audio:
            path = audio[utterance_id]
            utterances.append(
                Utterance(id=utterance_id, audio=path, text=normalised or text, speaker=identifier(who) if who else speaker)
            )
        else:
            missing.append(utterance_id)
    _refuse_missing(missing, root / "wavs")
    return utterances


def read_arctic(root: Path, speaker: str) -> list[Utterance]:
    """One `cmu_us_SPEAKER_arctic` folder, or several side by side: `etc/txt.done.data` and `wav/<id>.wav`.

    All voices read the same ids, so an utterance's id here is `SPEAKER_<id>`.
    """
    utterances: list[Utterance] = []
    names = {folder: re.sub(r"^cmu_us_(.+)_arctic$", r"\1", folder.name) for folder in _arctic_folders(root)}
    if names.get(root) == root.name:  # not named as the corpus names its folders
        names[root] = speaker
    for who, folder in _by_speaker(names).items():
        audio = _audio_files(folder / "wav")
        missing: list[str] = []
        transcript = folder / "etc" / "txt.done.data"
        for number, line in read_lines(transcript):
            match = _ARCTIC_LINE.fullmatch(line.strip())
            if match is None:
                raise DataError(f'{transcript}:{number}: found {line[:60]!r}, expected ( id "text" ).')
            if match[1] in audio:
                text = match[2].replace('\\"', '"').strip()
                utterances.append(Utterance(id=f"{who}_{match[1]}", audio=audio[match[1]], text=text, speaker=who))
            else:
                missing.append(match[1])
        _refuse_missing(missing, folder / "wav")
    return utterances


def read_vctk(root: Path, speaker: str) -> list[Utterance]:
    """`wav*/SPEAKER/<id>[_mic1].*` with `txt/SPEAKER/<id>.txt`; a clip without a text file has an empty text."""
    audio_root = _vctk_audio_folder(root)
    if audio_root is None:
        raise DataError(f"{root}: no folder wav*/SPEAKER with audio. Expected wav16/, wav48/ or wav48_silence_trimmed/.")
    utterances: list[Utterance] = []
    for who, folder in _speaker_folders(audio_root).items():
        for stem, path in _audio_files(folder).items():
            if stem.endswith("_mic2"):  # VCTK 0.92 holds every sentence twice, once per microphone
                continue
            utterance_id = stem.removesuffix("_mic1")
            text = _text_beside(root / "txt" / folder.name / f"{utterance_id}.txt")
            utterances.append(Utterance(id=identifier(utterance_id), audio=path, text=text, speaker=who))
    return utterances


def read_libritts(root: Path, speaker: str) -> list[Utterance]:
    """`SPEAKER/CHAPTER/<id>.*` of one subset or of several side by side, with the text of `<id>.normalized.txt`."""
    utterances: list[Utterance] = []
    for subset in _libritts_subsets(root):
        for who, folder in _speaker_folders(subset).items():
            for chapter in _folders(folder):
                for stem, path in _audio_files(chapter).items():
                    text = _text_beside(chapter / f"{stem}.normalized.txt")
                    utterances.append(Utterance(id=identifier(stem), audio=path, text=text, speaker=who))
    return utterances


def read_folders(root: Path, speaker: str) -> list[Utterance]:
    """`SPEAKER/<name>.{wav,flac,ogg}` with an optional `<name>.txt` beside it; ids are `SPEAKER_<name>`."""
    utterances: list[Utterance] = []
    for who, folder in _speaker_folders(root).items():
        for stem, path in _audio_files(folder).items():
            name = identifier(stem)
            utterance_id = name if name.startswith(f"{who}_") else f"{who}_{name}"
            utterances.append(Utterance(id=utterance_id, audio=path, text=_text_beside(path.with_suffix(".txt")), speaker=who))
    return utterances


LAYOUTS: dict[str, Callable[[Path, str], list[Utterance]]] = {
    "ljspeech": read_ljspeech,
    "arctic": read_arctic,
    "vctk": read_vctk,
    "libritts": read_libritts,
    "folders": read_folders,
}


def identifier(name: str) -> str:
    """A file or folder name as an id: white space becomes `_`."""
    return re.sub(r"\s+", "_", name.strip())


def _folders(root: Path) -> list[Path]:
    """Subfolders in order, hidden ones aside."""
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _speaker_folders(root: Path) -> dict[str, Path]:
    """The subfolders with their speakers' names, in order."""
    return _by_speaker({folder: folder.name for folder in _folders(root)})


def _by_speaker(names: dict[Path, str]) -> dict[str, Path]:
    """Folders by their speaker's id; two folders of one id are refused."""
    folders: dict[str, Path] = {}
    for folder, name in names.items():
        who = identifier(name)
        if who in folders:
            raise DataError(f"{folders[who]} and {folder}: both would be the speaker {who}. Rename one of them.")
        folders[who] = folder
    return folders


def _audio_files(folder: Path) -> dict[str, Path]:
    """Audio files of a folder by stem, in order; two formats of one stem are refused."""
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file():
            if path.stem in files:
                raise DataError(f"{folder}: {files[path.stem].name} and {path.name} share a name. Remove one of them.")
            files[path.stem] = path
    return files


def _arctic_folders(root: Path) -> list[Path]:
    return [p for p in [root, *_folders(root)] if (p / "etc" / "txt.done.data").is_file()]


def _vctk_audio_folder(root: Path) -> Path | None:
    return next((p for p in _folders(root) if p.name.startswith("wav") and any(map(_audio_files, _folders(p)))), None)


def _libritts_subsets(root: Path) -> list[Path]:
    return [p for p in [root, *_folders(root)] if next(p.glob("*/*/*.normalized.txt"), None)]


def _text_beside(path: Path) -> str:
    return " ".join(line.strip() for _, line in read_lines(path)) if path.is_file() else ""


def _refuse_missing(missing: list[str], folder: Path) -> None:
    if missing:
        raise DataError(
            f"{folder}: no audio ({', '.join(AUDIO_SUFFIXES)}) for {some(missing)}. Add the files or remove the lines."
        )

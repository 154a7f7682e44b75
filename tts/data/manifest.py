"""One utterance as a corpus gives it, and as the features folder lists it (`manifest.jsonl`)."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from tts.config import AudioConfig, from_dict, to_dict
from tts.data.files import check_id, read_json, read_lines, some, write_json, write_text
from tts.errors import ConfigError, DataError

MANIFEST = "manifest.jsonl"
UNFILTERED = "manifest.unfiltered.jsonl"  # what the filter started from
AUDIO = "audio.json"
SETTINGS = "settings.json"  # what the folder was made with


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One recorded sentence of a corpus."""

    id: str
    audio: Path
    text: str  # empty where the corpus has no transcript
    speaker: str


@dataclass(frozen=True, kw_only=True)
class ManifestRow:
    """One utterance with features: `features/<id>.safetensors` holds mel (n_mels, frames) and f0 (frames,)."""

    id: str
    audio: str
    text: str
    phones: tuple[str, ...]  # symbols of the front end; empty where there is no text
    speaker: str
    frames: int  # mel frames
    seconds: float  # of the trimmed audio

    def __post_init__(self) -> None:
        check_id(self.id, "manifest")
        check_id(self.speaker, f"manifest, speaker of {self.id}")
        if self.frames < 1 or not self.seconds > 0:
            raise DataError(f"manifest: {self.id} has {self.frames} frames, {self.seconds} s; expected more than 0 of both.")


def read_manifest(path: Path) -> list[ManifestRow]:
    """The rows of a manifest: a JSONL file, or the folder that holds `manifest.jsonl`.

    Raises:
        DataError: naming the line, if one is not JSON, lacks a key, has an unknown key or a wrong type, or repeats an id.
    """
    path = path / MANIFEST if path.is_dir() else path
    rows: list[ManifestRow] = []
    line_of: dict[str, int] = {}
    for number, line in read_lines(path):
        try:
            row = from_dict(ManifestRow, json.loads(line), where="row")
        except (ValueError, ConfigError, DataError) as err:
            raise DataError(f"{path}:{number}: {err}") from err
        if row.id in line_of:
            raise DataError(f"{path}:{number}: id {row.id} stands on line {line_of[row.id]} already. Remove one of them.")
        line_of[row.id] = number
        rows.append(row)
    return rows


def write_manifest(path: Path, rows: list[ManifestRow]) -> None:
    """Write the rows as JSONL, atomically."""
    write_text(path, "".join(json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n" for row in rows))


def read_audio_config(folder: Path) -> AudioConfig:
    """The mel contract of a features folder."""
    return from_dict(AudioConfig, read_json(folder / AUDIO), where=str(folder / AUDIO))


def write_audio_config(folder: Path, audio: AudioConfig) -> None:
    """State the mel contract of a features folder, once.

    Raises:
        DataError: if the folder holds features of another contract.
    """
    if (folder / AUDIO).exists():
        differences = read_audio_config(folder).differences(audio)
        if differences:
            raise DataError(f"{folder}: holds features of another mel ({some(differences)}). Use another folder or remove it.")
    write_json(folder / AUDIO, to_dict(audio))

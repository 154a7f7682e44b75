"""Content features of a whole features folder, for the stage that comes before training."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import torch
from tqdm import tqdm

from tts.audio.perturb import PerturbConfig
from tts.config import to_dict
from tts.data.content_file import (
    CONTENT,
    ContentInfo,
    ContentKind,
    content_path,
    read_content_fingerprint,
    write_content,
    write_content_info,
)
from tts.data.feature_file import features_path, read_feature_info
from tts.data.files import read_json
from tts.data.manifest import ManifestRow, read_manifest
from tts.data.parallel import in_parallel
from tts.data.recordings import Recordings
from tts.errors import DataError
from tts.speech.content import ContentEncoder, load_content_encoder

FORMAT = 1  # raise when the files of an older version may not be taken for finished


@dataclass(frozen=True, kw_only=True)
class ContentSettings:
    """What the content of a features folder depends on, besides its recordings."""

    kind: ContentKind
    source: str  # see `load_content_encoder`
    versions: int = 3  # V: one of clean audio, the others of perturbed
    perturb: PerturbConfig = dataclasses.field(default_factory=PerturbConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.versions < 1:
            raise ValueError(f"versions {self.versions}: expected 1 (clean audio only) or more.")


def prepare_content(folder: Path, settings: ContentSettings, *, n_jobs: int = 1) -> ContentInfo:
    """Write `content/<id>.safetensors` of every row of a features folder, and `content.json` when all are there.

    Finished files are kept, so a stopped run is resumed by the same call. While files of other settings are being replaced
    there is no content.json.

    Raises:
        DataError: if the folder lists no utterance, a recording is no longer that of its features, or a worker died.
        AudioError: if a recording cannot be read.
        ModelError: if the encoder does not fit the folder's mel.
        ValueError: if `n_jobs` < 1.
    """
    if n_jobs < 1:
        raise ValueError(f"n_jobs {n_jobs}: expected at least one job.")
    rows = read_manifest(folder)
    if not rows:
        raise DataError(f"{folder}: the manifest lists no utterance. Check what the filter dropped.")
    _tools.cache_clear()  # the encoder or the folder may have changed since
    recordings, encoder = _tools(folder, settings)
    perturbed = recordings.fingerprint() if settings.versions > 1 else ""
    fingerprint = _hash(FORMAT, encoder.info.fingerprint, settings.versions, perturbed)
    info = dataclasses.replace(encoder.info, versions=settings.versions, fingerprint=fingerprint)
    stated = folder / CONTENT
    if stated.exists() and read_json(stated) != to_dict(info):
        stated.unlink()
    write = partial(_write_row, folder=folder, settings=settings, fingerprint=fingerprint)
    for _ in tqdm(in_parallel(write, rows, n_jobs, __name__), total=len(rows), desc="content", unit="utt"):
        pass
    write_content_info(folder, info)
    return info


def _write_row(row: ManifestRow, folder: Path, settings: ContentSettings, fingerprint: str) -> None:
    """The content of one row, unless a finished file is there."""
    path = content_path(folder, row.id)
    fingerprint = _hash(fingerprint, read_feature_info(features_path(folder, row.id)).fingerprint)
    if read_content_fingerprint(path) == fingerprint:
        return
    recordings, encoder = _tools(folder, settings)
    versions = [encoder(recordings.wav(row, version)) for version in range(settings.versions)]
    write_content(path, torch.stack(versions).cpu(), fingerprint)


@lru_cache(maxsize=1)
def _tools(folder: Path, settings: ContentSettings) -> tuple[Recordings, ContentEncoder]:
    """What a process needs for every row of a folder."""
    recordings = Recordings(folder, settings.perturb, settings.seed)
    return recordings, load_content_encoder(settings.kind, settings.source, recordings.audio)


def _hash(*key: str | int) -> str:
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]

"""Mel and F0 of every utterance (stage 2): one file each, written atomically, skipped when it is there already."""

import hashlib
import json
import logging
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from tts.audio.io import read_audio, resample
from tts.audio.mel import MelExtractor
from tts.audio.pitch import extract_f0
from tts.config import AudioConfig, to_dict
from tts.data.feature_file import FeatureInfo, features_path, read_feature_info, write_features
from tts.data.files import some, write_json
from tts.data.manifest import (
    MANIFEST,
    SETTINGS,
    UNFILTERED,
    ManifestRow,
    Utterance,
    read_manifest,
    write_audio_config,
    write_manifest,
)
from tts.data.parallel import in_parallel
from tts.errors import AudioError, DataError, TextError
from tts.text.frontends import WORD_BOUNDARY, get_frontend
from tts.text.normalize import normalize

logger = logging.getLogger(__name__)

FORMAT = 1  # raise when the files of an older version may not be taken for finished
_FULL_SCALE = 0.999


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """What the features of an utterance depend on, besides its audio."""

    audio: AudioConfig
    f0_method: str = "dio"
    f0_min: float = 65.0  # Hz
    f0_max: float = 500.0  # Hz
    trim: bool = True  # cut leading and trailing silence
    trim_db: float = 40.0  # dB below the loudest frame that count as silence
    trim_margin: float = 0.05  # seconds of it that are left


def trim_silence(wav: NDArray[np.float32], rate: int, threshold_db: float, margin: float) -> NDArray[np.float32]:
    """The wave (N,) without its leading and trailing silence, but for `margin` seconds; a silent wave is returned whole.

    Silence is what lies `threshold_db` dB under the loudest 32 ms (`librosa.effects.trim` without its seconds of import).
    """
    frame = rate * 32 // 1000
    hop = frame // 4
    centred = np.pad(wav, frame // 2)
    power = np.square(np.lib.stride_tricks.sliding_window_view(centred, frame)[::hop]).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-threshold_db / 10))
    if len(loud) == 0:
        return wav
    extra = round(margin * rate)
    return wav[max(0, loud[0] * hop - extra) : (loud[-1] + 1) * hop + extra]


def fit_wave(wav: NDArray[np.float32], rate: int, settings: FeatureSettings) -> NDArray[np.float32]:
    """The wave (N,) of a recording at `rate` as its features see it: resampled, and trimmed where the settings say so."""
    wav = resample(wav, rate, settings.audio.sample_rate)
    if settings.trim:
        wav = trim_silence(wav, settings.audio.sample_rate, settings.trim_db, settings.trim_margin)
    return wav


def extract_features(utterance: Utterance, folder: Path, settings: FeatureSettings) -> FeatureInfo:
    """Write `features/<id>.safetensors` for one utterance, unless a finished one is there; what its header tells.

    The file holds mel (n_mels, T), natural log, and f0 (T,), Hz with 0 = unvoiced. Its header names the settings and the
    audio file it was made from, so that a change of either makes it anew. The level of the audio is not touched.

    Raises:
        AudioError: if the audio cannot be read or has no samples.
    """
    path = features_path(folder, utterance.id)
    fingerprint = _fingerprint(utterance.audio, settings)
    finished = _read_finished(path, fingerprint)
    if finished is not None:
        return finished
    rate = settings.audio.sample_rate
    wav, file_rate = read_audio(utterance.audio)
    peak = float(np.abs(wav).max())
    clipped = float(np.mean(np.abs(wav) >= _FULL_SCALE))
    wav = fit_wave(wav, file_rate, settings)
    with torch.inference_mode():
        mel = _mel_extractor(settings.audio)(torch.from_numpy(wav.copy())[None])[0].numpy()  # (n_mels, T)
    f0 = extract_f0(
        wav, settings.audio, mel.shape[1], method=settings.f0_method, f0_min=settings.f0_min, f0_max=settings.f0_max
    )
    info = FeatureInfo(
        fingerprint=fingerprint,
        frames=mel.shape[1],
        seconds=len(wav) / rate,
        peak=peak,
        clipped=clipped,
        voiced=float(np.mean(f0 > 0)),
    )
    write_features(path, mel, f0, info)
    return info


def phonemize_texts(texts: list[str], frontend: str) -> list[tuple[str, ...]]:
    """The symbols of every text, in one batch; an empty tuple where there is nothing to speak.

    A text begins with a word boundary, to which alignment gives the silence before the first sound.
    """
    engine = get_frontend(frontend)
    normalized = [_normalize_or_empty(text) for text in texts]
    spoken = [index for index, text in enumerate(normalized) if text]
    phones: list[tuple[str, ...]] = [()] * len(texts)
    for index, symbols in zip(spoken, engine.phonemize([normalized[i] for i in spoken]), strict=True):
        phones[index] = (WORD_BOUNDARY, *symbols) if symbols else ()
    return phones


def prepare_features(
    utterances: list[Utterance],
    folder: Path,
    settings: FeatureSettings,
    frontend: str,
    *,
    n_jobs: int = 1,
    shard: tuple[int, int] = (1, 1),
) -> list[ManifestRow]:
    """Extract the features of all utterances over `n_jobs` processes and write `audio.json` and `manifest.jsonl`.

    Shard (i, n) works on every nth utterance from the ith and writes no manifest: run all shards, on as many machines as
    you like, then once without a shard, which only collects. A stopped run is resumed by the same call. Utterances whose
    audio cannot be read are left out with a warning.

    Raises:
        DataError: if no utterance is left, a worker process died, or the folder holds features of another mel.
        ValueError: if not 1 <= i <= n, or `n_jobs` < 1.
    """
    part, parts = shard
    if not 1 <= part <= parts or n_jobs < 1:
        raise ValueError(f"shard {part}/{parts}, n_jobs {n_jobs}: expected 1 <= i <= n and at least one job.")
    write_audio_config(folder, settings.audio)
    write_json(folder / SETTINGS, {**to_dict(settings), "frontend": frontend})
    mine = sorted(utterances, key=lambda u: u.id)[part - 1 :: parts]
    phones = phonemize_texts([u.text for u in mine], frontend) if parts == 1 else []
    done: dict[str, FeatureInfo] = {}
    failed: dict[str, str] = {}
    results = in_parallel(partial(_extract_or_reason, folder=folder, settings=settings), mine, n_jobs, __name__)
    for utterance_id, result in tqdm(results, total=len(mine), desc="features", unit="utt"):
        if isinstance(result, FeatureInfo):
            done[utterance_id] = result
        else:
            failed[utterance_id] = result
    if failed:
        reasons = "\n".join(list(failed.values())[:5])
        logger.warning("%d of %d utterances left out: %s\n%s", len(failed), len(mine), some(list(failed)), reasons)
    if not done:
        raise DataError(f"{folder}: none of {len(mine)} utterances gave features. See the warnings above.")
    if parts > 1:
        return []
    rows = [_row(u, p, done[u.id]) for u, p in zip(mine, phones, strict=True) if u.id in done]
    before_filter = folder / UNFILTERED
    if before_filter.exists() and read_manifest(before_filter) == rows:
        return rows  # nothing is new: the filtered manifest stays
    write_manifest(folder / MANIFEST, rows)
    before_filter.unlink(missing_ok=True)
    return rows


def _row(utterance: Utterance, phones: tuple[str, ...], info: FeatureInfo) -> ManifestRow:
    return ManifestRow(
        id=utterance.id,
        audio=str(utterance.audio),
        text=utterance.text,
        phones=phones,
        speaker=utterance.speaker,
        frames=info.frames,
        seconds=info.seconds,
    )


def _normalize_or_empty(text: str) -> str:
    try:
        return normalize(text)
    except TextError:
        return ""


def _fingerprint(audio: Path, settings: FeatureSettings) -> str:
    """Hex digits that differ when the settings or the audio file (name, size, time) differ."""
    try:
        stat = audio.stat()
    except OSError as err:
        raise AudioError(f"{audio}: no such file.") from err
    key = [FORMAT, to_dict(settings), audio.name, stat.st_size, stat.st_mtime_ns]
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


def _read_finished(path: Path, fingerprint: str) -> FeatureInfo | None:
    """The header, if the file is complete and has this fingerprint, else None."""
    if not path.exists():
        return None
    try:
        info = read_feature_info(path)
    except DataError:
        return None
    return info if info.fingerprint == fingerprint else None


@lru_cache(maxsize=1)
def _mel_extractor(audio: AudioConfig) -> MelExtractor:
    return MelExtractor(audio)


def _extract_or_reason(utterance: Utterance, folder: Path, settings: FeatureSettings) -> tuple[str, FeatureInfo | str]:
    try:
        return utterance.id, extract_features(utterance, folder, settings)
    except AudioError as err:
        return utterance.id, str(err)

"""Durations of every phone of features folders, for the stage that comes before training."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tqdm import tqdm

from tts.data.dataset import DURATIONS
from tts.data.feature_file import read_features
from tts.data.files import atomic_path
from tts.data.manifest import ManifestRow, read_manifest
from tts.errors import DataError
from tts.speech.align import FlatStartAligner


def align_folders(train: Path, others: list[Path], iterations: int = 20) -> dict[Path, int]:
    """Write `durations.safetensors` in each folder; the Gaussians are learnt on `train`.

    Returns:
        Frames aligned, by folder.

    Raises:
        DataError: naming an utterance that has no phones, or fewer frames than sounds.
    """
    aligner = FlatStartAligner(iterations)
    rows = _spoken(train)
    mels = [_mel(train, row) for row in rows]
    with tqdm(total=iterations, desc="align") as bar:

        def progress(iteration: int, likelihood: float) -> None:
            bar.update()
            bar.set_postfix(log_likelihood=f"{likelihood:.2f}")

        try:
            aligner.fit(mels, [row.phones for row in rows], progress)
        except ValueError as err:
            raise DataError(f"{train}: {err} Drop it with `glottis prepare validate`.") from err
    frames = {}
    for folder in [train, *others]:
        durations = {row.id: _align(aligner, folder, row) for row in _spoken(folder)}
        with atomic_path(folder / DURATIONS) as temporary:
            save_file(durations, temporary)
        frames[folder] = int(sum(d.sum() for d in durations.values()))
    return frames


def _spoken(folder: Path) -> list[ManifestRow]:
    rows = read_manifest(folder)
    silent = [row.id for row in rows if not row.phones]
    if silent or not rows:
        raise DataError(
            f"{folder}: {len(silent)} of {len(rows)} utterances have no text ({', '.join(silent[:5])}). Filter them."
        )
    return rows


def _mel(folder: Path, row: ManifestRow) -> np.ndarray:
    return read_features(folder, row.id)[0].numpy()


def _align(aligner: FlatStartAligner, folder: Path, row: ManifestRow) -> np.ndarray:
    try:
        return aligner.align(_mel(folder, row), row.phones)
    except ValueError as err:
        raise DataError(f"{folder}: {row.id}: {err}") from err

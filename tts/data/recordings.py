"""The recordings behind a features folder as their features saw them, plain or with their information perturbed."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tts.audio.io import read_audio
from tts.audio.mel import MelExtractor
from tts.audio.perturb import PerturbConfig, perturb
from tts.config import from_dict, to_dict
from tts.data.features import FeatureSettings, fit_wave
from tts.data.files import atomic_path, read_json
from tts.data.manifest import SETTINGS, ManifestRow
from tts.errors import DataError


def read_settings(folder: Path) -> FeatureSettings:
    """What the features of a folder were made with.

    Raises:
        DataError: if the folder has no settings.
        ConfigError: if they are not of this version.
    """
    values = read_json(folder / SETTINGS)
    if not isinstance(values, dict):
        raise DataError(f"{folder / SETTINGS}: expected a table of keys. Run the features stage again.")
    values.pop("frontend", None)
    return from_dict(FeatureSettings, values, where=str(folder / SETTINGS))


class Recordings:
    """Waves of the rows of a features folder, in versions: 0 is the recording, every other a perturbation of it.

    Version v > 0 is a function of the recording, `config` and (seed, v, id) alone, so it is the same in whichever process
    and order it is made.
    """

    def __init__(self, folder: Path, config: PerturbConfig, seed: int = 0) -> None:
        self.folder, self.config, self.seed = folder, config, seed
        self.settings = read_settings(folder)
        self.audio = self.settings.audio

    def fingerprint(self) -> str:
        """Sixteen hex digits that differ whenever the perturbed versions of a recording would."""
        key = [to_dict(self.settings), to_dict(self.config), self.seed]
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]

    def wav(self, row: ManifestRow, version: int = 0) -> NDArray[np.float32]:
        """A version of a recording, (N,) at the folder's sample rate, trimmed as for its features.

        Raises:
            AudioError: naming the file, if it cannot be read.
            DataError: if the recording has not the mel frames of its row.
        """
        wav = fit_wave(*read_audio(Path(row.audio)), self.settings)
        frames = len(wav) // self.audio.hop_length + 1
        if frames != row.frames:
            raise DataError(
                f"{row.audio}: gives {frames} mel frames, the manifest of {self.folder} has {row.frames} for {row.id}; the "
                "file is another than its features were made from. Run the features stage again."
            )
        if version == 0:
            return wav
        name = int.from_bytes(hashlib.sha256(row.id.encode()).digest()[:8], "big")
        return perturb(wav, self.audio.sample_rate, self.config, np.random.default_rng([self.seed, version, name]))


class PerturbedMels:
    """Log-mels of versions of recordings, made when first asked for and kept in `cache` in float16."""

    def __init__(self, recordings: Recordings, cache: Path) -> None:
        self.recordings = recordings
        self.cache = cache / recordings.fingerprint()
        self._mel: Callable[[Tensor], Tensor] = MelExtractor(recordings.audio)

    def __call__(self, row: ManifestRow, version: int) -> Tensor:
        """The mel (n_mels, T) of a version > 0, natural log, rounded to float16, as float32.

        Raises:
            AudioError, DataError: see `Recordings.wav`.
        """
        path = self.cache / f"{row.id}.{version}.safetensors"
        mel = _read_mel(path)
        if mel is None or mel.shape[1] != row.frames:
            with torch.inference_mode():
                mel = self._mel(torch.tensor(self.recordings.wav(row, version))[None])[0].half()
            with atomic_path(path) as temporary:
                save_file({"mel": mel}, temporary)
        return mel.float()


def _read_mel(path: Path) -> Tensor | None:
    """The mel of a finished file, or None."""
    try:
        return load_file(path)["mel"] if path.exists() else None
    except (OSError, SafetensorError, KeyError):
        return None  # cut short: made again

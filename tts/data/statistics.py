"""What training needs to know of a features folder (stage 4): tokens, mel mean and deviation, F0 statistics per speaker."""

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from tts.audio.pitch import F0Statistics
from tts.data.feature_file import read_features
from tts.data.files import atomic_path, some
from tts.data.manifest import read_manifest
from tts.errors import DataError, SpeakerError
from tts.text.tokens import Tokens

TOKENS = "tokens.txt"
STATISTICS = "statistics.safetensors"

_F0_PREFIX = "f0."


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Measured on the training set; every set, and the model, uses these."""

    mel_mean: float  # over all bands and frames
    mel_std: float
    f0: F0Statistics  # of the whole corpus
    speakers: dict[str, F0Statistics]

    def of_speaker(self, speaker: str) -> F0Statistics:
        """The F0 statistics of a speaker of the training set.

        Raises:
            SpeakerError: if the training set has no such speaker.
        """
        if speaker not in self.speakers:
            raise SpeakerError(f"no F0 statistics for speaker {speaker!r}; the training set has {some(sorted(self.speakers))}.")
        return self.speakers[speaker]

    def save(self, path: Path) -> None:
        """Write `mel_mean` (), `mel_std` (), `f0` (2,) and `f0.<speaker>` (2,) = [mean, std] of ln F0, atomically."""
        tensors = {"mel_mean": torch.tensor(self.mel_mean), "mel_std": torch.tensor(self.mel_std), "f0": self.f0.to_tensor()}
        tensors |= {_F0_PREFIX + name: values.to_tensor() for name, values in self.speakers.items()}
        with atomic_path(path) as temporary:
            save_file(tensors, temporary)

    @classmethod
    def load(cls, path: Path) -> "Statistics":
        """The statistics written by `save`.

        Raises:
            DataError: if the file is missing, incomplete or lacks a tensor.
        """
        try:
            tensors = load_file(path)
            speakers = {n.removeprefix(_F0_PREFIX): v for n, v in sorted(tensors.items()) if n.startswith(_F0_PREFIX)}
            return cls(
                mel_mean=float(tensors["mel_mean"]),
                mel_std=float(tensors["mel_std"]),
                f0=F0Statistics.from_tensor(tensors["f0"]),
                speakers={name: F0Statistics.from_tensor(values) for name, values in speakers.items()},
            )
        except (OSError, SafetensorError, KeyError, ValueError) as err:
            raise DataError(f"{path}: not a statistics file ({err}). Run the statistics stage again.") from err


def compute_statistics(folder: Path) -> tuple[Tokens, Statistics]:
    """Measure the training set in `folder` and write `tokens.txt` and `statistics.safetensors` there.

    mel_mean and mel_std are taken over every band and frame. A speaker without a voiced frame gets the corpus's F0
    statistics, with a warning.

    Raises:
        DataError: if the manifest is empty.
        AudioError: if nothing in the whole corpus is voiced.
    """
    rows = read_manifest(folder)
    if not rows:
        raise DataError(f"{folder}: the manifest lists no utterance. Check what the filter dropped.")
    tracks: defaultdict[str, list[NDArray[np.float32]]] = defaultdict(list)
    count, total, squares = 0, 0.0, 0.0
    for row in tqdm(rows, desc="statistics", unit="utt"):
        mel, f0 = read_features(folder, row.id)
        wide = mel.double()
        count, total, squares = count + mel.numel(), total + wide.sum().item(), squares + wide.square().sum().item()
        tracks[row.speaker].append(f0.numpy())
    mean = total / count
    deviation = math.sqrt(max(squares / count - mean**2, 0.0))
    if deviation == 0:
        raise DataError(f"{folder}: every mel value is {mean:g}; the audio is silent throughout. Check the recordings.")
    corpus = F0Statistics.fit((f0 for speaker in tracks.values() for f0 in speaker), name=str(folder))
    speakers = {name: F0Statistics.fit(tracks[name], name=name, fallback=corpus) for name in sorted(tracks)}
    statistics = Statistics(mel_mean=mean, mel_std=deviation, f0=corpus, speakers=speakers)
    tokens = Tokens.build(row.phones for row in rows)
    tokens.save(folder / TOKENS)
    statistics.save(folder / STATISTICS)
    return tokens, statistics

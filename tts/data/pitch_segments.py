"""Pitch of utterances as a model takes it, and random segments of it: what an F0 VQ-VAE is trained on."""

from pathlib import Path

import torch
from torch import Tensor

from tts.audio.pitch import normalize_f0
from tts.data.feature_file import read_features
from tts.data.manifest import ManifestRow
from tts.data.segments import SegmentStream
from tts.data.statistics import Statistics


def read_pitch(features: Path, row: ManifestRow, statistics: Statistics) -> tuple[Tensor, Tensor]:
    """z-scored log-F0 carried through unvoiced gaps, (T,) float32, and voicing (T,) float32 of 0 and 1, of one utterance.

    Raises:
        DataError: if its features are not complete.
        SpeakerError: if the statistics lack its speaker.
    """
    _, f0 = read_features(features, row.id)
    z, voiced = normalize_f0(f0.numpy(), statistics.of_speaker(row.speaker))
    return torch.from_numpy(z), torch.from_numpy(voiced).float()


class PitchSegments(SegmentStream):
    """Segments (pitch (length,), voiced (length,), mask (1, length)) of utterances; `length` in mel frames.

    Raises:
        SpeakerError: at once, if the statistics lack a speaker.
    """

    def __init__(
        self, features: Path, statistics: Statistics, length: int, batch_size: int, *, seed: int = 0, first_batch: int = 0
    ) -> None:
        super().__init__(features, length, batch_size, seed=seed, first_batch=first_batch)
        self.features, self.statistics = features, statistics
        for row in self.rows:
            statistics.of_speaker(row.speaker)

    def segment(self, epoch: int, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """The segment at place `index` of an epoch.

        Raises:
            DataError: if the features of its utterance are not complete.
        """
        pitch, voiced = read_pitch(self.features, self.rows[self.row_number(epoch, index)], self.statistics)
        pitch, voiced, mask = self.cut(torch.stack((pitch, voiced, torch.ones_like(pitch))), epoch, index)
        return pitch, voiced, mask.unsqueeze(0)

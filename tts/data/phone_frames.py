"""Utterances as a phone recogniser learns from them: a mel, perhaps of perturbed audio, and the phone of every frame."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from tts.data.batching import Draw
from tts.data.dataset import DURATIONS, read_durations
from tts.data.feature_file import read_features
from tts.data.files import some
from tts.data.manifest import ManifestRow, read_manifest
from tts.data.recordings import PerturbedMels
from tts.data.statistics import Statistics
from tts.errors import DataError
from tts.text.tokens import PAD_ID, Tokens

IGNORED = -100  # label of a frame without one: padding, or a symbol the token table lacks


@dataclass(frozen=True, kw_only=True)
class PhoneItem:
    """One utterance."""

    id: str
    mel: Tensor  # (n_mels, T), normalised
    labels: Tensor  # (T,) int64, the token of every frame
    phones: Tensor  # (L,) int64, the tokens that have a frame at least, in order


@dataclass(frozen=True, kw_only=True)
class PhoneBatch:
    """Utterances padded at the end: mel with 0, labels with IGNORED, phones with the padding id."""

    ids: list[str]
    mel: Tensor  # (B, n_mels, T)
    mel_lengths: Tensor  # (B,) int64
    labels: Tensor  # (B, T) int64
    phones: Tensor  # (B, L) int64
    phone_lengths: Tensor  # (B,) int64

    def to(self, device: torch.device | str) -> "PhoneBatch":
        """The batch with its tensors on `device`."""
        moved: dict[str, Any] = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, **moved)


class PhoneDataset(Dataset[PhoneItem]):
    """The utterances of an aligned features folder, each with one label a frame.

    Asked with `Draw(row, epoch)`, or a row's number for epoch 0. Of `versions` versions, 0 being clean, one is drawn from
    (seed, epoch, row), all alike.

    Args:
        folder: with `manifest.jsonl`, `features/` and `durations.safetensors`.
        tokens: the token table of the training set.
        statistics: of the training set.
        perturbed: gives the mels of versions above 0; None where there are none.
        versions: how many there are, the clean one included.
        seed: of the draws.

    Raises:
        DataError: if the manifest is empty, the folder was not aligned, or durations lack an utterance or do not fit it.
    """

    def __init__(
        self,
        folder: Path,
        tokens: Tokens,
        statistics: Statistics,
        *,
        perturbed: PerturbedMels | None = None,
        versions: int = 1,
        seed: int = 0,
    ) -> None:
        self.folder, self.tokens, self.statistics, self.seed = folder, tokens, statistics, seed
        self.perturbed, self.versions = perturbed, versions if perturbed is not None else 1
        self.rows = read_manifest(folder)
        if not self.rows:
            raise DataError(f"{folder}: the manifest lists no utterance. Check what the filter dropped.")
        durations = read_durations(folder)
        if durations is None:
            raise DataError(f"{folder}: there is no {DURATIONS}. Run `glottis align` first.")
        bad = [row.id for row in self.rows if not _fits(durations.get(row.id), row)]
        if bad:
            raise DataError(
                f"{folder / DURATIONS}: durations of {some(bad)} are missing or do not fit phones and mel. Run the alignment "
                "stage again."
            )
        self.durations = durations

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> list[int]:
        """Mel frames of every utterance."""
        return [row.frames for row in self.rows]

    def __getitem__(self, draw: Draw | int) -> PhoneItem:
        """One utterance in one version.

        Raises:
            DataError: if the features or the recording are not those of the manifest.
            AudioError: if the recording cannot be read.
        """
        index, epoch = draw if isinstance(draw, tuple) else Draw(draw)
        row = self.rows[index]
        mel = (self._mel(row, self._version(index, epoch)) - self.statistics.mel_mean) / self.statistics.mel_std
        durations = self.durations[row.id].long()
        found = (self.tokens.find(phone) for phone in row.phones)
        tokens = torch.tensor([IGNORED if token is None else token for token in found])
        if mel.shape[1] != row.frames:
            raise DataError(f"{self.folder}: {row.id} has {mel.shape[1]} frames, its manifest {row.frames}. Make it again.")
        return PhoneItem(
            id=row.id,
            mel=mel,
            labels=tokens.repeat_interleave(durations),
            phones=tokens[(durations > 0) & (tokens != IGNORED)],
        )

    def _version(self, index: int, epoch: int) -> int:
        generator = torch.Generator().manual_seed(hash((self.seed, epoch, index)) % 2**63)
        return int(torch.randint(self.versions, (), generator=generator))

    def _mel(self, row: ManifestRow, version: int) -> Tensor:
        if version and self.perturbed is not None:
            return self.perturbed(row, version)
        return read_features(self.folder, row.id)[0]


def _fits(durations: Tensor | None, row: ManifestRow) -> bool:
    return durations is not None and durations.shape == (len(row.phones),) and int(durations.sum()) == row.frames


def collate_phones(items: list[PhoneItem]) -> PhoneBatch:
    """The batch of some items, padded at the end to the longest of each kind."""
    mels = pad_sequence([item.mel.T for item in items], batch_first=True)  # (B, T, n_mels)
    return PhoneBatch(
        ids=[item.id for item in items],
        mel=mels.transpose(1, 2).contiguous(),
        mel_lengths=torch.tensor([item.mel.shape[1] for item in items]),
        labels=pad_sequence([item.labels for item in items], batch_first=True, padding_value=IGNORED),
        phones=pad_sequence([item.phones for item in items], batch_first=True, padding_value=PAD_ID),
        phone_lengths=torch.tensor([len(item.phones) for item in items]),
    )

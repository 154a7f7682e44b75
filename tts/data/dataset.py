"""Utterances of a features folder as tensors, and their batches."""

import dataclasses
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from tts.audio.pitch import normalize_f0
from tts.data.batching import Draw
from tts.data.content_file import read_content, read_content_info
from tts.data.feature_file import read_features
from tts.data.files import some
from tts.data.manifest import ManifestRow, read_manifest
from tts.data.statistics import Statistics
from tts.errors import DataError
from tts.text.tokens import PAD_ID, Tokens

DURATIONS = "durations.safetensors"


@dataclass(frozen=True, kw_only=True)
class Item:
    """One utterance with a reference: the mel of another utterance of its speaker (its own, if there is no other)."""

    id: str
    tokens: Tensor  # (L,) int64; L = 0 where there is no text
    durations: Tensor | None  # (L,) int64 mel frames; None before alignment
    mel: Tensor  # (n_mels, T), normalised
    pitch: Tensor  # (T,) z of ln F0, interpolated through unvoiced gaps
    f0: Tensor  # (T,) Hz, 0 = unvoiced
    speaker: str
    reference: Tensor  # (n_mels, R), normalised
    content: Tensor | None = None  # (D, T) features of the recording, where the dataset reads them


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Utterances padded at the end: tokens with the padding id, everything else with 0 (of a mel: its mean)."""

    ids: list[str]
    tokens: Tensor  # (B, L) int64
    token_lengths: Tensor  # (B,) int64
    durations: Tensor | None  # (B, L) int64; None before alignment
    mel: Tensor  # (B, n_mels, T), (log-mel - mel_mean) / mel_std
    mel_lengths: Tensor  # (B,) int64
    pitch: Tensor  # (B, T) float32
    f0: Tensor  # (B, T) float32 Hz, 0 = unvoiced
    speakers: list[str]
    reference: Tensor  # (B, n_mels, R), normalised as mel
    reference_lengths: Tensor  # (B,) int64
    content: Tensor | None = None  # (B, D, T) float32; None where the dataset reads none

    def to(self, device: torch.device | str) -> "Batch":
        """The batch with its tensors on `device`."""
        moved: dict[str, Any] = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, **moved)


class UtteranceDataset(Dataset[Item]):
    """The utterances of a features folder, read from disk when asked for.

    Asked with `Draw(row, epoch)`, or a row's number for epoch 0 and clean content. The reference, and which perturbed version
    of the content, are drawn from (seed, epoch, row), so they are the same in whichever process and order the item is read.

    Args:
        folder: with `manifest.jsonl` and `features/`; phone durations are taken from `durations.safetensors` if it is there.
        tokens: the token table of the training set.
        statistics: of the training set.
        seed: of the references and the versions.
        content: read the content features of the recordings too.

    Raises:
        DataError: if the manifest is empty, durations lack an utterance, or content is asked for and not there.
        SpeakerError: if the statistics lack a speaker.
    """

    def __init__(self, folder: Path, tokens: Tokens, statistics: Statistics, *, seed: int = 0, content: bool = False) -> None:
        self.folder, self.tokens, self.statistics, self.seed = folder, tokens, statistics, seed
        self.rows = read_manifest(folder)
        if not self.rows:
            raise DataError(f"{folder}: the manifest lists no utterance. Check what the filter dropped.")
        self.content_versions = read_content_info(folder).versions if content else 0
        self.durations = read_durations(folder)
        if self.durations is not None:
            missing = [row.id for row in self.rows if row.id not in self.durations]
            if missing:
                raise DataError(f"{folder / DURATIONS}: no durations for {some(missing)}. Run the alignment stage again.")
        self._of_speaker: defaultdict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(self.rows):
            statistics.of_speaker(row.speaker)
            self._of_speaker[row.speaker].append(index)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> list[int]:
        """Mel frames of every utterance."""
        return [row.frames for row in self.rows]

    def __getitem__(self, draw: Draw | int) -> Item:
        """One utterance and its reference.

        Raises:
            DataError: if the features are incomplete, or durations do not fit the phones and the mel.
        """
        index, epoch = draw if isinstance(draw, tuple) else Draw(draw)
        generator = torch.Generator().manual_seed(hash((self.seed, epoch, index)) % 2**63)
        row = self.rows[index]
        mel, f0 = read_features(self.folder, row.id)
        z, _ = normalize_f0(f0.numpy(), self.statistics.of_speaker(row.speaker))
        reference, _ = read_features(self.folder, self.rows[self._reference(index, generator)].id)
        tokens = torch.tensor(self.tokens.encode(row.phones) if row.phones else [], dtype=torch.int64)
        return Item(
            id=row.id,
            tokens=tokens,
            durations=self._durations(row, len(tokens), mel.shape[1]),
            mel=self._normalize(mel),
            pitch=torch.from_numpy(z),
            f0=f0,
            speaker=row.speaker,
            reference=self._normalize(reference),
            content=self._content(row, generator, clean=isinstance(draw, int)),
        )

    def _normalize(self, mel: Tensor) -> Tensor:
        return (mel - self.statistics.mel_mean) / self.statistics.mel_std

    def _content(self, row: ManifestRow, generator: torch.Generator, *, clean: bool) -> Tensor | None:
        """Content of the recording: a perturbed version, or the clean one where that is asked for or all there is."""
        if not self.content_versions:
            return None
        perturbed = not clean and self.content_versions > 1
        version = int(torch.randint(1, self.content_versions, (), generator=generator)) if perturbed else 0
        content = read_content(self.folder, row.id, version)
        if content.shape[1] != row.frames:
            raise DataError(
                f"{self.folder}: content of {row.id} has {content.shape[1]} frames, its mel {row.frames}. Run "
                "`glottis prepare content` again."
            )
        return content

    def _reference(self, index: int, generator: torch.Generator) -> int:
        """Another utterance of the same speaker, uniformly; `index` itself when it is the only one."""
        others = self._of_speaker[self.rows[index].speaker]
        if len(others) == 1:
            return index
        chosen = others[int(torch.randint(len(others) - 1, (), generator=generator))]
        return others[-1] if chosen == index else chosen

    def _durations(self, row: ManifestRow, n_tokens: int, frames: int) -> Tensor | None:
        """Frames of every token; those of a phone that the table lacks go to the token before it, or the first."""
        if self.durations is None:
            return None
        durations = self.durations[row.id].long()
        if durations.shape != (len(row.phones),) or int(durations.sum()) != frames:
            raise DataError(
                f"{self.folder / DURATIONS}: {row.id} has {durations.numel()} durations of {int(durations.sum())} frames "
                f"in all, its features {len(row.phones)} phones and {frames} frames. Run the alignment stage again."
            )
        known = torch.tensor([self.tokens.find(phone) is not None for phone in row.phones], dtype=torch.int64)
        owner = (known.cumsum(0) - 1).clamp(min=0)
        return torch.zeros(n_tokens, dtype=torch.int64).index_add_(0, owner, durations)


def read_durations(folder: Path) -> dict[str, Tensor] | None:
    """Mel frames of every phone, (L,) int32 by utterance id; None where alignment has not written them yet.

    Raises:
        DataError: if the file is not complete.
    """
    path = folder / DURATIONS
    if not path.exists():
        return None
    try:
        return load_file(path)
    except (OSError, SafetensorError) as err:
        raise DataError(f"{path}: not a complete durations file ({err}). Run the alignment stage again.") from err


def collate(items: list[Item]) -> Batch:
    """The batch of some items, padded at the end to the longest of each kind."""
    durations = [item.durations for item in items if item.durations is not None]
    contents = [item.content for item in items if item.content is not None]
    return Batch(
        ids=[item.id for item in items],
        tokens=_pad([item.tokens for item in items], PAD_ID),
        token_lengths=_lengths([item.tokens for item in items]),
        durations=_pad(durations) if len(durations) == len(items) else None,
        mel=_pad_frames([item.mel for item in items]),
        mel_lengths=_lengths([item.mel for item in items]),
        pitch=_pad([item.pitch for item in items]),
        f0=_pad([item.f0 for item in items]),
        speakers=[item.speaker for item in items],
        reference=_pad_frames([item.reference for item in items]),
        reference_lengths=_lengths([item.reference for item in items]),
        content=_pad_frames(contents) if contents else None,
    )


def spread_batch(dataset: UtteranceDataset, count: int) -> Batch:
    """At most `count` utterances, evenly spread over a dataset: the same ones every time."""
    spread = range(0, len(dataset), max(1, len(dataset) // count))
    return collate([dataset[i] for i in spread[:count]])


def _lengths(tensors: list[Tensor]) -> Tensor:
    return torch.tensor([tensor.shape[-1] for tensor in tensors], dtype=torch.int64)


def _pad(vectors: list[Tensor], value: int = 0) -> Tensor:
    return pad_sequence(vectors, batch_first=True, padding_value=value)


def _pad_frames(mels: list[Tensor]) -> Tensor:
    return pad_sequence([mel.T for mel in mels], batch_first=True).transpose(1, 2).contiguous()  # (B, n_mels, T)

"""Endless streams of random segments of utterances; those of the waves behind a features folder train a vocoder."""

from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from tts.audio.io import read_audio
from tts.data.manifest import read_audio_config, read_manifest
from tts.data.stream import BatchStream
from tts.errors import DataError


class SegmentStream(BatchStream):
    """An endless stream of batches of segments; each epoch takes one segment of every utterance, in a new order.

    Segment (epoch, index) is a function of the seed and these two alone, so the stream is the same with any number of worker
    processes, and a resumed run takes it up at `first_batch`. Use it with `DataLoader(..., batch_size=None)`.

    Args:
        features: a features folder.
        length: of a segment.
        batch_size: segments in a batch.
        seed: of orders and positions.
        first_batch: the batch to begin with.

    Raises:
        DataError: if the folder lists no utterance.
        ValueError: if a size is below 1.
    """

    def __init__(self, features: Path, length: int, batch_size: int, *, seed: int = 0, first_batch: int = 0) -> None:
        super().__init__()
        if length < 1 or batch_size < 1 or first_batch < 0:
            raise ValueError(
                f"need length >= 1, batch_size >= 1 and first_batch >= 0, found {length}, {batch_size}, {first_batch}."
            )
        self.audio, self.rows = read_audio_config(features), read_manifest(features)
        if not self.rows:
            raise DataError(f"{features}: the manifest lists no utterance. Check what the filter dropped.")
        self.length, self.batch_size, self.seed, self.first_batch = length, batch_size, seed, first_batch

    @abstractmethod
    def segment(self, epoch: int, index: int) -> Any:
        """The segment at place `index` of an epoch: a tensor, or a tuple of them."""

    def batch(self, number: int) -> Any:
        """Batch `number` of the stream: the segments' tensors, each stacked along a first axis."""
        first = number * self.batch_size
        return default_collate([self.segment(*divmod(n, len(self.rows))) for n in range(first, first + self.batch_size)])

    def row_number(self, epoch: int, index: int) -> int:
        """The utterance at place `index` of an epoch."""
        return _order(len(self.rows), self.seed, epoch)[index]

    def cut(self, values: Tensor, epoch: int, index: int) -> Tensor:
        """A window of `length` of the values (..., N) of an utterance, drawn uniformly; zeros follow shorter ones."""
        spare = values.shape[-1] - self.length
        if spare <= 0:
            return torch.nn.functional.pad(values, (0, -spare))
        start = int(torch.randint(spare + 1, (), generator=_generator(self.seed, epoch, index)))
        return values[..., start : start + self.length].clone()


class WaveSegments(SegmentStream):
    """Segments (length,) of the audio that the manifest names, untrimmed, at the folder's sample rate; `length` in samples."""

    def segment(self, epoch: int, index: int) -> Tensor:
        """The segment at place `index` of an epoch, (length,).

        Raises:
            AudioError: naming the file, if it cannot be read.
        """
        wav, _ = read_audio(self.rows[self.row_number(epoch, index)].audio, self.audio.sample_rate)
        return self.cut(torch.from_numpy(wav), epoch, index)


@lru_cache(maxsize=4)
def _order(n_rows: int, seed: int, epoch: int) -> list[int]:
    order: list[int] = torch.randperm(n_rows, generator=_generator(seed, epoch)).tolist()
    return order


def _generator(*key: int) -> torch.Generator:
    return torch.Generator().manual_seed(hash(key) % 2**63)

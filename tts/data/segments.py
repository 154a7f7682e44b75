"""Random segments of the waves behind a features folder: what a vocoder is trained on."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from tts.audio.io import read_audio
from tts.data.manifest import read_audio_config, read_manifest
from tts.errors import DataError


class WaveSegments(IterableDataset[Tensor]):
    """An endless stream of batches (batch_size, n_samples); each epoch takes one segment of every utterance, in a new order.

    Segment (epoch, index) is a function of the seed and these two alone, so the stream is the same with any number of worker
    processes, and a resumed run takes it up at `first_batch`. Use it with `DataLoader(..., batch_size=None)`.

    Args:
        features: a features folder; the audio that its manifest names is read, untrimmed, at the folder's sample rate.
        n_samples: length of a segment; shorter utterances are followed by zeros.
        batch_size: segments in a batch.
        seed: of orders and positions.
        first_batch: the batch to begin with.

    Raises:
        DataError: if the folder lists no utterance.
        ValueError: if a size is below 1.
    """

    def __init__(self, features: Path, n_samples: int, batch_size: int, *, seed: int = 0, first_batch: int = 0) -> None:
        super().__init__()
        if n_samples < 1 or batch_size < 1 or first_batch < 0:
            raise ValueError(
                f"need n_samples >= 1, batch_size >= 1 and first_batch >= 0, found {n_samples}, {batch_size}, {first_batch}."
            )
        self.audio, self.rows = read_audio_config(features), read_manifest(features)
        if not self.rows:
            raise DataError(f"{features}: the manifest lists no utterance. Check what the filter dropped.")
        self.n_samples, self.batch_size, self.seed, self.first_batch = n_samples, batch_size, seed, first_batch

    def segment(self, epoch: int, index: int) -> Tensor:
        """The segment at place `index` of an epoch, (n_samples,).

        Raises:
            AudioError: naming the file, if it cannot be read.
        """
        row = self.rows[_order(len(self.rows), self.seed, epoch)[index]]
        wav, _ = read_audio(row.audio, self.audio.sample_rate)
        spare = len(wav) - self.n_samples
        if spare <= 0:
            return torch.nn.functional.pad(torch.from_numpy(wav), (0, -spare))
        start = int(torch.randint(spare + 1, (), generator=_generator(self.seed, epoch, index)))
        return torch.from_numpy(wav[start : start + self.n_samples].copy())

    def batch(self, number: int) -> Tensor:
        """Batch `number` of the stream, (batch_size, n_samples)."""
        first = number * self.batch_size
        return torch.stack([self.segment(*divmod(n, len(self.rows))) for n in range(first, first + self.batch_size)])

    def __iter__(self) -> Iterator[Tensor]:
        """The batches from `first_batch` on; of W worker processes each makes every Wth."""
        worker = get_worker_info()
        number, step = self.first_batch, 1
        if worker is not None:
            number, step = number + worker.id, worker.num_workers
        while True:
            yield self.batch(number)
            number += step


@lru_cache(maxsize=4)
def _order(n_rows: int, seed: int, epoch: int) -> list[int]:
    order: list[int] = torch.randperm(n_rows, generator=_generator(seed, epoch)).tolist()
    return order


def _generator(*key: int) -> torch.Generator:
    return torch.Generator().manual_seed(hash(key) % 2**63)

"""A stream of numbered batches that a run can begin anywhere and worker processes share."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info


class BatchStream(IterableDataset[Any], ABC):
    """Endless batches, each a function of its number.

    Attributes:
        first_batch: number of the batch to begin with, 0 or more.
    """

    first_batch: int

    @abstractmethod
    def batch(self, number: int) -> Any:
        """Batch `number` of the stream."""

    def __iter__(self) -> Iterator[Any]:
        """The batches from `first_batch` on; of W worker processes each makes every Wth."""
        worker = get_worker_info()
        number, step = self.first_batch, 1
        if worker is not None:
            number, step = number + worker.id, worker.num_workers
        while True:
            yield self.batch(number)
            number += step

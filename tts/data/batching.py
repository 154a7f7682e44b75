"""Batches of utterances of like length: deterministic in (seed, epoch), resumable, equal in number on every rank."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.data import Sampler

from tts.errors import DataError

_BUCKET_RATIO = 1.15  # longest to shortest utterance of a bucket


class Draw(NamedTuple):
    """What a sampler asks of a dataset: which row of the manifest, in which epoch (the reference differs by epoch)."""

    row: int
    epoch: int = 0


class LengthBucketSampler(Sampler[list[Draw]]):
    """Batches of similar lengths, for `DataLoader(batch_sampler=…)`.

    Utterances sorted by length fall into buckets whose longest is at most 15 % longer than their shortest; what does not
    fill a batch moves on to the next bucket. A batch of n utterances in a bucket of longest length T has

        n ≤ max_batch_size   and   n T ≤ max_frames

    (a longer utterance than `max_frames` is a batch of its own). The number of batches is the same in every epoch. Ranks
    get batches of neighbouring lengths in the same step, and the same number: the last step repeats a batch where needed.

    Args:
        lengths: mel frames of every utterance.
        max_frames: padded frames of a batch at most, or None.
        max_batch_size: utterances of a batch at most, or None.
        seed: of the order of utterances and batches.
        shuffle: False gives the same batches in the same order, short to long.
        rank: of this process.
        world_size: number of processes.

    Raises:
        DataError: if there is no utterance.
        ValueError: if neither limit is given, one is below 1, or not 0 <= rank < world_size.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        max_frames: int | None = None,
        max_batch_size: int | None = None,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if len(lengths) == 0:
            raise DataError("no utterance to make batches of. Check what the filter dropped.")
        limits = [limit for limit in (max_frames, max_batch_size) if limit is not None]
        if not limits or min(limits) < 1:
            raise ValueError(f"max_frames {max_frames}, max_batch_size {max_batch_size}: expected one of them, at least 1.")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} of {world_size}: expected 0 <= rank < world_size.")
        self.seed, self.shuffle, self.rank, self.world_size = seed, shuffle, rank, world_size
        self.epoch = 0
        self.position = 0  # batches of this epoch handed out or skipped
        self._start = 0  # where the next iteration begins
        self._buckets = _make_buckets(lengths, max_frames, max_batch_size)
        self._n_batches = sum(-(-len(members) // size) for members, size in self._buckets)

    @property
    def sampler(self) -> "LengthBucketSampler":
        """This object: Lightning calls `set_epoch` on a batch sampler's `sampler`."""
        return self

    def __len__(self) -> int:
        """Batches of this rank in a whole epoch."""
        return -(-self._n_batches // self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; another than the present one starts at its first batch."""
        if epoch != self.epoch:
            self.epoch, self.position, self._start = epoch, 0, 0

    def skip(self, n_batches: int) -> None:
        """Let the next iteration of this epoch begin after its first `n_batches` batches.

        Raises:
            ValueError: if the epoch has not that many.
        """
        if not 0 <= n_batches <= len(self):
            raise ValueError(f"cannot skip {n_batches} batches of an epoch of {len(self)}.")
        self.position = self._start = n_batches

    def state_dict(self, position: int | None = None) -> dict[str, Any]:
        """Where the order stands. Workers fetch ahead: give the number of batches trained in this epoch as `position`."""
        position = self.position if position is None else position
        return {"seed": self.seed, "epoch": self.epoch, "position": position, "n_batches": len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken.

        Raises:
            DataError: if the seed or the number of batches differs, which means other data, limits or ranks.
        """
        mine = self.state_dict()
        for key in ("seed", "n_batches"):
            if state[key] != mine[key]:
                raise DataError(
                    f"the batches cannot be resumed: {key} was {state[key]}, is {mine[key]}. Resume with the same data."
                )
        self.set_epoch(state["epoch"])
        self.skip(state["position"])

    def __iter__(self) -> Iterator[list[Draw]]:
        """This rank's batches of the epoch; those skipped are left out once."""
        epoch, start = self.epoch, self._start
        self._start = 0
        for number, batch in enumerate(self._epoch_batches()[start:], start=start + 1):
            self.position = number
            yield [Draw(index, epoch) for index in batch]

    def _epoch_batches(self) -> list[list[int]]:
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) % 2**63)

        def order(n: int) -> list[int]:
            return torch.randperm(n, generator=generator).tolist() if self.shuffle else list(range(n))

        batches: list[list[int]] = []
        for members, size in self._buckets:
            shuffled = [members[i] for i in order(len(members))]
            batches += [shuffled[i : i + size] for i in range(0, len(shuffled), size)]
        steps = [batches[i : i + self.world_size] for i in range(0, len(batches), self.world_size)]
        return [steps[i][self.rank % len(steps[i])] for i in order(len(steps))]


def _make_buckets(lengths: Sequence[int], max_frames: int | None, max_batch_size: int | None) -> list[tuple[list[int], int]]:
    """(utterance indices, batch size) of every bucket, short to long; all but the last bucket fill their batches."""

    def size(longest: int) -> int:
        by_frames = len(lengths) if max_frames is None else max(1, max_frames // max(1, longest))
        return min(by_frames, max_batch_size or by_frames)

    ordered = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    buckets: list[tuple[list[int], int]] = []
    members: list[int] = []
    first = 0  # where the present bucket's own utterances began, for its shortest length
    for place, index in enumerate(ordered):
        if lengths[index] > _BUCKET_RATIO * lengths[ordered[first]]:
            batch = size(lengths[ordered[place - 1]])
            full = len(members) // batch * batch
            if full:
                buckets.append((members[:full], batch))
            members, first = members[full:], place
        members.append(index)
    buckets.append((members, size(lengths[ordered[-1]])))
    return buckets

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.data.batching import Draw, LengthBucketSampler
from tts.errors import DataError

LENGTHS = [50 + (37 * i) % 400 for i in range(103)]


def rows(batches):
    return [[draw.row for draw in batch] for batch in batches]


@settings(deadline=None, max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 500), min_size=1, max_size=60),
    max_frames=st.none() | st.integers(1, 2000),
    max_batch_size=st.integers(1, 9),
    world_size=st.integers(1, 4),
    epoch=st.integers(0, 3),
)
def test_limits_hold_everything_is_drawn_and_ranks_get_equally_many(lengths, max_frames, max_batch_size, world_size, epoch):
    samplers = [
        LengthBucketSampler(lengths, max_frames=max_frames, max_batch_size=max_batch_size, rank=r, world_size=world_size)
        for r in range(world_size)
    ]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    by_rank = [rows(sampler) for sampler in samplers]
    assert {len(batches) for batches in by_rank} == {len(samplers[0])}
    everything = [batch for batches in by_rank for batch in batches]
    assert {row for batch in everything for row in batch} == set(range(len(lengths)))
    for batch in everything:
        assert 1 <= len(batch) <= max_batch_size
        assert max_frames is None or len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= max_frames
    if world_size == 1:
        assert Counter(row for batch in everything for row in batch) == dict.fromkeys(range(len(lengths)), 1)


def test_the_order_is_that_of_the_seed_and_epoch():
    def order(seed, epoch):
        sampler = LengthBucketSampler(LENGTHS, max_batch_size=8, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 1) == order(0, 1)
    assert rows(order(0, 1)) != rows(order(0, 2))
    assert rows(order(0, 1)) != rows(order(1, 1))
    assert all(draw.epoch == 2 for batch in order(0, 2) for draw in batch)


def test_the_number_of_batches_is_the_same_in_every_epoch():
    sampler = LengthBucketSampler(LENGTHS, max_frames=2000)
    for epoch in range(5):
        sampler.set_epoch(epoch)
        assert len(list(sampler)) == len(sampler)


def test_similar_lengths_share_a_batch_so_little_is_padding():
    sampler = LengthBucketSampler(LENGTHS, max_frames=3000)
    batches = rows(sampler)
    padded = sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in batches)
    assert padded < 1.12 * sum(LENGTHS)


def test_without_shuffling_batches_go_from_short_to_long():
    batches = rows(LengthBucketSampler(LENGTHS, max_batch_size=8, shuffle=False))
    assert batches == rows(LengthBucketSampler(LENGTHS, max_batch_size=8, shuffle=False, seed=5))
    longest = [max(LENGTHS[row] for row in batch) for batch in batches]
    assert longest == sorted(longest)


def test_ranks_work_on_different_batches_of_like_length():
    pair = [rows(LengthBucketSampler(LENGTHS, max_batch_size=8, rank=r, world_size=2)) for r in (0, 1)]
    differences = [abs(max(LENGTHS[i] for i in a) - max(LENGTHS[i] for i in b)) for a, b in zip(*pair, strict=True)]
    assert max(differences) < 90
    assert sum(not set(a) & set(b) for a, b in zip(*pair, strict=True)) >= len(pair[0]) - 1


def test_a_stopped_epoch_goes_on_where_it_stopped():
    whole = LengthBucketSampler(LENGTHS, max_batch_size=8, seed=3)
    whole.set_epoch(4)
    expected = list(whole)
    stopped = LengthBucketSampler(LENGTHS, max_batch_size=8, seed=3)
    stopped.set_epoch(4)
    iterator = iter(stopped)
    first = [next(iterator) for _ in range(5)]
    resumed = LengthBucketSampler(LENGTHS, max_batch_size=8, seed=3)
    resumed.load_state_dict(stopped.state_dict())
    resumed.set_epoch(4)  # as a trainer does before every epoch
    assert first + list(resumed) == expected
    assert list(resumed) == expected  # skipped once, not in every pass
    resumed.load_state_dict(stopped.state_dict(position=2))  # workers had fetched three ahead
    assert list(resumed) == expected[2:]
    resumed.skip(1)
    resumed.set_epoch(5)
    assert len(list(resumed)) == len(resumed)


def test_an_abandoned_pass_does_not_shift_the_next_one():
    sampler = LengthBucketSampler(LENGTHS, max_batch_size=8)
    expected = list(sampler)
    next(iter(sampler))
    assert list(sampler) == expected


def test_other_data_cannot_be_resumed():
    state = LengthBucketSampler(LENGTHS, max_batch_size=8).state_dict()
    with pytest.raises(DataError, match="n_batches was"):
        LengthBucketSampler(LENGTHS[:50], max_batch_size=8).load_state_dict(state)
    with pytest.raises(DataError, match="seed was 0, is 1"):
        LengthBucketSampler(LENGTHS, max_batch_size=8, seed=1).load_state_dict(state)
    with pytest.raises(ValueError, match="cannot skip"):
        LengthBucketSampler(LENGTHS, max_batch_size=8).skip(10**6)


def test_one_utterance_makes_one_batch_for_every_rank():
    for rank in range(3):
        sampler = LengthBucketSampler([700], max_frames=100, rank=rank, world_size=3)
        assert list(sampler) == [[Draw(0, 0)]]


@pytest.mark.parametrize(
    "wrong", [{}, {"max_frames": 0}, {"max_batch_size": -1}, {"max_frames": 9, "rank": 2, "world_size": 2}]
)
def test_impossible_limits_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        LengthBucketSampler([1, 2], **wrong)


def test_no_utterance_is_an_error():
    with pytest.raises(DataError, match="no utterance to make batches of"):
        LengthBucketSampler([], max_frames=100)

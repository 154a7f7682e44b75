import numpy as np
import pytest

from tts.errors import DataError
from tts.metrics.partition import Split, held_out, partition

GRID = np.stack(np.meshgrid(*(np.arange(s) for s in (10, 8, 15)), indexing="ij"), axis=-1).reshape(-1, 3)


def test_a_combination_is_held_out_whatever_rows_stand_beside_it():
    whole = held_out(GRID, 0.2, seed=3)
    assert whole.mean() == pytest.approx(0.2, abs=0.04)  # 1200 draws, 3.5 standard deviations
    some = np.random.default_rng(0).integers(len(GRID), size=500)
    assert (held_out(GRID[some], 0.2, seed=3) == whole[some]).all()
    assert (held_out(GRID, 0.2, seed=4) != whole).any()


def test_every_value_of_every_factor_is_seen_in_training():
    kept = GRID[~held_out(GRID)]
    assert [len(np.unique(column)) for column in kept.T] == [10, 8, 15]


def test_a_compositional_test_has_combinations_that_training_never_saw():
    factors = GRID[np.random.default_rng(0).integers(len(GRID), size=4000)]
    parts = partition(factors, split=Split.COMPOSITIONAL, n_train=2000, n_test=500)
    seen = {tuple(row) for row in factors[parts.train]}
    assert (len(parts.train), len(parts.test)) == (2000, 500)
    assert not any(tuple(row) in seen for row in factors[parts.test])
    assert (parts.unfitted == parts.test).all()


def test_an_iid_partition_keeps_the_proportion_when_rows_are_short():
    parts = partition(GRID[:900])
    assert (len(parts.train), len(parts.test)) == (600, 300)
    assert sorted([*parts.train, *parts.test]) == list(range(900))
    assert (parts.unfitted == parts.train).all()
    assert (partition(GRID[:900], seed=0).train == parts.train).all()


def test_too_few_rows_and_numbers_out_of_range_are_refused():
    with pytest.raises(DataError, match="2 rows part into 1 to fit on"):
        partition(GRID[:2])
    with pytest.raises(ValueError, match="n_test"):
        partition(GRID, n_test=0)
    with pytest.raises(ValueError, match="within 0 and 1"):
        held_out(GRID, 1.0)
    with pytest.raises(ValueError, match="integers"):
        held_out(GRID.astype(float))

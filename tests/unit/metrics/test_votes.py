import math

import numpy as np
import pytest

from tts.errors import DataError
from tts.metrics.code_table import CodeTable
from tts.metrics.partition import Split, partition
from tts.metrics.votes import VoteSettings, beta_vae_score, factor_vae_score

SIZES = (5, 4, 6)
GRID = np.stack(np.unravel_index(np.arange(120), SIZES), axis=1)
FEW = VoteSettings(n_train=600, n_test=600, batch=32)
SCORES = pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])


def table(codes):
    return CodeTable.whole(codes, SIZES)


@SCORES
def test_a_perfect_code_scores_1_at_any_scale_and_with_dead_units(score):
    codes = np.concatenate([GRID[:, [2, 0, 1]] * [1e-4, -3.0, 70.0], np.ones((120, 1))], axis=1)
    found = score(table(codes), settings=FEW)
    assert (found.value, found.train, found.active, found.units) == (1.0, 1.0, 3, 4)
    assert found.chance == pytest.approx(1 / 3)


@SCORES
def test_noise_scores_chance(score):
    """600 votes at chance 1/3 have a deviation of .019; the majority of 3 units adds to it."""
    noise = np.random.default_rng(0).normal(size=(3000, 3))
    factors = np.random.default_rng(1).integers(SIZES, size=(3000, 3))
    assert score(CodeTable(noise, factors, SIZES), settings=FEW).value == pytest.approx(1 / 3, abs=0.1)


def test_a_code_rotated_by_45_degrees_scores_chance():
    """Whichever of two equal factors is held, both units keep half of their variance."""
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(6), np.arange(6), indexing="ij"))
    rotated = np.stack([a + b, a - b], axis=1) / math.sqrt(2)
    assert factor_vae_score(CodeTable.whole(rotated, (6, 6)), settings=FEW).value == pytest.approx(0.5, abs=0.08)


def test_no_unit_that_varies_scores_0():
    found = factor_vae_score(table(np.ones((120, 3))), settings=FEW)
    assert (found.value, found.active) == (0.0, 0)


def test_votes_are_counted_by_the_units_own_number():
    """The first unit is dead; the published table leaves it out and shifts the others."""
    codes = np.concatenate([np.ones((120, 1)), GRID], axis=1)
    votes = factor_vae_score(table(codes), settings=FEW).votes
    assert (votes[0] == 0).all() and (votes[1:] > 0).tolist() == np.eye(3, dtype=bool).tolist()
    assert votes.sum() == 600


def test_votes_are_those_of_loops_over_single_batches():
    """A second implementation, drawing factors as the published one does."""
    rng = np.random.default_rng(5)
    mixed = np.where(np.arange(120)[:, None] % 2 == 0, GRID, GRID[:, ::-1]) + 0.3 * rng.normal(size=(120, 3))
    spread = mixed.var(axis=0, ddof=1)
    tables = np.zeros((2, 3, 3))
    for part in tables:
        for _ in range(2000):
            k = rng.integers(3)
            factors = rng.integers(SIZES, size=(32, 3))
            factors[:, k] = factors[0, k]
            codes = mixed[np.ravel_multi_index(factors.T, SIZES)]
            part[(codes.var(axis=0, ddof=1) / spread).argmin(), k] += 1
    expected = tables[1][np.arange(3), tables[0].argmax(axis=1)].sum() / 2000
    found = factor_vae_score(table(mixed), settings=VoteSettings(n_train=2000, n_test=2000, batch=32))
    assert 0.4 < expected < 0.9  # neither perfect nor chance
    assert found.value == pytest.approx(expected, abs=0.05)


@SCORES
def test_a_seed_fixes_the_score_and_another_changes_the_draws(score):
    codes = GRID + np.random.default_rng(0).normal(size=GRID.shape) * 3
    settings = [VoteSettings(300, 300, 16, seed) for seed in (1, 1, 2)]
    found = [score(table(codes), settings=s) for s in settings]
    assert found[0] == found[1] != found[2]


@SCORES
def test_under_a_compositional_split_the_test_sees_other_combinations(score):
    """The codes of held-out combinations are noise: training stays perfect, the test does not."""
    factors = np.repeat(GRID, 4, axis=0)
    parts = partition(factors, split=Split.COMPOSITIONAL, share=0.3)
    codes = factors.astype(float)
    codes[parts.test] = np.random.default_rng(0).permutation(codes[parts.test].ravel()).reshape(-1, 3)
    found = score(CodeTable(codes, factors, SIZES), parts, settings=FEW)
    assert found.train == 1.0 and found.value < 0.7


def test_tables_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="120 combinations, found 119"):
        table(GRID[1:])
    with pytest.raises(ValueError, match="out of its range"):
        CodeTable(GRID, GRID + 1, SIZES)
    with pytest.raises(ValueError, match="need factors"):
        CodeTable(GRID, GRID[:, :2], SIZES)
    with pytest.raises(ValueError, match="batch of at least 2"):
        VoteSettings(batch=1)


def test_a_value_with_one_row_is_refused():
    factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [2, 1]])
    with pytest.raises(DataError, match="factor 0 has a value with one row"):
        factor_vae_score(CodeTable(np.random.default_rng(0).normal(size=(5, 2)), factors, (3, 2)), settings=FEW)

import itertools

import numpy as np
import pytest

from tts.image.factors import FactorSpace, checked_index

SPACE = FactorSpace(("a", "b", "c"), (2, 3, 4))


def test_combinations_count_up_with_the_last_factor_fastest():
    assert len(SPACE) == 24
    assert SPACE.factors(np.arange(24)).tolist() == [list(f) for f in itertools.product(range(2), range(3), range(4))]


@pytest.mark.parametrize("sizes", [(10, 10, 10, 8, 4, 15), (3, 6, 40, 32, 32), (6, 6, 2, 3, 3, 40, 40)])
def test_the_index_is_that_of_the_published_formula_and_leads_back(sizes):
    """idx = Σ_k f_k · (Π_j n_j / Π_{j ≤ k} n_j), as disentanglement_lib has it."""
    space = FactorSpace(tuple("abcdefg"[: len(sizes)]), sizes)
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(0, n, 500) for n in sizes], axis=1)
    bases = np.prod(sizes) / np.cumprod(sizes)
    index = space.index(factors)
    assert index.dtype == np.int64
    assert index.tolist() == (factors @ bases).astype(int).tolist()
    assert np.array_equal(space.factors(index), factors)
    assert space.index([[n - 1 for n in sizes]]) == len(space) - 1


def test_no_combinations_are_none():
    assert SPACE.index(np.empty((0, 3))).shape == (0,)
    assert SPACE.factors([]).shape == (0, 3)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ([[0, 3, 0]], r"need b in 0 … 2, found 3 in row 0"),
        ([[0, 0, 0], [0, 0, -1]], r"need c in 0 … 3, found -1 in row 1"),
        ([[0, 0]], r"need factors \(n, 3\), found shape \(1, 2\)"),
        ([0, 0, 0], r"need factors \(n, 3\), found shape \(3,\)"),
        ([[0.5, 0, 0]], "need factors of integers, found float64"),
    ],
)
def test_combinations_out_of_the_grid_are_named(factors, message):
    with pytest.raises(ValueError, match=message):
        SPACE.index(factors)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([24], "need an index in 0 … 23, found 24 … 24"),
        ([5, -1], "need an index in 0 … 23, found -1 … 5"),
        ([0.0], "need index of integers, found float64"),
        ([[0]], r"need an index \(n,\), found shape \(1, 1\)"),
    ],
)
def test_an_index_that_is_not_one_is_refused(index, message):
    with pytest.raises(ValueError, match=message):
        SPACE.factors(index)
    with pytest.raises(ValueError, match=message):
        checked_index(index, 24)


@pytest.mark.parametrize(("names", "sizes"), [((), ()), (("a",), (2, 3)), (("a", "a"), (2, 3)), (("a", "b"), (2, 0))])
def test_a_space_needs_names_and_sizes_that_fit(names, sizes):
    with pytest.raises(ValueError, match="found"):
        FactorSpace(names, sizes)

import math
import sys

import numpy as np
import pytest
from scipy.stats import entropy

from tts.metrics import dci as module
from tts.metrics.dci import dci
from tts.metrics.learners import Trees
from tts.metrics.partition import partition

SIZES = (3, 4, 3, 2)
FACTORS = np.random.default_rng(0).integers(SIZES, size=(1500, 4))
PERFECT = FACTORS.astype(float)
BOTH = pytest.mark.parametrize("trees", list(Trees))


@BOTH
def test_a_perfect_code_has_all_three(trees):
    score = dci(PERFECT[:300], FACTORS[:300], trees=trees)
    assert (score.disentanglement, score.completeness, score.informativeness) == pytest.approx((1.0,) * 3, abs=0.01)
    assert score.trees is trees and (score.n_train, score.n_test) == (200, 100)
    assert score.importance.argmax(axis=0).tolist() == [0, 1, 2, 3]


def test_every_unit_twice_costs_completeness_and_no_disentanglement():
    """A factor's importance spreads over 2 of 8 units, so C ≥ 1 − ln 2 / ln 8 = 2/3, met where the trees share evenly."""
    score = dci(np.concatenate([PERFECT, PERFECT], axis=1)[:300], FACTORS[:300])
    assert score.disentanglement == pytest.approx(1.0, abs=0.01)
    assert 2 / 3 - 0.01 <= score.completeness < 0.8


def test_a_rotated_code_knows_all_and_has_it_in_no_place():
    rotation = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    standard = (PERFECT - PERFECT.mean(axis=0)) / PERFECT.std(axis=0)
    score = dci(standard @ rotation, FACTORS, trees=Trees.HISTOGRAM)
    assert score.disentanglement < 0.2 and score.completeness < 0.2 and score.informativeness > 0.75


def test_noise_knows_what_guessing_knows():
    score = dci(np.random.default_rng(1).normal(size=(1500, 4)), FACTORS, trees=Trees.HISTOGRAM)
    assert score.disentanglement < 0.1 and score.completeness < 0.1
    assert score.informativeness == pytest.approx(np.mean([1 / size for size in SIZES]), abs=0.06)


def test_the_three_are_weighted_entropies_of_the_importance(monkeypatch):
    importance = iter(np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5], [0.3, 0.3, 0.4]]))
    table = np.array([[0.7, 0.0, 0.3], [0.2, 0.5, 0.3], [0.1, 0.5, 0.4]])  # (unit, factor)

    class First:
        def predict(self, x):
            return np.zeros(len(x))

    monkeypatch.setattr(module, "fit_trees", lambda *_: (First(), next(importance)))
    parts = partition(FACTORS)
    score = dci(PERFECT[:, :3], FACTORS[:, :3], parts)
    d = sum(table[u].sum() / 3 * (1 - entropy(table[u], base=3)) for u in range(3))
    c = sum((1 - entropy(table[:, k], base=3)) / 3 for k in range(3))
    assert (score.disentanglement, score.completeness) == (pytest.approx(d), pytest.approx(c))
    assert score.informativeness == pytest.approx((FACTORS[parts.test, :3] == 0).mean())


def test_scale_and_sign_of_units_do_not_count():
    codes, factors = PERFECT[:600] + np.random.default_rng(2).normal(size=(600, 4)), FACTORS[:600]
    others = codes * [1e-4, 30.0, 1.0, 2.0] - 9, codes * [-1, 1, -1, 1]
    found = [dci(z, factors, trees=Trees.HISTOGRAM) for z in (codes, *others)]
    assert found[1].disentanglement == pytest.approx(found[0].disentanglement, abs=1e-3)
    assert found[2].disentanglement == pytest.approx(found[0].disentanglement, abs=0.02)  # a bin's edge belongs to one side


@BOTH
def test_a_seed_fixes_the_score(trees):
    codes, factors = PERFECT[:100, 2:] + np.random.default_rng(2).normal(size=(100, 2)), FACTORS[:100, 2:]
    assert dci(codes, factors, trees=trees, seed=3) == dci(codes, factors, trees=trees, seed=3)


def test_codes_that_never_split_a_tree_have_no_disentanglement():
    score = dci(np.ones((300, 3)), FACTORS[:300], trees=Trees.HISTOGRAM)
    assert (score.disentanglement, score.completeness) == (0.0, 0.0) and math.isfinite(score.informativeness)


def test_one_factor_and_no_scikit_learn_are_said(monkeypatch):
    with pytest.raises(ValueError, match="K >= 2"):
        dci(PERFECT, FACTORS[:, :1])
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ImportError, match=r"pip install 'glottis\[eval\]'"):
        dci(PERFECT, FACTORS)

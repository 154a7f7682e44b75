"""MIG, SAP, DCI and the FactorVAE score of one table of codes, beside the scores that disent 0.8.0 gives it.

disent is no dependency: its `_compute_mig`, `_compute_sap` and `_compute_dci` were run once on this table, with scikit-learn's
trees, and their results are written down here. Units were standardised before, as ours are.
"""

import numpy as np
import pytest

from tts.metrics.code_table import CodeTable
from tts.metrics.dci import dci
from tts.metrics.learners import Trees
from tts.metrics.mutual_information import mig
from tts.metrics.partition import Partition, Split
from tts.metrics.separation import FactorKind, sap
from tts.metrics.votes import VoteSettings, factor_vae_score

MIX = np.array([[1.0, 0.1, 0], [0, 0.8, 0.3], [0.2, 0, 1.0], [0.5, 0.5, 0]])
PARTS = Partition(np.arange(400), np.arange(400, 600), Split.IID)


@pytest.fixture(scope="module")
def table():
    """Codes (600, 4) that mix three factors of 3, 4 and 5 values, with noise; the factors (600, 3)."""
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(values, size=600) for values in (3, 4, 5)], axis=1)
    return factors @ MIX.T + 0.3 * rng.normal(size=(600, 4)), factors


def test_mig_is_that_of_disent(table):
    assert mig(*table).value == pytest.approx(0.49596950920634475, abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "score"), [(FactorKind.DISCRETE, 0.13833333333333336), (FactorKind.CONTINUOUS, 0.49492117541488)]
)
def test_sap_is_that_of_disent(kind, score, table):
    assert sap(*table, PARTS, kind=kind).value == pytest.approx(score, abs=5e-3 if kind is FactorKind.DISCRETE else 1e-9)


def test_dci_is_that_of_disent_but_for_ties_that_its_trees_break_at_random(table):
    found = dci(*table, PARTS, trees=Trees.EXACT)
    assert found.disentanglement == pytest.approx(0.657451978736807, abs=2e-3)
    assert found.completeness == pytest.approx(0.6098097148718506, abs=2e-3)
    assert found.informativeness == pytest.approx(0.8733333333333334, abs=1e-2)


def test_the_factor_vae_score_is_that_of_disent_within_the_luck_of_its_draws(table):
    codes, factors = table
    noisy = codes + 0.8 * np.random.default_rng(1).normal(size=codes.shape)  # else both score 1
    found = factor_vae_score(CodeTable(noisy, factors, (3, 4, 5)), settings=VoteSettings(batch=8))
    # six seeds of `metric_factor_vae` with batches of 8: 0.744 to 0.758
    assert found.value == pytest.approx(0.750, abs=0.02) and found.train == pytest.approx(0.750, abs=0.02)

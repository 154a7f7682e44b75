from dataclasses import replace

import numpy as np
import pytest

from tts.errors import DataError
from tts.metrics.disentanglement import across_seeds, disentanglement_report
from tts.metrics.learners import Trees
from tts.metrics.partition import Split, partition

SIZES = (3, 4, 2)
FACTORS = np.random.default_rng(0).integers(SIZES, size=(900, 3))


@pytest.fixture(scope="module")
def perfect():
    return disentanglement_report(FACTORS * [1.0, -1e-3, 20.0], FACTORS, SIZES, trees=Trees.HISTOGRAM)


def test_a_perfect_code_has_perfect_figures(perfect):
    figures = perfect.figures()
    full = (
        "factor_vae",
        "beta_vae",
        "dci_d",
        "dci_c",
        "dci_i",
        "mig",
        "modularity",
        "self_mig",
        "probe_auroc",
        "probe_accuracy",
    )
    assert {name: figures[name] for name in full} == pytest.approx(dict.fromkeys(full, 1.0), abs=0.02)
    assert list(figures)[2:5] == ["dci_d", "dci_c", "dci_i"]  # never one alone


def test_a_report_says_under_which_conditions_it_holds(perfect):
    assert (perfect.n, perfect.units, perfect.pca, perfect.split) == (900, 3, False, Split.IID)
    assert perfect.active == 2  # one has less than 5 % of the largest deviation; every score saw it all the same
    assert perfect.factor_vae.active == 3
    assert perfect.protocol() == (
        "3 units (2 active), no PCA; 900 codes, standardised; iid split, 600 rows fitted and 300 scored; histogram trees"
    )


def test_noise_has_figures_of_chance():
    noise = np.random.default_rng(1).normal(size=(900, 3, 2))
    report = disentanglement_report(noise, FACTORS, SIZES, trees=Trees.HISTOGRAM)
    figures = report.figures()
    assert report.pca
    assert figures["factor_vae"] < 0.5 and figures["mig"] < 0.03 and figures["dci_d"] < 0.1 and figures["sap"] < 0.06
    assert figures["probe_auroc"] == pytest.approx(0.5, abs=0.08)


def test_a_compositional_report_reads_what_was_held_out():
    """The codes of held-out combinations are noise, the others perfect: every figure must fall."""
    parts = partition(FACTORS, split=Split.COMPOSITIONAL)
    codes = FACTORS.astype(float)
    codes[parts.test] = np.random.default_rng(0).normal(size=(len(parts.test), 3))
    report = disentanglement_report(codes, FACTORS, SIZES, parts, trees=Trees.HISTOGRAM)
    figures = report.figures()
    assert report.split is Split.COMPOSITIONAL
    unseen = disentanglement_report(codes, FACTORS, SIZES, replace(parts, split=Split.HELD_OUT), trees=Trees.HISTOGRAM)
    assert unseen.figures() == figures and "held_out split" in unseen.protocol()
    assert max(figures[name] for name in ("factor_vae", "beta_vae", "dci_i", "probe_accuracy")) < 0.8 and figures["mig"] < 0.3


def test_a_spread_takes_three_reports_of_one_protocol(perfect):
    worse = replace(perfect, mig=replace(perfect.mig, value=perfect.mig.value - 0.3))
    spread = across_seeds([perfect, perfect, worse])["mig"]
    assert (spread.mean, spread.std) == pytest.approx((perfect.mig.value - 0.1, 0.3 / 3**0.5))
    assert spread.n == 3 and str(spread).endswith("± 0.173")
    with pytest.raises(ValueError, match="at least 3 seeds, found 2"):
        across_seeds([perfect] * 2)
    with pytest.raises(ValueError, match="different protocols"):
        across_seeds([perfect, perfect, replace(perfect, pca=True)])


def test_codes_and_factors_that_no_score_can_read_are_refused():
    codes = np.random.default_rng(0).normal(size=(900, 3))
    with pytest.raises(DataError, match="not finite"):
        disentanglement_report(codes * np.inf, FACTORS, SIZES)
    with pytest.raises(ValueError, match="out of its range"):
        disentanglement_report(codes, FACTORS, (3, 3, 2))
    with pytest.raises(DataError, match="one value"):
        disentanglement_report(codes, FACTORS * [1, 1, 0], SIZES)

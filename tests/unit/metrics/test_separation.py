import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tts.metrics.partition import partition
from tts.metrics.separation import FactorKind, auroc, latent_quality, sap

RNG = np.random.default_rng(0)
FACTORS = RNG.integers((2, 2, 2), size=(1200, 3))
PERFECT = FACTORS.astype(float)


def test_a_perfect_code_of_binary_factors_is_ahead_of_guessing_by_a_half():
    """One unit names the factor always, the next half of the time: 1/2 is the most that accuracies allow."""
    score = sap(PERFECT, FACTORS)
    assert score.value == pytest.approx(0.5, abs=0.06)
    assert np.diag(score.scores) == pytest.approx([1.0] * 3) and (score.n_train, score.n_test) == (800, 400)


def test_a_perfect_code_of_continuous_factors_scores_1():
    factors = RNG.integers((9, 7, 5), size=(6000, 3))
    score = sap(factors * [-1.0, 1e-5, 40.0], factors, kind=FactorKind.CONTINUOUS)
    assert score.value == pytest.approx(1.0, abs=0.005)
    expected = np.corrcoef(factors[partition(factors).train].T) ** 2
    assert score.scores == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", list(FactorKind))
def test_a_rotated_a_doubled_and_a_blind_code_score_next_to_0(kind):
    a, b = FACTORS[:, 0], FACTORS[:, 1]
    rotated = np.stack([a + b, a - b], axis=1) + 1e-3 * RNG.normal(size=(1200, 2))
    doubled = PERFECT[:, [0, 0, 1, 1, 2, 2]]
    blind = RNG.normal(size=(1200, 3))
    for codes, factors in ((rotated, FACTORS[:, :2]), (doubled, FACTORS), (blind, FACTORS)):
        assert sap(codes, factors, kind=kind).value < 0.06


def test_a_dead_unit_predicts_nothing():
    codes = np.concatenate([PERFECT, np.full((1200, 1), 4.0)], axis=1)
    assert (sap(codes, FACTORS).scores[3] == 0).all()


def test_the_probe_of_a_perfect_and_of_a_rotated_code_names_everything():
    rotation = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    for codes in (PERFECT, PERFECT @ rotation, np.stack([PERFECT, PERFECT @ rotation], axis=2)):
        quality = latent_quality(codes, FACTORS)
        assert (quality.auroc, quality.accuracy) == (pytest.approx(1.0), 1.0)


def test_the_probe_of_noise_guesses():
    quality = latent_quality(RNG.normal(size=(1200, 3)), RNG.integers((2, 4), size=(1200, 2)))
    assert quality.aurocs == pytest.approx((0.5, 0.5), abs=0.1)
    assert quality.accuracies == pytest.approx((1 / 2, 1 / 4), abs=0.1)


def test_a_factor_the_test_has_one_value_of_has_no_area_and_does_not_count():
    factors = np.concatenate([FACTORS, np.zeros((1200, 1), dtype=int)], axis=1)
    parts = partition(factors)
    factors[parts.train[:5], 3] = 1
    quality = latent_quality(PERFECT, factors, parts)
    assert np.isnan(quality.aurocs[3]) and quality.auroc == pytest.approx(1.0)


def test_the_area_is_that_of_scikit_learn_with_ties():
    scores, positive = RNG.integers(5, size=(300, 4)), RNG.random(300) < 0.3
    assert auroc(scores, positive) == pytest.approx([roc_auc_score(positive, column) for column in scores.T])
    assert np.isnan(auroc(scores, np.ones(300, dtype=bool))).all()

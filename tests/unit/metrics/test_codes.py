import numpy as np
import pytest

from tts.errors import DataError
from tts.metrics.codes import active_units, flat, labels_of, pca_codes, standardise

RNG = np.random.default_rng(0)
CODES = RNG.normal(size=(200, 4)) * [1.0, 1e-3, 50.0, 1.0] + 7


def test_units_have_mean_0_and_variance_1_at_any_scale():
    """Codes of standard deviation 1e-3 are alive: the published absolute threshold of 0.05 would leave none."""
    units = standardise(1e-3 * (CODES - 7))
    assert np.abs(units.values.mean(axis=0)).max() < 1e-12
    assert units.values.var(axis=0) == pytest.approx(np.ones(4))
    assert units.active.all() and not units.pca


def test_a_constant_unit_is_dead_even_with_the_rounding_of_float32():
    codes = np.concatenate([CODES, 3.3 + 1e-7 * RNG.normal(size=(200, 1))], axis=1).astype(np.float32)
    units = standardise(codes)
    assert units.active.tolist() == [True] * 4 + [False]
    assert (units.values[:, 4] == 0).all()


def test_a_unit_of_several_numbers_becomes_its_first_component():
    line = RNG.normal(size=(300, 2, 1))
    directions = np.array([[0.6, 0.8, 0.0], [0.0, -0.8, 0.6]])
    units = standardise(line * directions + 1e-3 * RNG.normal(size=(300, 2, 3)))
    assert units.pca
    for unit, expected in zip(units.values.T, (line[:, 0, 0], -line[:, 1, 0]), strict=True):  # the largest weight is positive
        assert np.corrcoef(unit, expected)[0, 1] > 0.9999


def test_a_unit_of_one_number_is_not_reduced():
    assert (standardise(CODES[:, :, None]).values == standardise(CODES).values).all()
    assert not standardise(CODES[:, :, None]).pca


def test_the_flat_code_has_every_number():
    assert flat(CODES.reshape(200, 2, 2)) == pytest.approx(standardise(CODES).values)


def test_active_units_are_those_above_a_share_of_the_largest():
    codes = (CODES - 7) / [1.0, 1e-3, 50.0, 1.0] * [1.0, 0.04, 0.06, 2.0]
    assert active_units(codes, threshold=0.025) == 3
    assert active_units(codes, threshold=0.6) == 1
    with pytest.raises(ValueError, match="within 0 and 1"):
        active_units(codes, threshold=0.0)


def test_labels_are_numbered_from_0_and_a_constant_factor_is_refused():
    factors = np.array([[5, 1], [9, 1], [5, 2]])
    assert labels_of(factors, 3).tolist() == [[0, 0], [1, 0], [0, 1]]
    with pytest.raises(DataError, match=r"factor\(s\) \[1\] have one value"):
        labels_of(factors[:2], 2)
    with pytest.raises(ValueError, match="integers"):
        labels_of(factors.astype(float), 3)


def test_codes_that_are_none_are_refused():
    with pytest.raises(ValueError, match="N >= 2"):
        standardise(CODES[:, :1])
    with pytest.raises(DataError, match="not finite"):
        standardise(CODES * np.nan)


def test_the_components_of_pixels_are_those_of_the_covariance():
    images = RNG.normal(size=(60, 2, 3, 4)) * np.arange(1, 25).reshape(2, 3, 4)
    codes = pca_codes(images, 3)
    pixels = images.reshape(60, 24) - images.reshape(60, 24).mean(axis=0)
    expected = np.linalg.eigvalsh(pixels.T @ pixels)[::-1][:3]
    assert (codes.astype(float).T @ codes) == pytest.approx(np.diag(expected), rel=1e-4, abs=1e-3 * expected[0])
    assert (codes == pca_codes(images, 3)).all()
    with pytest.raises(ValueError, match="1 to 23 components, found 24"):
        pca_codes(images, 24)

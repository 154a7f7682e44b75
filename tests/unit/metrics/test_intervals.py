import numpy as np
import pytest

from tts.metrics.intervals import Interval, bootstrap


def test_the_value_is_the_mean_and_the_interval_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    interval = bootstrap(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert interval.n == 400


def test_weights_make_a_rate_of_the_whole_corpus():
    assert bootstrap([1 / 2, 0 / 8], [2, 8]).value == pytest.approx(0.1)


def test_equal_values_leave_no_uncertainty():
    assert bootstrap([0.25] * 7) == Interval(0.25, 0.25, 0.25, 7)


def test_what_could_not_be_measured_is_left_out_and_not_counted():
    assert bootstrap([1.0, np.nan, 1.0, np.inf]) == Interval(1.0, 1.0, 1.0, 2)
    nothing = bootstrap([np.nan])
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
    assert nothing.n == 0


def test_two_calls_agree():
    values = [0.1, 0.5, 0.2, 0.9]
    assert bootstrap(values) == bootstrap(values)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0]])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(ValueError, match="one weight >= 0 for each of 2 values"):
        bootstrap([1.0, 2.0], weights)


def test_an_interval_reads_as_value_and_limits():
    assert str(Interval(0.0651, 0.041, 0.0912, 40)) == "0.0651 [0.041, 0.0912]"

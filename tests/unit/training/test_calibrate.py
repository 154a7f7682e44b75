"""The shipped temperature: the hotter, the more detail; the one that gives a recording's is chosen."""

import pytest

from tts.speech.model import SourceFilterModel
from tts.speech.sampling import SamplingOptions
from tts.testing import make_features, seeded, tiny_speech_config
from tts.training.calibrate import HIGHEST, LOWEST, calibrate_temperature


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_features(tmp_path_factory.mktemp("data") / "features", n=3, seconds=0.8)


def model_with_spread(dataset, spread):
    """Untrained denoisers sample the Gaussian of the priors: its spread is the detail, in proportion to the temperature."""
    model = seeded(lambda: SourceFilterModel(tiny_speech_config(len(dataset.tokens))))
    model.residual_std.fill_(spread)
    return model


def test_the_temperature_follows_how_much_noise_a_model_leaves(dataset):
    found = [
        calibrate_temperature(model_with_spread(dataset, spread), dataset).temperature for spread in (0.05, 0.15, 0.3, 30.0)
    ]
    assert found == sorted(found, reverse=True)
    assert (found[0], found[-1]) == (pytest.approx(HIGHEST, abs=0.013), pytest.approx(LOWEST, abs=0.013))
    assert len(set(found)) == 4
    # noise of twice the spread has the same detail at half the temperature
    assert found[1] == pytest.approx(2 * found[2], rel=0.1)


def test_nothing_but_the_temperature_is_chosen(dataset):
    options = calibrate_temperature(model_with_spread(dataset, 0.4), dataset)
    assert options == SamplingOptions(temperature=options.temperature)
    assert options == calibrate_temperature(model_with_spread(dataset, 0.4), dataset)

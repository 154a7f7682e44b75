import pytest

from tts.testing import make_features


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """Three sentences by each of two voices, with features, statistics and durations; tests only read it."""
    return make_features(tmp_path_factory.mktemp("features") / "train", 3, 0.8, ("ada", "bob"))

"""The reader of factors: its columns, targets of values, angles and categories, and readouts image by image."""

import math

import pytest
import torch

from tts.errors import ConfigError
from tts.image.datasets import open_images
from tts.image.factor_regressor import FactorHead, FactorKind, FactorRegressor, RegressorConfig, read_images, regressor_config


@pytest.fixture(scope="module")
def regressor():
    torch.manual_seed(0)
    return FactorRegressor(regressor_config(open_images("sprites", size=16))).eval()


def test_every_factor_has_its_columns(regressor):
    config = regressor.config
    assert config.columns == ("shape 0", "shape 1", "shape 2", "scale", "cos orientation", "sin orientation", "x", "y")
    assert config.columns_of("shape") == [0, 1, 2] and config.columns_of("y") == [7]
    with pytest.raises(ValueError, match=r"no factor 'hue'. Factors of this regressor: shape, scale, orientation, x, y"):
        config.columns_of("hue")


def test_hues_are_angles_and_azimuths_values():
    kinds = {head.name: head.kind.value for head in regressor_config(open_images("shapes", size=16)).heads}
    assert kinds["floor_hue"] == "angle" and kinds["azimuth"] == kinds["scale"] == "value" and kinds["shape"] == "category"


def test_targets_of_labels():
    labels = torch.tensor([0, 1, 3])
    kinds = (FactorKind.value, FactorKind.angle, FactorKind.category)
    value, angle, category = (FactorHead(name="f", size=4, kind=kind) for kind in kinds)
    torch.testing.assert_close(value.targets(labels), torch.tensor([[0.0], [1 / 3], [1.0]]))
    turns = [(math.cos(a), math.sin(a)) for a in (0, math.pi / 2, 3 * math.pi / 2)]
    torch.testing.assert_close(angle.targets(labels), torch.tensor(turns), atol=1e-6, rtol=0)
    assert category.targets(labels).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]


def test_a_batch_equals_its_singles_and_classes_share_one(regressor):
    x = torch.randn(5, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    features, readouts = read_images(regressor, x, chunk=2)
    assert features.shape == (5, 64) and readouts.shape == (5, 8)
    torch.testing.assert_close(torch.from_numpy(readouts[3:4]), regressor(x[3:4]).detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.from_numpy(readouts[:, :3].sum(1)), torch.ones(5))


def test_the_distance_is_quadratic_in_small_changes(regressor):
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(3, 1, 16, 16, generator=generator).double()
    step = torch.randn(3, 1, 16, 16, generator=generator).double()
    reader = FactorRegressor(regressor.config).double()
    near, twice = (reader.distance(x, x + scale * step).detach() for scale in (1e-4, 2e-4))
    torch.testing.assert_close(twice / near, torch.full((3,), 4.0, dtype=torch.float64), atol=0.01, rtol=0)
    assert reader.distance(x, x).tolist() == [0, 0, 0]


def test_a_configuration_without_heads_or_with_one_twice_is_refused():
    head = FactorHead(name="f", size=4, kind=FactorKind.value)
    for heads in ((), (head, head)):
        with pytest.raises(ConfigError, match=r"regressor.heads: found .*, expected at least one, each with a name of its own"):
            RegressorConfig(channels=1, size=16, heads=heads)

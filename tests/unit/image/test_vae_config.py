"""Ranges of the VAE configurations, and the sizes of the networks they give."""

import pytest

from tts.config import from_dict, to_dict
from tts.errors import ConfigError
from tts.image.vae_config import (
    AnnealedVaeConfig,
    BetaVaeConfig,
    DeformableVaeConfig,
    DipVaeConfig,
    FactorVaeConfig,
    GuidedVaeConfig,
    InfoVaeConfig,
    TcVaeConfig,
    VaeConfig,
)

CONFIGS = [
    VaeConfig,
    BetaVaeConfig,
    AnnealedVaeConfig,
    FactorVaeConfig,
    TcVaeConfig,
    DipVaeConfig,
    InfoVaeConfig,
    GuidedVaeConfig,
    DeformableVaeConfig,
]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_configuration_comes_back_from_plain_values(config):
    assert from_dict(config, to_dict(config())) == config()


@pytest.mark.parametrize(
    ("config", "values", "named"),
    [
        (VaeConfig, {"size": 48}, "model.size"),
        (VaeConfig, {"unit_dim": 2}, "model.unit_dim"),
        (VaeConfig, {"pixel_std": 0.0}, "model.pixel_std"),
        (BetaVaeConfig, {"beta": -1.0}, "model.beta"),
        (BetaVaeConfig, {"beta": float("nan")}, "model.beta"),
        (AnnealedVaeConfig, {"ramp": 0.0}, "model.ramp"),
        (FactorVaeConfig, {"discriminator_layers": 0}, "model.discriminator_layers"),
        (TcVaeConfig, {"beta": -0.1}, "model.beta"),
        (DipVaeConfig, {"diagonal": -1.0}, "model.diagonal"),
        (InfoVaeConfig, {"alpha": 1.5}, "model.alpha"),
        (InfoVaeConfig, {"alpha": -5.0, "divergence": 2.0}, "alpha"),
        (GuidedVaeConfig, {"attributes": (0, 1)}, "model.classes"),
        (GuidedVaeConfig, {"attributes": (1, 1), "classes": (2, 2)}, "model.classes"),
        (GuidedVaeConfig, {"n_units": 1, "attributes": (0,), "classes": (2,)}, "model.n_units"),
        (GuidedVaeConfig, {"classes": (1,)}, "model.classes"),
        (DeformableVaeConfig, {"n_units": 2}, "model.n_units"),
    ],
)
def test_a_value_out_of_range_is_named(config, values, named):
    with pytest.raises(ConfigError, match=named):
        config(**values)


def test_the_weights_of_infovae_are_those_of_its_objective():
    config = InfoVaeConfig(alpha=0.25, divergence=10.0)
    assert (config.kl_weight, config.mmd_weight) == (0.75, 9.25)
    assert (InfoVaeConfig().kl_weight, InfoVaeConfig().mmd_weight) == (0, 1000)

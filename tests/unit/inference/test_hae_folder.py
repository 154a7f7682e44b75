"""The folder of a homomorphism autoencoder comes back as it was, or is refused."""

import json

import pytest
import torch

from tts.errors import ConfigError, ModelError
from tts.image.groups.config import HaeConfig, TransitionKind
from tts.image.groups.hae import HomomorphismAutoencoder
from tts.inference.hae_folder import load_hae, save_hae
from tts.testing import seeded


@pytest.mark.parametrize("kind", TransitionKind)
def test_a_folder_gives_the_model_back(tmp_path, kind):
    config = HaeConfig(size=4, width=8, phi_width=8, transition=kind, blocks=(2, 1), free_units=1)
    hae = seeded(lambda: HomomorphismAutoencoder(config))
    save_hae(tmp_path / "hae", hae, "card")
    loaded = load_hae(tmp_path / "hae")
    x, g = torch.rand(3, 1, 4, 4), torch.rand(3, 5, 2)
    assert loaded.config == config and not loaded.training
    assert torch.equal(loaded.rollout(loaded.encode(x), g), hae.rollout(hae.encode(x), g))


def test_a_folder_that_lies_or_is_anothers_is_refused(tmp_path):
    folder = tmp_path / "hae"
    hae = seeded(lambda: HomomorphismAutoencoder(HaeConfig(size=4, width=8)))
    save_hae(folder, hae, "card")
    values = json.loads((folder / "config.json").read_text())
    for changes, error, message in (
        ({"format": "image"}, ModelError, r"found format and version \('image', 2\)"),
        ({"model": values["model"] | {"width": 9}}, ModelError, "do not fit"),
        ({"model": values["model"] | {"_target_": "os.system"}}, ConfigError, "unknown key"),
    ):
        (folder / "config.json").write_text(json.dumps(values | changes))
        with pytest.raises(error, match=message):
            load_hae(folder)
    (folder / "mine.txt").write_text("keep")
    with pytest.raises(ModelError, match=r"mine\.txt"):
        save_hae(folder, hae, "card")

"""The folder of an edit: comes back whole, for the very model it was made on, or not at all."""

import json

import pytest
import torch

from tts.errors import ModelError
from tts.image.base import BaseConfig
from tts.image.config import UNetConfig
from tts.image.delta_h import DeltaBlock, DeltaBlockConfig, FixedDelta
from tts.image.registry import build_model
from tts.inference.edit_folder import EditConfig, load_edit, model_fingerprint, save_edit
from tts.nets.image_unet import Encoded
from tts.testing import seeded

UNET = UNetConfig(base=8, multipliers=(1,), attention=(False,), unshuffle=2)
BLOCK = DeltaBlockConfig(channels=8, time_dim=32)


def base(seed=0):
    return seeded(lambda: build_model(BaseConfig(size=8, unet=UNET)), seed, spread=0.05)


def saved(folder, model, **options):
    delta = seeded(lambda: DeltaBlock(BLOCK), spread=0.1)
    config = EditConfig(name="red", model=model_fingerprint(model), steps=40, t_edit=0.4, t_boost=0.2, block=BLOCK, **options)
    save_edit(folder, config, delta)
    return delta, config


def encoded():
    return Encoded(torch.ones(2, 8, 4, 4), (), torch.ones(2, 32))


def test_an_edit_comes_back_as_it_was(tmp_path):
    model = base()
    delta, config = saved(tmp_path / "red", model)
    attribute, found = load_edit(tmp_path / "red", model)
    assert found == config and (attribute.steps, attribute.t_edit, attribute.strength) == (40, 0.4, 1.0)
    t = torch.ones(2)
    assert torch.equal(attribute.delta(encoded(), t), delta(encoded(), t))


def test_kept_values_come_back_with_their_times(tmp_path):
    model, delta = base(), FixedDelta.of(torch.rand(2, 8, 4, 4), torch.tensor([0.3, 0.9]))
    config = EditConfig(name="all", model=model_fingerprint(model), steps=6, t_edit=0.3, fixed=delta.config)
    save_edit(tmp_path / "all", config, delta)
    attribute, _ = load_edit(tmp_path / "all", model)
    t = torch.tensor([0.5, 0.95])
    assert torch.equal(attribute.delta(encoded(), t), delta(encoded(), t))


def test_an_edit_of_another_model_is_refused(tmp_path):
    saved(tmp_path / "red", base())
    with pytest.raises(ModelError, match="was trained on model"):
        load_edit(tmp_path / "red", base(seed=1))
    assert model_fingerprint(base()) == model_fingerprint(base())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 9}, "format and version"),
        ({"block": None}, "one of block and fixed"),
        ({"_target_": "os.system"}, "unknown key"),
        ({"steps": 0}, "steps"),
        ({"block": {"channels": 12, "time_dim": 32}}, "do not fit this model"),
    ],
)
def test_a_folder_whose_config_lies_is_refused(tmp_path, change, message):
    model = base()
    saved(tmp_path / "red", model)
    path = tmp_path / "red" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=message):
        load_edit(tmp_path / "red", model)


def test_a_missing_file_and_a_folder_with_something_else_are_refused(tmp_path):
    model = base()
    saved(tmp_path / "red", model)
    (tmp_path / "red" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load_edit(tmp_path / "red", model)
    with pytest.raises(ModelError, match="no such file"):
        load_edit(tmp_path / "nothing", model)
    (tmp_path / "red" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="nothing was written"):
        saved(tmp_path / "red", model)

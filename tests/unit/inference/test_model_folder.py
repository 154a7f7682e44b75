"""Model folders on disk: replaced whole or not at all, never in place of something else, found inside an experiment."""

import pytest
import torch

from tts.data.files import write_json
from tts.errors import ModelError
from tts.inference import model_folder
from tts.inference.model_folder import load_model_folder, save_model_folder
from tts.inference.pack import pack_model
from tts.testing import make_model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_model_folder(tmp_path_factory.mktemp("model") / "tiny")


def test_a_full_disk_leaves_the_old_folder_and_nothing_else(tmp_path, monkeypatch):
    folder = make_model_folder(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full_disk(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_folder, "save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_model_folder(folder, load_model_folder(folder), "another card")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_model_folder_takes_the_place_of_an_older_one(tmp_path):
    folder = make_model_folder(tmp_path / "model")
    save_model_folder(folder, load_model_folder(folder), "another card")
    assert (folder / "README.md").read_text() == "another card"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_experiment_or_a_vocoder_is_never_replaced(folder, tmp_path):
    write_json(tmp_path / "exp" / "config.json", {"steps": 3})
    (tmp_path / "exp" / "checkpoints").mkdir()
    write_json(tmp_path / "vocoder" / "config.json", {"kind": "hifigan"})
    for name, held in (("exp", "checkpoints, the config.json of something else"), ("vocoder", "the config.json of something")):
        with pytest.raises(ModelError, match=f"{name}: holds {held}"):
            pack_model(folder, tmp_path / name, data="")
        assert (tmp_path / name / "config.json").exists()


def test_an_experiment_stands_for_the_model_packed_in_it(folder, tmp_path):
    write_json(tmp_path / "config.json", {"steps": 3})
    with pytest.raises(ModelError, match=r"found kind and version \(None, None\).*`glottis pack` wrote"):
        load_model_folder(tmp_path)
    pack_model(folder, tmp_path / "model", data="")
    packed, first = load_model_folder(tmp_path), load_model_folder(folder)
    assert all(torch.equal(packed.model.state_dict()[name], value) for name, value in first.model.state_dict().items())


def test_a_checkpoint_file_of_a_stranger_is_no_model_folder(tmp_path):
    torch.save({"model": torch.zeros(1)}, tmp_path / "model.pth")
    with pytest.raises(ModelError, match=r"no model folder, there is no config\.json"):
        load_model_folder(tmp_path / "model.pth")

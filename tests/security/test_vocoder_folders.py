"""Vocoder folders as a stranger, or a broken disk, might hand them over."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from tts.config import AUDIO_CONFIGS
from tts.errors import ConfigError, DataError, ModelError
from tts.speech.hifigan import make_generator, save_vocoder
from tts.speech.public_vocoders import read_checkpoint
from tts.speech.vocoder import load_vocoder
from tts.testing import tiny_vocoder_config

AUDIO = AUDIO_CONFIGS["libri16k"]
TINY = tiny_vocoder_config()


class Bomb:
    """Creates a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.fixture
def folder(tmp_path):
    save_vocoder(tmp_path / "vocoder", TINY, make_generator(TINY), "")
    return tmp_path / "vocoder"


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_pickle_named_safetensors_is_refused_and_not_run(folder, tmp_path, save):
    save({"weight": Bomb(tmp_path / "boom")}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"this is a pickle.*if you trust it.*weights_only=True"):
        load_vocoder(folder, AUDIO)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_public_checkpoint_that_holds_code_is_refused_and_not_run(tmp_path, save):
    save({"weight": Bomb(tmp_path / "boom")}, tmp_path / "generator.ckpt")
    with pytest.raises(ModelError, match="not a PyTorch checkpoint of tensors"):
        read_checkpoint(tmp_path / "generator.ckpt")
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("value", [[torch.zeros(1)], {"a": torch.zeros(1), "step": 3}])
def test_a_public_checkpoint_of_other_values_is_refused(tmp_path, value):
    torch.save(value, tmp_path / "generator.ckpt")
    with pytest.raises(ModelError, match="expected a table of tensors"):
        read_checkpoint(tmp_path / "generator.ckpt")


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 64])
def test_a_public_checkpoint_that_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "generator.ckpt").write_bytes(content)
    with pytest.raises(ModelError, match="Download it again"):
        read_checkpoint(tmp_path / "generator.ckpt")


def test_missing_and_extra_tensors_are_one_error_that_lists_five(folder):
    tensors = load_file(folder / "model.safetensors")
    wrong = {f"x.{name}": tensor for name, tensor in tensors.items()}
    save_file(wrong, folder / "model.safetensors")
    with pytest.raises(ModelError) as error:
        load_vocoder(folder, AUDIO)
    message = str(error.value).removeprefix(str(folder))
    assert f"{2 * len(tensors)} tensor(s) do not fit" in message
    assert message.count("missing") + message.count("unexpected") == 5


def test_a_tensor_of_another_shape_is_refused_with_both_shapes(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["conv_pre.conv.bias"] = torch.zeros(17)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"conv_pre.conv.bias has shape \(17,\), expected \(16,\)"):
        load_vocoder(folder, AUDIO)


def test_a_tensor_of_another_dtype_is_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["conv_pre.conv.bias"] = tensors["conv_pre.conv.bias"].half()
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"conv_pre.conv.bias is torch.float16, expected torch.float32"):
        load_vocoder(folder, AUDIO)


@pytest.mark.parametrize("keep", [0, 1, 7, 100, -1])
def test_truncated_weights_are_refused(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match="not a complete safetensors file"):
        load_vocoder(folder, AUDIO)


def test_missing_weights_are_refused(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model.safetensors: cannot be read \(No such file"):
        load_vocoder(folder, AUDIO)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_target_": "os.system"}, "config.json._target_: unknown key"),
        ({"initial_channels": "16"}, "initial_channels: found '16', expected int"),
        ({"upsample_factors": [16, 16.0]}, r"upsample_factors\[1\]: found 16.0, expected int"),
        ({"resblock": "triple"}, "resblock: found 'triple', expected one of paired, single"),
        ({"audio": {"sample_rate": 16000, "secret": 1}}, "config.json.audio.secret: unknown key"),
    ],
)
def test_a_hostile_configuration_is_refused_naming_the_key(folder, changes, message):
    edit_config(folder, **changes)
    with pytest.raises(ConfigError, match=message):
        load_vocoder(folder, AUDIO)


@pytest.mark.parametrize("kind", ["source_filter", None, 3, ["hifigan"]])
def test_the_folder_of_another_model_is_no_vocoder(folder, kind):
    edit_config(folder, kind=kind)
    with pytest.raises(ModelError, match="expected 'hifigan'"):
        load_vocoder(folder, AUDIO)


@pytest.mark.parametrize("content", ["", "[1]", "{", '"hifigan"'])
def test_a_config_that_is_no_table_is_refused(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises((ModelError, DataError), match=r"not JSON|expected 'hifigan'"):
        load_vocoder(folder, AUDIO)


@pytest.mark.parametrize("channels", [2**24, 2**60, 2**70])
def test_a_configuration_too_large_for_memory_costs_none(folder, channels):
    edit_config(folder, initial_channels=channels)
    with pytest.raises((ModelError, ConfigError), match=r"do not fit this model|make no network"):
        load_vocoder(folder, AUDIO)

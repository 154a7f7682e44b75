"""A configuration is data: no key of it names code to run, and nothing in it reaches past its dataclass."""

import json
import subprocess
import sys

import pytest

from tts.config import AudioConfig, from_dict, to_dict
from tts.errors import ConfigError


@pytest.mark.parametrize(
    "extra",
    [
        {"_target_": "os.system", "command": "touch PWNED"},
        {"_target_": "pathlib.Path.write_text"},
        {"_partial_": True},
        {"__class__": "subprocess.Popen"},
        {"__init__": [1]},
        {"__post_init__": None},
        {"fingerprint": "0" * 12},
        {"": 1},
    ],
)
def test_keys_that_are_no_field_are_refused_by_path(extra):
    key = next(iter(extra))
    with pytest.raises(ConfigError, match=rf"audio\.{key}: unknown key"):
        from_dict(AudioConfig, to_dict(AudioConfig()) | extra, where="audio")


@pytest.mark.parametrize(
    "value", [{"_target_": "builtins.eval", "_args_": ["1"]}, ["80"], "!!python/name:os.getcwd", None, 8e1]
)
def test_a_value_of_another_type_is_refused_and_not_interpreted(value):
    with pytest.raises(ConfigError, match=r"audio\.n_mels: found"):
        from_dict(AudioConfig, {"n_mels": value}, where="audio")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_frequencies_that_are_no_number_are_refused(number):
    values = json.loads(f'{{"f_max": {number}}}')
    with pytest.raises(ConfigError, match="f_min < f_max"):
        from_dict(AudioConfig, values)


def test_interpolation_is_plain_text(monkeypatch):
    monkeypatch.setenv("SECRET", "7")
    with pytest.raises(ConfigError, match=r"found '\$\{oc\.env:SECRET\}', expected int"):
        from_dict(AudioConfig, {"n_mels": "${oc.env:SECRET}"})


def test_reading_a_configuration_imports_neither_hydra_nor_yaml():
    code = (
        "import sys; from tts.config import AudioConfig, from_dict; from_dict(AudioConfig, {'n_mels': 80});"
        "print(sorted({'hydra', 'omegaconf', 'yaml', 'hyperpyyaml', 'pickle'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

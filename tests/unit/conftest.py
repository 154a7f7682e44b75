"""What unit tests share: scripts of tools/ as modules, and a converter whose content is the mel in eight bands."""

import dataclasses
import importlib.util
from pathlib import Path

import pytest
import torch

from tts.audio.mel import MelExtractor
from tts.data.content_file import ContentKind
from tts.inference.converter import VoiceConverter
from tts.inference.model_folder import load_model_folder
from tts.speech.config import ContentConfig
from tts.speech.model import SourceFilterModel
from tts.testing import make_model_folder, seeded

CONTENT_DIM = 8
TOOLS = Path(__file__).parents[2] / "tools"


class LevelVocoder:
    """The level of each frame as its samples: quick, and exact about which frame is where."""

    name, context_frames = "level", 3

    def __init__(self, audio):
        self.audio = audio

    def __call__(self, mel, first_frame=0):
        return mel.exp().mean(1).repeat_interleave(self.audio.hop_length, dim=1)


def make_converter(folder):
    loaded = load_model_folder(make_model_folder(folder, ("ada", "bob")))
    content = ContentConfig(kind=ContentKind.xlsr, dim=CONTENT_DIM)
    config = dataclasses.replace(loaded.model.config, content=content)
    loaded = dataclasses.replace(loaded, model=seeded(lambda: SourceFilterModel(config), spread=0.05))
    extract = MelExtractor(config.audio)

    def hear(wav):
        mel = extract(torch.from_numpy(wav)[None])[0]
        return mel.unflatten(0, (CONTENT_DIM, -1)).mean(1) / 5 + 1

    return VoiceConverter(loaded, LevelVocoder(config.audio), torch.device("cpu"), hear)


@pytest.fixture(scope="session")
def converter(tmp_path_factory):
    return make_converter(tmp_path_factory.mktemp("converter") / "tiny")


@pytest.fixture(scope="session")
def load_tool():
    """A script of tools/ as a module, by its name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load

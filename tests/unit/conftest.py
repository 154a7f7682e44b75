"""A converter without a trained recogniser or vocoder: content is the mel in eight bands, brought in by a random matrix."""

import types

import pytest
import torch
import torch.nn.functional as F

from tts.audio.mel import MelExtractor
from tts.inference.converter import VoiceConverter
from tts.inference.model_folder import load_model_folder
from tts.testing import make_model_folder

CONTENT_DIM = 8


class LevelVocoder:
    """The level of each frame as its samples: quick, and exact about which frame is where."""

    name, context_frames = "level", 3

    def __init__(self, audio):
        self.audio = audio

    def __call__(self, mel, first_frame=0):
        return mel.exp().mean(1).repeat_interleave(self.audio.hop_length, dim=1)


def make_converter(folder):
    loaded = load_model_folder(make_model_folder(folder, ("ada", "bob")))
    model, generator = loaded.model, torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    matrix = torch.randn(model.config.content_dim, CONTENT_DIM, generator=generator) / CONTENT_DIM**0.5
    model.audio_content = lambda features, mask: F.relu(matrix @ features) * mask
    object.__setattr__(model.config, "content", types.SimpleNamespace(kind="ppg", dim=CONTENT_DIM))
    extract = MelExtractor(model.config.audio)

    def content(wav):
        mel = extract(torch.from_numpy(wav)[None])[0]
        return mel.unflatten(0, (CONTENT_DIM, -1)).mean(1) / 5 + 1

    return VoiceConverter(loaded, LevelVocoder(model.config.audio), torch.device("cpu"), content)


@pytest.fixture(scope="session")
def converter(tmp_path_factory):
    return make_converter(tmp_path_factory.mktemp("converter") / "tiny")

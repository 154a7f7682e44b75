"""A converter without a trained recogniser: content is the mel in eight bands, brought to the model by a random matrix."""

import types

import pytest
import torch
import torch.nn.functional as F

from tts.audio.mel import MelExtractor
from tts.inference.converter import VoiceConverter
from tts.inference.model_folder import load_model_folder
from tts.speech.vocoder import load_vocoder
from tts.testing import make_model_folder

CONTENT_DIM = 8


def make_converter(folder, vocoder="griffin_lim"):
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

    return VoiceConverter(loaded, load_vocoder(vocoder, model.config.audio), torch.device("cpu"), content)


@pytest.fixture(scope="module")
def converter(tmp_path_factory):
    return make_converter(tmp_path_factory.mktemp("converter") / "tiny")

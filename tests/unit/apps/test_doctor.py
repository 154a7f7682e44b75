import importlib.metadata
import tomllib
from pathlib import Path

import pytest
import torch

from tts.apps import cli
from tts.apps.cli import doctor
from tts.audio.pitch import F0Statistics
from tts.data.statistics import Statistics
from tts.inference.model_folder import LoadedModel, save_model_folder
from tts.speech.config import DenoiserConfig, PriorConfig, SpeechConfig, TextEncoderConfig
from tts.speech.model import SourceFilterModel
from tts.speech.sampling import SamplingOptions
from tts.text.tokens import Tokens


def test_versions_devices_front_ends_and_caches_are_shown(capsys):
    assert cli.main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert f"torch                       {importlib.metadata.version('torch')}" in shown
    for word in ("torchaudio", "soundfile", "pyworld", "speechbrain", "CPU ", "CUDA ", "MPS ", "cache "):
        assert word in shown
    assert "front end    characters: hello there." in shown


def test_every_check_is_of_a_package_the_project_asks_for():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    for check in doctor.CHECKS:
        group = project["optional-dependencies"][check.extra] if check.extra else project["dependencies"]
        assert any(line.startswith(check.distribution) for line in group), check.distribution


def test_a_package_that_does_not_import_is_named_with_its_fix_and_fails(monkeypatch, capsys):
    broken = doctor.Check("no_such_module", "pyworld", "pip install 'setuptools<82'")
    monkeypatch.setattr(doctor, "CHECKS", (broken,))
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "FAIL pyworld" in shown
    assert "ModuleNotFoundError: No module named 'no_such_module'" in shown
    assert "fix: pip install 'setuptools<82'" in shown


def test_a_missing_extra_is_told_but_is_no_failure(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", (doctor.Check("no_such_module", "lightning", extra="train"),))
    assert cli.main(["doctor"]) == 0
    assert "fix: bash tools/install.sh --extras train" in capsys.readouterr().out


def test_a_cache_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    shown = "\n".join(doctor._caches())
    assert f"{tmp_path / 'cache' / 'glottis'}  NOT WRITABLE; fix: export XDG_CACHE_HOME=" in shown


@pytest.fixture
def model_folder(tmp_path):
    tokens = Tokens.build([["a", "b", "."]])
    config = SpeechConfig(
        frontend="characters",
        n_tokens=len(tokens),
        content_dim=16,
        style_dim=8,
        style_hidden=8,
        text=TextEncoderConfig(channels=16, layers=1, hidden=16, predictor_channels=8),
        prior=PriorConfig(channels=16, layers=1),
        denoiser=DenoiserConfig(channels=(16, 16)),
    )
    statistics = Statistics(
        mel_mean=-5.0, mel_std=2.0, f0=F0Statistics(mean=5.0, std=0.2), speakers={"ada": F0Statistics(mean=5.0, std=0.2)}
    )
    model = SourceFilterModel(config)
    loaded = LoadedModel(
        model=model, tokens=tokens, statistics=statistics, speakers={"ada": torch.zeros(8)}, sampling=SamplingOptions()
    )
    save_model_folder(tmp_path / "model", loaded, "a card")
    return tmp_path / "model", model


def test_a_model_folder_is_described_by_kind_contract_and_parameters(model_folder, capsys):
    folder, model = model_folder
    assert cli.main(["doctor", "--model", str(folder)]) == 0
    shown = capsys.readouterr().out.partition(f"{folder}: ")[2]
    assert shown.startswith("source_filter 1, front end characters, 4 tokens\n")
    assert "speakers     1: ada\n" in shown
    assert f"audio        libri16k, fingerprint {model.config.audio.fingerprint()}\n" in shown
    assert "sample_rate 16000, n_fft 1024" in shown
    rows = [line.rpartition("  ") for line in shown.partition("  parameters\n")[2].splitlines()]
    counts = {name.strip(): int(number.replace(",", "")) for name, _, number in rows}
    assert counts["total"] == sum(p.numel() for p in model.parameters())
    assert sum(counts.values()) == 2 * counts["total"]
    assert counts["denoiser source"] == sum(p.numel() for p in model.denoisers["source"].parameters())


def test_a_folder_that_is_no_model_is_an_error(tmp_path, capsys):
    assert cli.main(["doctor", "--model", str(tmp_path)]) == 1
    assert "no model folder, there is no config.json" in capsys.readouterr().err

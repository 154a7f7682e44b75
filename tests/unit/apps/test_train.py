"""The verb `train`: what of its command line reaches the run."""

from pathlib import Path

import pytest

from tts.apps import cli
from tts.training import run


@pytest.mark.parametrize(("words", "devices"), [([], 0), (["--ngpu", "2"], 2), (["devices=3"], 3), (["steps=2000"], 0)])
def test_devices_are_those_asked_for_in_whichever_way(words, devices, monkeypatch):
    configs = []
    monkeypatch.setattr(run, "train", lambda config, *_, **__: configs.append(config) or Path("last.ckpt"))
    assert cli.main(["train", "--features", "f", "--exp", "e", *words]) == 0
    assert configs[0].devices == devices

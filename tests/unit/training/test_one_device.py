"""The trainer of the trainings on one device."""

import sys
from types import SimpleNamespace

import pytest

from tts.training.one_device import PIPED_REFRESH, make_trainer


@pytest.mark.parametrize(("terminal", "steps"), [(True, 1), (False, PIPED_REFRESH)])
def test_a_log_is_not_filled_with_a_state_of_the_progress_bar_a_step(tmp_path, monkeypatch, terminal, steps):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    config = SimpleNamespace(steps=100, checkpoint_every=10, log_every=10, device="cpu", precision="fp32")
    assert make_trainer(config, tmp_path, []).progress_bar_callback.refresh_rate == steps

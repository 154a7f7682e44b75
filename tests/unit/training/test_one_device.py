"""The trainer of the trainings on one device."""

import re
import sys
from types import SimpleNamespace

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset

from tts.training.fit import fit
from tts.training.one_device import LAST, PIPED_REFRESH, make_trainer

CONFIG = SimpleNamespace(steps=7, checkpoint_every=2, log_every=10, device="cpu", precision="fp32")


@pytest.mark.parametrize(("terminal", "steps"), [(True, 1), (False, PIPED_REFRESH)])
def test_a_log_is_not_filled_with_a_state_of_the_progress_bar_a_step(tmp_path, monkeypatch, terminal, steps):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert make_trainer(CONFIG, tmp_path, []).progress_bar_callback.refresh_rate == steps


class Endless(IterableDataset):
    def __iter__(self):
        while True:
            yield torch.ones(2)


class Task(L.LightningModule):
    def __init__(self, breaks_at):
        super().__init__()
        self.weight, self.breaks_at = torch.nn.Parameter(torch.zeros(2)), breaks_at

    def training_step(self, batch):
        if self.global_step == self.breaks_at:
            raise OSError("as if killed")
        return (self.weight - batch).square().sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("data", [Endless(), torch.ones(3, 2)], ids=["one epoch", "epochs of three steps"])
def test_the_bar_is_of_all_steps_and_the_rate_of_a_run_that_is_gone_on_with_of_its_own(tmp_path, capsys, data):
    loader = DataLoader(data, batch_size=None)
    killed = make_trainer(CONFIG, tmp_path, [])
    with pytest.raises(OSError, match="as if killed"):
        fit(killed, Task(breaks_at=5), loader, None)
    killed.progress_bar_callback.train_progress_bar.close()  # or it shows its last state when it is collected
    capsys.readouterr()
    trainer = make_trainer(CONFIG, tmp_path, [])
    fit(trainer, Task(breaks_at=-1), loader, tmp_path / LAST)
    states = re.findall(r"(\d+)/(\d+|\?) \[.*?, +(-?)[\d?]", capsys.readouterr().out)
    assert states[-1][:2] == ("7", "7")
    shown = {state for state in states if state[:2] != ("0", "?")}
    assert shown <= {(f"{n}", "7", "") for n in range(4, 8)}
    assert trainer.progress_bar_callback.train_progress_bar.initial == 4

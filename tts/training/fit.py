"""Lightning's fit, as every training here calls it."""

import warnings
from pathlib import Path
from typing import Any

import lightning as L
from torch.utils.data import DataLoader


def fit(trainer: L.Trainer, task: L.LightningModule, loader: DataLoader[Any], checkpoint: Path | None) -> None:
    """Train to the trainer's last step, from `checkpoint` if there is one; the loader begins at the batch that comes next.

    Raises:
        KeyboardInterrupt: on Ctrl-C, which Lightning passes on as an exit.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*dataloader is not resumable")  # it was put in its place
        warnings.filterwarnings("ignore", message=".*exists and is not empty")
        warnings.filterwarnings("ignore", message="Found .* in eval mode")  # frozen ones
        warnings.filterwarnings("ignore", message="Using ModelCheckpoint with manual optimization")  # after the step: as meant
        try:
            trainer.fit(task, loader, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as err:
            raise KeyboardInterrupt if trainer.interrupted else err from None

"""The progress bar of a training."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar


class StepBar(TQDMProgressBar):
    """Lightning's bar over all steps of a run, not those of an epoch; its rate is of the steps made in this process."""

    def init_train_tqdm(self) -> Any:
        """The bar, from the step that the run is at to its last."""
        bar = super().init_train_tqdm()
        bar.total = self.trainer.max_steps
        bar.initial = bar.n = self.trainer.global_step
        return bar

    def on_train_epoch_start(self, *_: Any) -> None:
        """An epoch does not begin the bar anew."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """The bar at the step that was made, with the losses."""
        bar, step = self.train_progress_bar, trainer.global_step
        if self._should_update(step, trainer.max_steps):
            bar.n = step
            bar.set_postfix(self.get_metrics(trainer, pl_module))

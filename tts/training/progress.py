"""The progress bar of a training."""

from typing import Any

from lightning.pytorch.callbacks import TQDMProgressBar


class StepBar(TQDMProgressBar):
    """Lightning's bar over the steps of a run; one that goes on knows its end, too, and its rate is of steps made now."""

    def init_train_tqdm(self) -> Any:
        """The bar, from the step that the run is at to its last."""
        bar = super().init_train_tqdm()
        bar.total, bar.initial = self.trainer.max_steps, self.trainer.global_step
        return bar

"""Pictures and sounds of a run as it goes, for TensorBoard and as PNG; they leave the run's randomness alone."""

from pathlib import Path
from typing import Any

import lightning as L
import torch

from tts.data.dataset import Batch, UtteranceDataset, spread_batch
from tts.data.files import atomic_path
from tts.data.statistics import Statistics
from tts.nets.blocks import lengths_to_mask
from tts.speech.griffin_lim import GriffinLim
from tts.speech.sampling import SamplingOptions, UtteranceNoise, sample_mel
from tts.training.config import TrainConfig
from tts.training.figures import utterance_figure
from tts.training.losses import masked_l1, prior_losses

N_FIXED = 8


class FigureCallback(L.Callback):
    """Every `figures_every` steps, with the averaged weights: losses on fixed utterances, one of them as figure and sound."""

    def __init__(self, dataset: UtteranceDataset, statistics: Statistics, config: TrainConfig) -> None:
        self.statistics, self.config = statistics, config
        self.batch = spread_batch(dataset, N_FIXED)

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Batch, batch_index: int) -> None:
        """Draw when it is time."""
        step = trainer.global_step
        if step % self.config.figures_every:
            return
        if trainer.is_global_zero:
            self.draw(Path(trainer.default_root_dir), task, trainer.logger.experiment, step)

    @torch.no_grad()
    def draw(self, exp: Path, task: Any, board: Any, step: int) -> None:
        """Write the losses, the figure and the sound of this step."""
        model, batch = task.ema.eval(), self.batch.to(task.device)
        mask = lengths_to_mask(batch.mel_lengths, batch.mel.shape[-1])
        style = model.style(batch.reference, lengths_to_mask(batch.reference_lengths, batch.reference.shape[-1]))
        losses, priors, _ = prior_losses(model, batch, style)
        for name, value in losses.items():
            board.add_scalar(f"dev/{name}", value, step)
        in_priors = step <= self.config.prior_steps
        options = SamplingOptions(sampler="prior") if in_priors else SamplingOptions()
        noise = UtteranceNoise(list(range(len(mask))), batch.mel_lengths.tolist())
        sample = sample_mel(model, priors, mask, options, noise)
        board.add_scalar("dev/sample_l1", masked_l1(sample, batch.mel, mask), step)
        figure = utterance_figure(batch, priors, sample)
        with atomic_path(exp / "images" / f"step-{step:07d}.png") as temporary:
            figure.savefig(temporary, format="png", dpi=60)
        board.add_figure("utterance", figure, step)
        length = int(batch.mel_lengths[0])
        vocoder = GriffinLim(self.config.model.audio)
        for name, mel in (("target", batch.mel), ("sample", sample)):
            natural = mel[:1, :, :length].float().cpu() * self.statistics.mel_std + self.statistics.mel_mean
            board.add_audio(f"{name} (Griffin-Lim)", vocoder(natural)[0], step, self.config.model.audio.sample_rate)

"""Pictures and diagnostics of an image run as it goes, for TensorBoard and as PNG; they leave the run's randomness alone."""

import logging
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch

from tts.image.datasets import ImageSet, to_model
from tts.image.disdiff import FactorGuided
from tts.image.model import DiffusionModelBase, RepresentationModel
from tts.image.usage import CodeUsage, z_usage
from tts.image.vae import Vae
from tts.inference.image_codes import CodeStatistics
from tts.inference.image_folder import LoadedImageModel, TrainedOn
from tts.inference.image_grids import grid, save_grid
from tts.inference.image_model import ImageModel
from tts.inference.image_pictures import first_pictures
from tts.training.image import ImageTask
from tts.training.image_config import ImageTrainConfig

logger = logging.getLogger(__name__)

N_SHOWN, N_MEASURED, N_USAGE, N_UNITS = 8, 256, 128, 12
FIGURE_STEPS = 20  # of the sampler


def spread_index(images: ImageSet, n: int) -> np.ndarray:
    """n indices drawn without order from the whole set, the same for every run on it."""
    return np.random.default_rng(0).integers(len(images), size=n)


def loaded_model(model: RepresentationModel, images: ImageSet, trained: TrainedOn, n: int) -> LoadedImageModel:
    """A model in evaluation with the statistics of its codes on n images; a model without codes has none."""
    bare = LoadedImageModel(model=model.eval(), trained=trained, codes=None)
    if model.config.n_units == 0:
        return bare
    device = next(model.parameters()).device
    encoder = ImageModel(bare, device)
    codes = encoder.encode(images.images(spread_index(images, n)))
    return LoadedImageModel(model=model, trained=trained, codes=CodeStatistics.of(torch.from_numpy(codes)))


class ImageFigures(L.Callback):
    """Every `figures_every` steps, with the averaged weights: samples, reconstructions, traversals, z-usage, active units."""

    def __init__(self, images: ImageSet, config: ImageTrainConfig) -> None:
        self.images, self.config = images, config

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_index: int) -> None:
        """Draw when it is time."""
        if trainer.global_step % self.config.figures_every == 0:
            self.draw(Path(trainer.default_root_dir), task, trainer.logger.experiment, trainer.global_step)  # type: ignore[union-attr]

    def draw(self, exp: Path, task: Any, board: Any, step: int) -> None:
        """Write the figures and diagnostics of this step."""
        loaded = loaded_model(task.ema, self.images, trained_on(task), N_MEASURED)
        model = ImageModel(loaded, task.device)
        shown = self.images.images(spread_index(self.images, N_SHOWN))
        options: dict[str, Any] = {"steps": FIGURE_STEPS} if model.is_diffusion else {}
        for name, rows in first_pictures(model, shown, **options).items():
            save_grid(exp / "images" / f"step-{step:07d}-{name}.png", rows)
            board.add_image(name, grid(rows), step, dataformats="HWC")
        if loaded.codes is None:
            return
        board.add_scalar("codes/active_units", int(loaded.codes.active.sum()), step)
        usage = usage_of(task.ema, self.images, N_USAGE, units=N_UNITS)
        if usage is None:
            return
        board.add_scalar("codes/z_usage", usage.share, step)
        for unit, gap in enumerate(usage.unit_gaps):
            board.add_scalar(f"codes/z_usage_of_unit_{unit}", gap / usage.loss, step)
        if isinstance(task.ema, FactorGuided):
            x = to_model(self.images.images(spread_index(self.images, N_USAGE))).to(task.device)
            accuracy = task.ema.factor_accuracy(x, torch.Generator().manual_seed(0))  # 1 / N where the factor loss is inert
            board.add_scalar("codes/factor_accuracy", accuracy, step)
        if step >= self.config.z_usage_after and usage.ignored:
            logger.warning("step %d: the code is ignored: z-usage is %.2f %% of the loss", step, 100 * usage.share)


def usage_of(model: RepresentationModel, images: ImageSet, n: int, *, units: int = 0) -> CodeUsage | None:
    """What the codes of n images, and the first units of them, are worth; None for a model that draws nothing from codes."""
    if not isinstance(model, DiffusionModelBase | Vae) or model.config.n_units == 0:
        return None
    x = to_model(images.images(spread_index(images, n))).to(model.progress.device)
    return z_usage(model, x, torch.Generator().manual_seed(0), units=units)


def trained_on(task: ImageTask) -> TrainedOn:
    """What the model folder says of a run."""
    config, steps = task.config, task.global_step
    seen = task.batches * config.batch_size
    return TrainedOn(
        data=config.data,
        size=config.size,
        steps=steps,
        images=seen,
        seed=config.seed,
        cpu_seconds=round(task.cpu_seconds, 3),
        held_out=config.held_out,
    )

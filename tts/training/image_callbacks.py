"""Pictures and diagnostics of an image run as it goes, for TensorBoard and as PNG; they leave the run's randomness alone."""

import logging
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch

from tts.image.datasets import ImageSet, to_model
from tts.image.model import RepresentationModel
from tts.inference.image_codes import CodeStatistics
from tts.inference.image_folder import LoadedImageModel, TrainedOn
from tts.inference.image_grids import grid, save_grid
from tts.inference.image_model import ImageModel
from tts.inference.image_usage import z_usage
from tts.training.image_config import ImageTrainConfig

logger = logging.getLogger(__name__)

N_SHOWN, N_MEASURED, N_UNITS = 8, 256, 12
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
        loaded = loaded_model(task.ema, self.images, trained_on(self.config, step), N_MEASURED)
        model = ImageModel(loaded, task.device)
        shown = self.images.images(spread_index(self.images, N_SHOWN))
        for name, rows in figures(model, shown).items():
            save_grid(exp / "images" / f"step-{step:07d}-{name}.png", rows)
            board.add_image(name, grid(rows), step, dataformats="HWC")
        if loaded.codes is None:
            return
        x = to_model(self.images.images(spread_index(self.images, 64))).to(task.device)
        usage = z_usage(task.ema, x)
        board.add_scalar("z_usage/all", usage.whole, step)
        board.add_scalar("z_usage/active", int(loaded.codes.active.sum()), step)
        for unit, value in enumerate(usage.units[:N_UNITS]):
            board.add_scalar(f"z_usage/unit_{unit}", value, step)
        if step >= self.config.z_usage_after and usage.whole < self.config.z_usage_min:
            logger.warning("step %d: the encoder is ignored, z-usage %.4f", step, usage.whole)


def trained_on(config: ImageTrainConfig, step: int) -> TrainedOn:
    """What the model folder says of a run after a step."""
    return TrainedOn(data=config.data, size=config.size, steps=step, images=step * config.batch_size, seed=config.seed)


def figures(model: ImageModel, shown: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Rows of images: samples; what is shown above its reconstructions; every unit moved along its axis."""
    options = {"steps": FIGURE_STEPS} if model.is_diffusion else {}
    rows = {"samples": list(model.sample(32, **options).reshape(4, 8, *shown.shape[1:]))}
    if model.loaded.codes is None:
        return rows
    rows["reconstructions"] = [shown, model.reconstruct(shown, **options)]
    if model.is_diffusion:
        rows["reconstructions"].append(model.reconstruct(shown, inverted=True, **options))
    units = model.codes.low.sub(model.codes.high).abs().argsort(descending=True)[:N_UNITS].sort().values.tolist()
    rows["traversals"] = [model.traverse(shown[:1], unit, count=8, **options) for unit in units]
    return rows

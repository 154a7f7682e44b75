"""One training run of an image model: data, parts trained before, trainer, resume, model folder."""

import dataclasses
import logging
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from tts.device import resolve_device
from tts.errors import ConfigError
from tts.image.datasets import ImageSet, open_images, to_model
from tts.image.stage_model import FirstStageModel
from tts.image.subspace.pooled import PooledSet
from tts.inference.image_card import image_card
from tts.inference.image_folder import save_image_folder
from tts.inference.image_split import seen_images
from tts.inference.whole_folder import PACKED
from tts.training.checkpoints import read_checkpoint
from tts.training.fit import fit
from tts.training.image import ImageTask
from tts.training.image_callbacks import ImageFigures, loaded_model, spread_index, trained_on, usage_of
from tts.training.image_config import ImageTrainConfig
from tts.training.image_data import ImageStream
from tts.training.image_parts import NONE, Parts, complete_model, new_model, perceptual_features
from tts.training.one_device import LAST, checkpoint_to_resume, make_trainer

logger = logging.getLogger(__name__)

MODEL_KEYS = ("model", "data", "size", "pool", "held_out", "flips", "batch_size", "optimizer", "adversary", "ema_decay", "seed")
N_SPREAD, N_CODES, N_USAGE = 1024, 4096, 512  # images for the spread of the data, the statistics of codes, their usage


def train_image_model(config: ImageTrainConfig, exp: Path, *, parts: Parts = NONE, resume: str = "auto") -> Path:
    """Train in `exp` until `config.steps`, on one device; the model folder, `exp`/model.

    With resume "auto" a run that was stopped, even killed, goes on from its last checkpoint and ends with the weights of a run
    never stopped; with "never" an existing run is refused.

    Args:
        config: the run; channels and size of its model are set to those of the data.
        exp: gets train.json, last.ckpt, tensorboard/, images/ and model/.
        parts: model folders of what the method stands on.
        resume: "auto" or "never".

    Raises:
        ConfigError: if the method needs a part that is not given, or takes none, or its perceptual term a network that is not
            installed.
        ModelError: if `exp` holds another run, or one at all and resume is "never"; if a part does not fit; if the run ends
            with a code that is ignored.
        DataError: if the data cannot be read.
    """
    torch.set_num_threads(config.threads)
    whole = opened(config)
    config = dataclasses.replace(config, model=complete_model(config.model, whole, parts))
    images, features = seen_images(whole, config.held_out), perceptual_features(config.model, resolve_device(config.device))
    stream = ImageStream(images, config.batch_size, seed=config.seed, flips=config.flips)
    measured = to_model(images.images(spread_index(images, N_SPREAD)))
    model = new_model(config.model, parts, measured, config.seed)
    checkpoint = checkpoint_to_resume(config, exp, MODEL_KEYS, resume)  # written only of what can be built
    if checkpoint is not None:
        stream.first_batch = read_checkpoint(checkpoint)["batches"]
    if features is not None and isinstance(model, FirstStageModel):
        model.stage.take_features(features)
    task = ImageTask(config, model)
    trainer = make_trainer(config, exp, [ImageFigures(images, config)])
    loader = DataLoader(stream, batch_size=None, num_workers=config.workers)
    fit(trainer, task, loader, checkpoint)
    if trainer.global_step % config.checkpoint_every:
        trainer.save_checkpoint(exp / LAST)
    return export(task, images, exp, trainer.global_step)


def opened(config: ImageTrainConfig) -> ImageSet:
    """The images of a run: those of its data at its size, pooled where it says so.

    Raises:
        ConfigError: if the size cannot be halved so often.
        DataError: if the data cannot be read.
    """
    if config.size % 2**config.pool:
        raise ConfigError(f"train.pool: found {config.pool}, but {config.size} pixels cannot be halved so often.")
    images = open_images(config.data, size=config.size)
    return PooledSet(images, config.pool) if config.pool else images


def export(task: ImageTask, images: ImageSet, exp: Path, step: int) -> Path:
    """Write `exp`/model from the moving average of the weights; the folder.

    Raises:
        CodeIgnored: after `z_usage_after` steps, if the code is ignored; the folder is there all the same.
    """
    config = task.config
    if isinstance(task.ema, FirstStageModel):
        task.ema.measure(to_model(images.images(spread_index(images, N_SPREAD))).to(task.device))
    loaded = loaded_model(task.ema, images, trained_on(task), N_CODES)
    save_image_folder(exp / PACKED, loaded, image_card(f"{config.model.kind.value} on {images.name}", loaded))
    usage = usage_of(task.ema, images, N_USAGE) if step >= config.z_usage_after else None
    if usage is not None:
        usage.require()
    return exp / PACKED

"""One training run: data, trainer, checkpoints, resume."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from tts.config import from_dict, to_dict
from tts.data.batching import LengthBucketSampler
from tts.data.content_file import ContentKind
from tts.data.dataset import DURATIONS, UtteranceDataset, collate
from tts.data.files import read_json, write_json
from tts.data.statistics import STATISTICS, TOKENS, Statistics
from tts.device import check_gpu_count, resolve_device, resolve_precision
from tts.errors import DataError, ModelError
from tts.inference.model_folder import load_model_folder
from tts.text.tokens import Tokens
from tts.training.callbacks import FigureCallback
from tts.training.checkpoints import AtomicCheckpointIO, read_checkpoint
from tts.training.config import TrainConfig
from tts.training.fit import fit
from tts.training.progress import StepBar
from tts.training.speech import SpeechTask
from tts.training.start import complete_config, initialize, tables

logger = logging.getLogger(__name__)

CONFIG = "config.json"
CHECKPOINTS = "checkpoints"
LAST = "last.ckpt"
RUN = "run.json"
MODEL_KEYS = ("model", "seed", "prior_steps", "freeze_priors", "max_frames", "max_batch", "weights")


def train(
    config: TrainConfig, features: Path, exp: Path, *, dev: Path | None = None, init: Path | None = None, resume: str = "auto"
) -> Path:
    """Train in `exp` on a features folder until `config.steps`; the path of the last checkpoint.

    With resume "auto" a run that was stopped, even killed, goes on from its last checkpoint and ends with the weights of a
    run never stopped; with "never" an existing run is refused. With `init` it starts from the weights of that model folder,
    whose sizes, tokens and mel statistics it keeps: the way to teach a model a new voice.

    Raises:
        ModelError: if `exp` holds a run with another model, data order or data, or one at all and resume is "never"; if the
            features have another mel, front end or content than `init`.
        ConfigError: if the features have another kind of content than the model.
        DataError: if a features folder is not complete, or was not aligned.
    """
    check_gpu_count(config.devices)
    torch.set_num_threads(config.threads)
    origin = None if init is None else load_model_folder(init)
    tokens, statistics = tables(features, origin)
    config = complete_config(config, features, tokens, origin)
    checkpoint = _checkpoint_to_resume(config, exp, resume)
    if checkpoint is not None:
        _require_same_data(tokens, statistics, features, exp)
    hears = config.model.content.kind is not ContentKind.none
    dataset = UtteranceDataset(features, tokens, statistics, seed=config.seed, content=hears)
    dev_set = UtteranceDataset(dev, tokens, statistics, content=hears) if dev is not None else dataset
    for data in (dataset, dev_set):
        if data.durations is None:
            raise DataError(f"{data.folder}: there is no {DURATIONS}. Run `glottis align` first.")
    _describe_run(config, tokens, statistics, {"features": features, "dev": dev or features}, exp)
    trainer = make_trainer(config, exp, FigureCallback(dev_set, statistics, config))
    sampler = LengthBucketSampler(
        dataset.lengths,
        max_frames=config.max_frames,
        max_batch_size=config.max_batch,
        seed=config.seed,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
    )
    if checkpoint is not None:
        step = read_checkpoint(checkpoint)["global_step"]
        sampler.set_epoch(step // len(sampler))
        sampler.skip(step % len(sampler))
    loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=collate, num_workers=config.workers)
    task = SpeechTask(config)
    if checkpoint is None:
        initialize(task, dataset, origin)
    fit(trainer, task, loader, checkpoint)
    if trainer.global_step % config.checkpoint_every:
        for name in (f"step-{trainer.global_step:07d}.ckpt", LAST):
            trainer.save_checkpoint(exp / CHECKPOINTS / name)
    return exp / CHECKPOINTS / LAST


def make_trainer(config: TrainConfig, exp: Path, figures: L.Callback) -> L.Trainer:
    """The Lightning trainer of a run: device, precision, checkpoints, TensorBoard."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    on_gpu = config.devices > 0
    device = resolve_device("cuda" if on_gpu else "cpu")
    bf16 = resolve_precision(config.precision.value, device) == torch.bfloat16
    checkpoints = ModelCheckpoint(
        exp / CHECKPOINTS,
        filename="step-{step:07d}",
        auto_insert_metric_name=False,
        monitor="step",
        mode="max",
        save_top_k=config.keep,
        save_last=True,
        every_n_train_steps=config.checkpoint_every,
        save_on_train_epoch_end=False,
        enable_version_counter=False,  # a resumed run must replace last.ckpt, not write a last-v1.ckpt beside it
    )
    return L.Trainer(
        default_root_dir=exp,
        accelerator="cuda" if on_gpu else "cpu",
        devices=config.processes,
        strategy="ddp_find_unused_parameters_true" if config.processes > 1 else "auto",
        precision="bf16-mixed" if bf16 else "32-true",
        max_steps=config.steps,
        max_epochs=-1,
        gradient_clip_val=config.optimizer.clip,
        use_distributed_sampler=False,
        callbacks=[checkpoints, figures, StepBar(refresh_rate=config.log_every)],
        plugins=[AtomicCheckpointIO()],
        logger=TensorBoardLogger(exp, name="tensorboard", version=""),
        log_every_n_steps=config.log_every,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _checkpoint_to_resume(config: TrainConfig, exp: Path, resume: str) -> Path | None:
    """The last checkpoint of the run in `exp`, whose configuration must be this one; or nothing."""
    path, last = exp / CONFIG, exp / CHECKPOINTS / LAST
    if path.exists():
        if resume == "never" and _is_first_process():  # the others find what the first has just written
            raise ModelError(f"{exp} holds a run already. Give another --exp, or --resume auto to go on with it.")
        before, new = from_dict(TrainConfig, read_json(path), where=str(path)), to_dict(config)
        old = to_dict(before)
        changed = [f"{k}: {_short(old.get(k), new[k])}" for k in MODEL_KEYS if old.get(k) != new[k]]
        if before.processes != config.processes:
            changed.append(f"processes: {before.processes} -> {config.processes}")
        if changed:
            raise ModelError(
                f"{exp} holds a run with another configuration; it was not touched. Differing: {'; '.join(changed)}. "
                "Give another --exp, or the old configuration."
            )
        for key in new.keys() - set(MODEL_KEYS):
            if old.get(key) != new[key]:
                logger.warning("resuming with another %s: %s", key, _short(old.get(key), new[key]))
    elif last.exists():
        raise ModelError(f"{exp} has checkpoints but no {CONFIG}; it is not a run of this version. Give another --exp.")
    return last if last.exists() else None


def _require_same_data(tokens: Tokens, statistics: Statistics, features: Path, exp: Path) -> None:
    """Refuse to go on with a run whose tokens or statistics are not those of the features folder."""
    same = {
        TOKENS: Tokens.load(exp / TOKENS).symbols == tokens.symbols,
        STATISTICS: Statistics.load(exp / STATISTICS) == statistics,
    }
    if changed := [name for name, is_same in same.items() if not is_same]:
        raise ModelError(
            f"{exp} was trained on other data than {features}: {' and '.join(changed)} differ; it was not touched. "
            "Give another --exp, or the old features."
        )


def _describe_run(config: TrainConfig, tokens: Tokens, statistics: Statistics, folders: dict[str, Path], exp: Path) -> None:
    """Leave in `exp` what later stages need: configuration, tokens, statistics, where the features lie."""
    if _is_first_process():
        exp.mkdir(parents=True, exist_ok=True)
        write_json(exp / CONFIG, to_dict(config))
        write_json(exp / RUN, {name: str(folder.resolve()) for name, folder in folders.items()})
        tokens.save(exp / TOKENS)
        statistics.save(exp / STATISTICS)


def _is_first_process() -> bool:
    return int(os.environ.get("LOCAL_RANK", 0)) == 0


def _short(old: Any, new: Any) -> str:
    """Only the differing part of two nested values, as "old -> new"."""
    if isinstance(old, dict) and isinstance(new, dict):
        return "; ".join(f"{k}: {_short(old.get(k), new.get(k))}" for k in sorted(old | new) if old.get(k) != new.get(k))
    return f"{json.dumps(old)} -> {json.dumps(new)}"

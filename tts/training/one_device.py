"""What the trainings of the parts around the model share: their trainer, and how a run in a folder is gone on with."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from tts.config import to_dict, with_defaults
from tts.data.files import read_json, some, write_json
from tts.device import resolve_device, resolve_precision
from tts.errors import ModelError
from tts.training.checkpoints import AtomicCheckpointIO
from tts.training.progress import StepBar

CONFIG = "train.json"
LAST = "last.ckpt"
PIPED_REFRESH = 50  # steps between states of the progress bar where it is a file that keeps them all


class RunConfig(Protocol):
    """What a run's configuration tells the trainer."""

    @property
    def steps(self) -> int:
        """The last step."""

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints."""

    @property
    def log_every(self) -> int:
        """Steps between lines of the log."""

    @property
    def device(self) -> str:
        """As `resolve_device` takes it."""

    @property
    def precision(self) -> str:
        """auto, bf16 or fp32."""


def make_trainer(config: RunConfig, out: Path, callbacks: Sequence[L.Callback], clip: float | None = None) -> L.Trainer:
    """A trainer on one device with `out`/last.ckpt and `out`/tensorboard; `callbacks` run after the checkpoint's."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    device = resolve_device(config.device)
    bf16 = resolve_precision(config.precision, device) == torch.bfloat16
    checkpoints = ModelCheckpoint(
        out, filename=Path(LAST).stem, enable_version_counter=False, every_n_train_steps=config.checkpoint_every
    )
    return L.Trainer(
        default_root_dir=out,
        accelerator=device.type,
        devices=1 if device.index is None else [device.index],
        precision="bf16-mixed" if bf16 else "32-true",
        max_steps=config.steps,
        max_epochs=-1,
        gradient_clip_val=clip,
        use_distributed_sampler=False,
        callbacks=[checkpoints, *callbacks, StepBar(refresh_rate=1 if sys.stdout.isatty() else PIPED_REFRESH)],
        plugins=[AtomicCheckpointIO()],
        logger=TensorBoardLogger(out, name="tensorboard", version=""),
        log_every_n_steps=config.log_every,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def checkpoint_to_resume(config: Any, out: Path, keys: Sequence[str], resume: str) -> Path | None:
    """The last checkpoint of the run in `out`, or None; the configuration, a dataclass, is written to train.json.

    Raises:
        ModelError: if the run there differs in one of `keys`, or there is one at all and `resume` is "never".
    """
    path, last = out / CONFIG, out / LAST
    if path.exists():
        if resume == "never":
            raise ModelError(f"{out} holds a run already. Give another --out, or --resume auto to go on with it.")
        old, new = with_defaults(read_json(path), config), to_dict(config)
        changed = [change for key in keys for change in _changes(key, old.get(key), new[key])]
        if changed:
            raise ModelError(
                f"{out} holds a run with another configuration, left as it is ({some(changed)}). Give another folder; to a "
                f"recipe another --tag."
            )
    elif last.exists():
        raise ModelError(f"{out} has {LAST} but no {CONFIG}; it is not a run of this version. Give another --out.")
    write_json(path, to_dict(config))
    return last if last.exists() else None


def _changes(key: str, old: Any, new: Any) -> list[str]:
    """What differs under a key, each "key.inner: old -> new"."""
    if isinstance(old, dict) and isinstance(new, dict):
        inner = [*old, *(name for name in new if name not in old)]
        return [change for name in inner for change in _changes(f"{key}.{name}", old.get(name), new.get(name))]
    return [] if old == new else [f"{key}: {old} -> {new}"]

"""What the trainings on one device share: their trainer, and whether a run is gone on with or refused."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from tts.config import to_dict
from tts.data.files import read_json, some, write_json
from tts.device import resolve_precision
from tts.errors import ModelError
from tts.training.checkpoints import AtomicCheckpointIO

CONFIG = "train.json"
LAST = "last.ckpt"


def make_trainer(config: Any, out: Path, device: torch.device, export: L.Callback) -> L.Trainer:
    """The Lightning trainer of a run that leaves `last.ckpt` and tensorboard/ in `out`.

    Args:
        config: with `precision`, `steps`, `checkpoint_every` and `log_every`.
        out: the folder of the run.
        device: the one device.
        export: brings the model in `out` up to date.
    """
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
        callbacks=[checkpoints, export, TQDMProgressBar(refresh_rate=1)],
        plugins=[AtomicCheckpointIO()],
        logger=TensorBoardLogger(out, name="tensorboard", version=""),
        log_every_n_steps=config.log_every,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def checkpoint_to_resume(config: Any, keys: tuple[str, ...], out: Path, resume: str) -> Path | None:
    """The last checkpoint of the run in `out`, whose configuration must be this one in `keys`; the configuration is written.

    Raises:
        ModelError: if `out` holds another run, or one at all and resume is "never".
    """
    path, last = out / CONFIG, out / LAST
    if path.exists():
        if resume == "never":
            raise ModelError(f"{out} holds a run already. Give another --out, or --resume auto to go on with it.")
        old, new = read_json(path), to_dict(config)
        changed = [f"{key}: {old.get(key)} -> {new[key]}" for key in keys if old.get(key) != new[key]]
        if changed:
            raise ModelError(
                f"{out} holds a run with another configuration, left as it is ({some(changed)}). Give another --out."
            )
    elif last.exists():
        raise ModelError(f"{out} has {LAST} but no {CONFIG}; it is not a run of this version. Give another --out.")
    write_json(path, to_dict(config))
    return last if last.exists() else None

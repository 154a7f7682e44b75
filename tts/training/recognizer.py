"""One training run of the phone recogniser: data, folder, resume."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader

from tts.data.batching import LengthBucketSampler
from tts.data.files import atomic_path
from tts.data.manifest import ManifestRow, read_audio_config
from tts.data.phone_frames import PhoneBatch, PhoneDataset, collate_phones
from tts.data.recordings import PerturbedMels, Recordings
from tts.data.statistics import STATISTICS, TOKENS, Statistics
from tts.device import resolve_device
from tts.errors import ModelError
from tts.metrics.phones import PhoneScores, score_phones
from tts.speech.recognizer import LoadedRecognizer, PhoneRecognizer, save_recognizer
from tts.text.tokens import Tokens
from tts.training.checkpoints import read_checkpoint
from tts.training.fit import fit
from tts.training.one_device import LAST, checkpoint_to_resume, make_trainer
from tts.training.recognizer_task import RecognizerTask, RecognizerTrainConfig

logger = logging.getLogger(__name__)

PERTURBED = "perturbed"  # mels of perturbed recordings, kept from epoch to epoch; may be removed after the run
MODEL_KEYS = ("recognizer", "perturb", "versions", "max_frames", "max_batch", "label_smoothing", "ctc_weight", "seed")


def train_recognizer(config: RecognizerTrainConfig, features: Path, dev: Path, out: Path, *, resume: str = "auto") -> Path:
    """Train in `out` until `config.steps`, on one device; `out`, which is the recogniser's folder then.

    With resume "auto" a run that was stopped, even killed, goes on from its last checkpoint and ends with the weights of a
    run never stopped; with "never" an existing run is refused.

    Args:
        config: the run; number of tokens and mel are taken from `features`.
        features: aligned features folder of the training set.
        dev: another one, scored at every checkpoint; the scores stand in README.md.
        out: gets train.json, last.ckpt, tensorboard/, perturbed/ and the recogniser.
        resume: "auto" or "never".

    Raises:
        ModelError: if `out` holds another run or one on other data, or one at all and resume is "never".
        DataError: if a features folder is not complete or not aligned.
    """
    resolve_device(config.device)  # one that is not there is said before anything is written
    torch.set_num_threads(config.threads)
    tokens, statistics = Tokens.load(features / TOKENS), Statistics.load(features / STATISTICS)
    sizes = dataclasses.replace(config.recognizer, n_tokens=len(tokens), audio=read_audio_config(features))
    config = dataclasses.replace(config, recognizer=sizes)
    perturbed = None
    if config.versions > 1:
        perturbed = PerturbedMels(Recordings(features, config.perturb, config.seed), out / PERTURBED)
    data = PhoneDataset(features, tokens, statistics, perturbed=perturbed, versions=config.versions, seed=config.seed)
    dev_data = PhoneDataset(dev, tokens, statistics)
    checkpoint = checkpoint_to_resume(config, out, MODEL_KEYS, resume)
    _require_same_data(features, out)
    sampler = LengthBucketSampler(data.lengths, max_frames=config.max_frames, max_batch_size=config.max_batch, seed=config.seed)
    if checkpoint is not None:
        step = read_checkpoint(checkpoint)["global_step"]
        if step >= config.steps:
            logger.info("%s has %d steps already", out, step)
            return out
        sampler.set_epoch(step // len(sampler))
        sampler.skip(step % len(sampler))
    export = RecognizerExport(out, data, dev_data)
    trainer = make_trainer(config, out, [export], config.clip)
    loader = DataLoader(data, batch_sampler=sampler, collate_fn=collate_phones, num_workers=config.workers)
    fit(trainer, RecognizerTask(config), loader, checkpoint)
    if trainer.global_step % config.checkpoint_every:
        trainer.save_checkpoint(out / LAST)
    return out


def _require_same_data(features: Path, out: Path) -> None:
    """Refuse to go on with a run that was on other data; for a new one, leave its tokens and statistics in `out`."""
    for name in (TOKENS, STATISTICS):
        theirs = (features / name).read_bytes()
        if not (out / name).exists():
            with atomic_path(out / name) as temporary:
                temporary.write_bytes(theirs)
        elif (out / name).read_bytes() != theirs:
            raise ModelError(f"{out} was trained on other data than {features}: {name} differs. Give another --out.")


class RecognizerExport(L.Callback):
    """Scores the development set and brings the recogniser's folder up to date, at every checkpoint and at the end."""

    def __init__(self, out: Path, data: PhoneDataset, dev: PhoneDataset) -> None:
        self.out, self.data, self.dev = out, data, dev
        sampler = LengthBucketSampler(dev.lengths, max_frames=4000, max_batch_size=32, shuffle=False)
        self.batches: list[PhoneBatch] = [collate_phones([dev[draw] for draw in draws]) for draws in sampler]
        self.exported = -1

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: PhoneBatch, batch_index: int) -> None:
        """Write the folder when it is time."""
        if trainer.global_step % task.config.checkpoint_every == 0:
            self.export(trainer, task)

    def on_train_end(self, trainer: L.Trainer, task: Any) -> None:
        """Write the folder a last time."""
        self.export(trainer, task)

    def export(self, trainer: L.Trainer, task: RecognizerTask) -> None:
        """Score and write, once a step."""
        step = trainer.global_step
        if step == self.exported:
            return
        self.exported = step
        scores = score_phones(task.model, self.data.tokens, self.batches)
        board: Any = trainer.logger
        board.log_metrics({f"dev/{name}": getattr(scores, name) for name in ("frame_accuracy", "phone_error_rate")}, step)
        logger.info("step %d: %s", step, describe(scores))
        card = recognizer_card(task.model, step, self.data.rows, self.dev.rows, scores)
        recognizer = LoadedRecognizer(model=task.model, tokens=self.data.tokens, statistics=self.data.statistics, card=card)
        save_recognizer(self.out, recognizer)


def describe(scores: PhoneScores) -> str:
    """The scores in one phrase."""
    return (
        f"dev frame accuracy {scores.frame_accuracy:.1%}, phone error rate {scores.phone_error_rate:.1%} "
        f"(frames collapsed {scores.collapsed_error_rate:.1%})"
    )


def recognizer_card(
    model: PhoneRecognizer, step: int, rows: list[ManifestRow], dev: list[ManifestRow], scores: PhoneScores
) -> str:
    """Markdown that says what the recogniser is, what it was trained on and how well it hears."""
    config = model.config
    n_weights = sum(parameter.numel() for parameter in model.parameters())
    minutes = sum(row.seconds for row in rows) / 60
    return f"""# Phone recogniser

Gated dilated convolutions over a log-mel (fingerprint {config.audio.fingerprint()}), {n_weights / 1e6:.1f} M weights; a frame
depends on {config.reach} frames to either side. Content features: {config.n_tokens} posteriors in the order of tokens.txt, then
{config.bottleneck} values in [-1, 1].

Trained for {step} steps on {len(rows)} recordings, {minutes:.1f} minutes, {len({row.speaker for row in rows})} speaker(s).

| on {len(dev)} development sentences ({scores.phones} sounds, {scores.frames} frames) | |
|---|---|
| frame accuracy, pauses included | {scores.frame_accuracy:.1%} |
| phone error rate, CTC head | {scores.phone_error_rate:.1%} |
| phone error rate, frame head collapsed | {scores.collapsed_error_rate:.1%} |

The truth is the alignment of the text, found without hand labels; stress counts as part of a vowel.
"""

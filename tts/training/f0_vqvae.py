"""Training of the F0 VQ-VAE: its loss, the Lightning module around it, and the run."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tts.config import check_ranges
from tts.data.manifest import read_audio_config
from tts.data.pitch_segments import PitchSegments
from tts.data.statistics import STATISTICS, Statistics
from tts.errors import ConfigError, ModelError
from tts.speech.config import F0VqVaeConfig
from tts.speech.f0_vqvae import F0VqVae, save_f0_vqvae
from tts.training.checkpoints import read_checkpoint
from tts.training.f0_vqvae_score import DevSet, f0_vqvae_card, perplexity, score_f0_vqvae
from tts.training.fit import fit
from tts.training.losses import UNVOICED_WEIGHT
from tts.training.one_device import LAST, checkpoint_to_resume, make_trainer

logger = logging.getLogger(__name__)

MODEL_KEYS = ("model", "segment_frames", "batch_size", "seed")


@dataclass(kw_only=True)
class PitchTrainConfig:
    """One training run of an F0 VQ-VAE. Optimizer, batch, segment (1.02 s) and the weight of commitment are the paper's."""

    model: F0VqVaeConfig = field(default_factory=F0VqVaeConfig)
    steps: int = 10_000
    batch_size: int = 16
    segment_frames: int = 64
    lr: float = 2e-4
    beta1: float = 0.8
    beta2: float = 0.99
    weight_decay: float = 0.01
    commitment_weight: float = 0.02
    checkpoint_every: int = 500  # steps; the folder is scored and brought up to date as well
    log_every: int = 20
    device: str = "auto"
    precision: str = "fp32"  # the network is too small to gain by another
    threads: int = 2
    workers: int = 0  # processes that read data; 0 = this one
    max_bad_steps: int = 10  # consecutive non-finite steps before the run stops
    seed: int = 0

    def __post_init__(self) -> None:
        counts = "steps batch_size segment_frames checkpoint_every log_every threads max_bad_steps"
        check_ranges(self, "pitch training", counts, 1, 1e9)
        check_ranges(self, "pitch training", "workers seed", 0, 1e18)
        check_ranges(self, "pitch training", "lr weight_decay", 0, 1)
        check_ranges(self, "pitch training", "beta1 beta2", 0, 0.9999999)
        check_ranges(self, "pitch training", "commitment_weight", 0, 1e6)


class PitchTask(L.LightningModule):
    """Lightning around F0VqVae.

        L = mean of w (z - z_hat)^2 + 0.02 commitment ,   w = 1 on voiced frames, 0.1 on interpolated ones, 0 on padding

    The codebook has no gradient: after every step it follows the encoder by moving averages, and begins on outputs of the
    first batch. Every draw is a function of (seed, batch number), so a resumed run repeats a run never stopped. A step whose
    gradient is not finite changes neither weights nor codebook.

    Source: Polyak et al. 2021, "Speech Resynthesis from Discrete Disentangled Self-Supervised Representations".
    """

    def __init__(self, config: PitchTrainConfig) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.config = config
        torch.manual_seed(config.seed)  # noqa: TID251  initial weights know no generator
        self.vqvae = F0VqVae(config.model)
        self.batches, self.bad_steps = 0, 0

    def training_step(self, batch: list[Tensor], batch_index: int) -> None:
        """One step on pitch (B, T), voiced (B, T), mask (B, 1, T)."""
        pitch, voiced, mask = batch
        generator = torch.Generator().manual_seed(hash((self.config.seed, self.batches)) % 2**63)
        self.batches += 1
        codebook = self.vqvae.codebook
        if codebook.is_empty:
            latents = self.vqvae(pitch, mask).latents
            if latents.isfinite().all():
                codebook.start(latents, generator)
        found = self.vqvae(pitch, mask)
        weight = mask.squeeze(1) * (voiced + UNVOICED_WEIGHT * (1 - voiced))
        error = ((pitch - found.pitch).square() * weight).sum() / weight.sum()
        self.log("loss/pitch", error, prog_bar=True)
        self.log("loss/commitment", found.commitment)
        self.log("perplexity", perplexity(found.codes, self.config.model.n_codes), prog_bar=True)
        finite = self._step(error + self.config.commitment_weight * found.commitment)
        if finite:
            codebook.update(found.latents, found.codes, generator)
        self._count_bad_steps(finite)

    def _step(self, loss: Tensor) -> bool:
        """One optimizer step, left out when the gradient is not finite; whether it was taken."""
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        norm = nn.utils.get_total_norm([p.grad for p in self.vqvae.parameters() if p.grad is not None])
        if not torch.isfinite(norm):
            return False
        optimizer.step()
        return True

    def _count_bad_steps(self, finite: bool) -> None:
        self.bad_steps = 0 if finite else self.bad_steps + 1
        if self.bad_steps >= self.config.max_bad_steps:
            raise ModelError(
                f"pitch training: {self.bad_steps} steps in a row had no finite gradient, the last after step "
                f"{self.global_step}. Lower lr or look at the F0 of the recordings."
            )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        c = self.config
        return torch.optim.AdamW(self.vqvae.parameters(), lr=c.lr, betas=(c.beta1, c.beta2), weight_decay=c.weight_decay)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """How many batches were seen, skipped ones too, and how many of the last were bad, belong to the run."""
        checkpoint["batches"], checkpoint["bad_steps"] = self.batches, self.bad_steps

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See on_save_checkpoint."""
        self.batches, self.bad_steps = checkpoint["batches"], checkpoint["bad_steps"]


class PitchExport(L.Callback):
    """Scores the network on the dev set and brings the folder up to date, at every checkpoint and at the end."""

    def __init__(self, out: Path, data: PitchSegments, dev: DevSet) -> None:
        self.out, self.data, self.dev = out, data, dev
        self.step = -1

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_index: int) -> None:
        """Write the folder when it is time."""
        if trainer.global_step % task.config.checkpoint_every == 0:
            self.export(trainer, task)

    def on_train_end(self, trainer: L.Trainer, task: Any) -> None:
        """Write the folder a last time."""
        self.export(trainer, task)

    def export(self, trainer: L.Trainer, task: PitchTask) -> None:
        """Write config.json, model.safetensors and README.md, once a step."""
        if trainer.global_step == self.step:
            return
        self.step = trainer.global_step
        score = score_f0_vqvae(task.vqvae, self.dev, task.device)
        for name, value in (("rmse_cents", score.rmse_cents), ("perplexity", score.perplexity)):
            trainer.logger.experiment.add_scalar(f"dev/{name}", value, self.step)  # type: ignore[union-attr]
        save_f0_vqvae(self.out, task.vqvae, f0_vqvae_card(task.config.model, self.step, self.data.rows, score))


def train_f0_vqvae(config: PitchTrainConfig, features: Path, dev: Path, out: Path, *, resume: str = "auto") -> Path:
    """Train in `out` until `config.steps`, on one device; `out`, which is the folder of the F0 VQ-VAE then.

    With resume "auto" a run that was stopped, even killed, goes on from its last checkpoint and ends with the weights of a run
    never stopped; with "never" an existing run is refused.

    Args:
        config: the run; its frame rate must be that of `features`.
        features: features folder of the training set, with its statistics.
        dev: features folder of the utterances that are scored; their speakers must be in the training set.
        out: gets train.json, last.ckpt, tensorboard/ and the F0 VQ-VAE.
        resume: "auto" or "never".

    Raises:
        ConfigError: if the frame rates differ.
        ModelError: if `out` holds another run, or one at all and resume is "never".
        DataError: if a features folder lists no utterance or is not complete, or nothing in `dev` is voiced.
        SpeakerError: if a speaker has no statistics.
    """
    torch.set_num_threads(config.threads)
    for folder in (features, dev):
        rate = read_audio_config(folder).frame_rate
        if rate != config.model.frame_rate:
            raise ConfigError(f"{folder}: {rate:g} frames per second, the F0 VQ-VAE takes {config.model.frame_rate:g}.")
    statistics = Statistics.load(features / STATISTICS)
    data = PitchSegments(features, statistics, config.segment_frames, config.batch_size, seed=config.seed)
    dev_set = DevSet.read(dev, statistics)
    checkpoint = checkpoint_to_resume(config, out, MODEL_KEYS, resume)
    if checkpoint is not None:
        state = read_checkpoint(checkpoint)
        if state["global_step"] >= config.steps:
            logger.info("%s has %d steps already", out, state["global_step"])
            return out
        data.first_batch = state["batches"]
    trainer = make_trainer(config, out, [PitchExport(out, data, dev_set)])
    loader = DataLoader(data, batch_size=None, num_workers=config.workers)
    fit(trainer, PitchTask(config), loader, checkpoint)
    if trainer.global_step % config.checkpoint_every:
        trainer.save_checkpoint(out / LAST)
    return out

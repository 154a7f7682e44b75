"""Training of a HiFi-GAN vocoder: its losses, the Lightning module around them, and the run."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from speechbrain.lobes.models.HifiGAN import DiscriminatorLoss, HifiganDiscriminator, MelganFeatureLoss, MSEDLoss, MSEGLoss
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tts.audio.mel import MelExtractor
from tts.data.segments import WaveSegments
from tts.device import resolve_device
from tts.errors import ConfigError, ModelError
from tts.speech.hifigan import VocoderConfig, make_generator, save_vocoder
from tts.training.checkpoints import read_checkpoint
from tts.training.fit import fit
from tts.training.one_device import LAST, checkpoint_to_resume, make_trainer
from tts.training.vocoder_card import vocoder_card

logger = logging.getLogger(__name__)

MODEL_KEYS = ("vocoder", "segment_samples", "batch_size", "seed")
_MIN_SEGMENT = 2048  # samples; with fewer the discriminator of period 11 has nothing left to reflect
_DECAY_STEPS = 1000


@dataclass(kw_only=True)
class VocoderTrainConfig:
    """One training run of a vocoder. Rates and the weight of the mel loss are the paper's, the feature weight SpeechBrain's."""

    vocoder: VocoderConfig = field(default_factory=VocoderConfig)
    steps: int = 100_000
    batch_size: int = 16
    segment_samples: int = 8192
    lr: float = 2e-4
    beta1: float = 0.8
    beta2: float = 0.99
    weight_decay: float = 0.01
    lr_decay: float = 0.999  # factor on lr every 1000 steps
    mel_weight: float = 45.0
    feature_weight: float = 10.0
    checkpoint_every: int = 1000  # steps; the vocoder folder is brought up to date as well
    log_every: int = 20
    device: str = "auto"
    precision: str = "auto"  # auto, bf16 or fp32
    threads: int = 2
    workers: int = 0  # processes that read data; 0 = this one
    max_bad_steps: int = 10  # consecutive non-finite steps before the run stops
    seed: int = 0

    def __post_init__(self) -> None:
        hop = self.vocoder.audio.hop_length
        if self.segment_samples % hop or self.segment_samples < max(_MIN_SEGMENT, hop * self.vocoder.min_frames):
            raise ConfigError(
                f"vocoder training: segment_samples {self.segment_samples} must be a multiple of hop_length {hop} and at least "
                f"{max(_MIN_SEGMENT, hop * self.vocoder.min_frames)}."
            )
        for name in ("steps", "batch_size", "checkpoint_every", "log_every", "threads", "max_bad_steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"vocoder training: {name} is {getattr(self, name)}, expected 1 or more.")
        if self.lr <= 0 or self.workers < 0:
            raise ConfigError(f"vocoder training: need lr > 0 and workers >= 0, found {self.lr} and {self.workers}.")


class VocoderTask(L.LightningModule):
    """Lightning around generator G and discriminators D_k, least-squares GAN with two optimizers.

        L_D = sum_k mean (D_k(x) - 1)^2 + mean D_k(G(m))^2
        L_G = sum_k mean (D_k(G(m)) - 1)^2 + feature_weight L_features + mel_weight |mel(G(m)) - m|_1 ,   m = mel(x)

    L_features is the mean L1 between the discriminators' activations on x and on G(m). There is no random draw in a step.

    Source: Kong et al. 2020, "HiFi-GAN", eq. 1-6; discriminators and losses are SpeechBrain's.
    """

    def __init__(self, config: VocoderTrainConfig, discriminator: nn.Module | None = None) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.config = config
        self.mel = MelExtractor(config.vocoder.audio)
        self.generator = make_generator(config.vocoder)
        self.discriminator = HifiganDiscriminator() if discriminator is None else discriminator
        self.discriminator_loss = DiscriminatorLoss(MSEDLoss())
        self.adversarial_loss, self.feature_loss = MSEGLoss(), MelganFeatureLoss()
        self.bad_steps = 0

    def training_step(self, wav: Tensor, batch_index: int) -> None:
        """One step of the discriminator and one of the generator on segments wav (B, N), N a multiple of the hop."""
        real = wav[:, None]  # (B, 1, N)
        mel = self.mel(wav)
        fake = self.generator(mel[..., :-1])  # (B, 1, N): frame i starts the block of sample i * hop
        optimizers: Any = self.optimizers()
        optimizer_g, optimizer_d = optimizers
        finite = self._step(optimizer_d, self.discriminator, self.loss_of_discriminator(real, fake.detach()))
        self.discriminator.requires_grad_(False)
        loss = self.loss_of_generator(real, fake, mel)
        finite = self._step(optimizer_g, self.generator, loss) and finite
        self.discriminator.requires_grad_(True)
        self._count_bad_steps(finite)

    def loss_of_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """L_D of real and generated segments (B, 1, N)."""
        loss = self.discriminator_loss(self.discriminator(fake)[0], self.discriminator(real)[0])["D_loss"]
        self.log("loss/discriminator", loss)
        return loss

    def loss_of_generator(self, real: Tensor, fake: Tensor, mel: Tensor) -> Tensor:
        """L_G of generated segments (B, 1, N) beside the real ones and their mel (B, n_mels, N / hop + 1)."""
        scores, features = self.discriminator(fake)
        with torch.no_grad():
            real_features = self.discriminator(real)[1]
        adversarial = torch.stack([self.adversarial_loss(score) for score in scores]).sum()
        matching = self.feature_loss(features, real_features)
        mel_l1 = F.l1_loss(self.mel(fake.squeeze(1)), mel)
        self.log("loss/mel", mel_l1, prog_bar=True)
        self.log("loss/features", matching)
        self.log("loss/adversarial", adversarial)
        return adversarial + self.config.feature_weight * matching + self.config.mel_weight * mel_l1

    def _step(self, optimizer: Any, network: nn.Module, loss: Tensor) -> bool:
        """One optimizer step, left out when a gradient is not finite; whether it was taken."""
        rate = self.config.lr * self.config.lr_decay ** (self.global_step // _DECAY_STEPS)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        self.manual_backward(loss)
        norm = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
        if not torch.isfinite(norm):
            return False
        # Lightning counts every step of a wrapped optimizer; only the generator's are to be global steps.
        (optimizer if network is self.generator else optimizer.optimizer).step()
        return True

    def _count_bad_steps(self, finite: bool) -> None:
        self.bad_steps = 0 if finite else self.bad_steps + 1
        if self.bad_steps >= self.config.max_bad_steps:
            raise ModelError(
                f"vocoder training: {self.bad_steps} steps in a row had no finite gradient, the last after step "
                f"{self.global_step}. Lower lr or look at the recordings."
            )

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW for the generator and for the discriminators."""
        c = self.config
        return [
            torch.optim.AdamW(network.parameters(), lr=c.lr, betas=(c.beta1, c.beta2), weight_decay=c.weight_decay)
            for network in (self.generator, self.discriminator)
        ]


class VocoderExport(L.Callback):
    """Brings the vocoder folder up to date at every checkpoint and at the end."""

    def __init__(self, out: Path, data: WaveSegments) -> None:
        self.out, self.data = out, data

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Tensor, batch_index: int) -> None:
        """Write the folder when it is time."""
        if trainer.global_step % task.config.checkpoint_every == 0:
            self.export(trainer.global_step, task)

    def on_train_end(self, trainer: L.Trainer, task: Any) -> None:
        """Write the folder a last time."""
        self.export(trainer.global_step, task)

    def export(self, step: int, task: VocoderTask) -> None:
        """Write config.json, model.safetensors and README.md."""
        save_vocoder(self.out, task.config.vocoder, task.generator, vocoder_card(task.config.vocoder, step, self.data.rows))


def train_vocoder(
    config: VocoderTrainConfig, features: Path, out: Path, *, resume: str = "auto", discriminator: nn.Module | None = None
) -> Path:
    """Train in `out` until `config.steps`, on one device; `out`, which is the vocoder's folder then.

    With resume "auto" a run that was stopped goes on from its last checkpoint and ends with the weights of a run never
    stopped; with "never" an existing run is refused.

    Args:
        config: the run; its mel must be that of `features`.
        features: features folder; the audio that its manifest names is trained on.
        out: gets train.json, last.ckpt, tensorboard/ and the vocoder.
        resume: "auto" or "never".
        discriminator: in place of SpeechBrain's; wav (B, 1, N) -> (scores, lists of activations).

    Raises:
        ModelError: if `out` holds another run, or one at all and resume is "never"; if the mels differ.
        DataError: if the features folder lists no utterance.
    """
    resolve_device(config.device)  # one that is not there is said before anything is written
    torch.set_num_threads(config.threads)
    data = WaveSegments(features, config.segment_samples, config.batch_size, seed=config.seed)
    differences = config.vocoder.audio.differences(data.audio)
    if differences:
        raise ModelError(f"{features}: another mel than the vocoder's (vocoder != features): {'; '.join(differences)}.")
    checkpoint = checkpoint_to_resume(config, out, MODEL_KEYS, resume)
    if checkpoint is not None:
        data.first_batch = read_checkpoint(checkpoint)["global_step"]
        if data.first_batch >= config.steps:
            logger.info("%s has %d steps already", out, data.first_batch)
            return out
    trainer = make_trainer(config, out, [VocoderExport(out, data)])
    loader = DataLoader(data, batch_size=None, num_workers=config.workers)
    fit(trainer, VocoderTask(config, discriminator), loader, checkpoint)
    if trainer.global_step % config.checkpoint_every:
        trainer.save_checkpoint(out / LAST)
    return out

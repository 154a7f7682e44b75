"""Training of the phone recogniser: its configuration, its losses, and the Lightning module around them."""

import math
from dataclasses import dataclass, field
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.audio.perturb import PerturbConfig
from tts.config import check_ranges
from tts.data.phone_frames import IGNORED, PhoneBatch
from tts.errors import ConfigError, ModelError
from tts.nets.blocks import lengths_to_mask
from tts.speech.recognizer import PhoneRecognizer, Recognition, RecognizerConfig
from tts.text.tokens import PAD_ID

_FINAL_LR = 0.02  # of lr, at the last step


@dataclass(kw_only=True)
class RecognizerTrainConfig:
    """One training run of a recogniser; the defaults suit an hour of speech and minutes on one CPU thread."""

    recognizer: RecognizerConfig = field(default_factory=RecognizerConfig)
    perturb: PerturbConfig = field(default_factory=PerturbConfig)
    versions: int = 4  # of every recording, drawn alike: one clean, the others perturbed; 1 = clean only
    steps: int = 1500
    max_frames: int = 800  # mel frames of a batch, padding included
    max_batch: int = 32  # utterances of a batch
    lr: float = 2e-3  # highest; warm-up, then cosine
    warmup: int = 50  # steps
    weight_decay: float = 0.01
    clip: float = 1.0  # global norm of the gradient
    label_smoothing: float = 0.05
    ctc_weight: float = 0.3
    band_mask: int = 12  # widest of two masks over mel bands
    frame_mask: int = 12  # widest of the masks over time, one for every hundred frames
    checkpoint_every: int = 200  # steps; the recogniser's folder is brought up to date as well
    log_every: int = 10
    device: str = "auto"
    precision: str = "auto"  # auto, bf16 or fp32
    threads: int = 1
    workers: int = 0  # processes that read data; 0 = this one
    max_bad_steps: int = 10  # consecutive non-finite steps before the run stops
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (
            "steps",
            "max_frames",
            "max_batch",
            "checkpoint_every",
            "log_every",
            "threads",
            "max_bad_steps",
            "versions",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"recogniser training: {name} is {getattr(self, name)}, expected 1 or more.")
        check_ranges(self, "recogniser training", "label_smoothing", 0.0, 0.9)
        check_ranges(self, "recogniser training", "ctc_weight weight_decay warmup workers", 0.0, math.inf)
        check_ranges(self, "recogniser training", "lr clip", 1e-12, math.inf)
        check_ranges(self, "recogniser training", "band_mask", 0, self.recognizer.audio.n_mels)
        check_ranges(self, "recogniser training", "frame_mask", 0, math.inf)


def recognition_losses(found: Recognition, batch: PhoneBatch, label_smoothing: float) -> dict[str, Tensor]:
    """Losses of a batch, both in nats.

    frame = cross-entropy of the frame head with the smoothed phones of the alignment, a frame;
    ctc = -ln p(phones | mel) of the CTC head, a phone; the phones are those with a frame at least.

    Source of the latter: Graves et al. 2006, "Connectionist temporal classification".
    """
    frame = F.cross_entropy(found.logits.float(), batch.labels, ignore_index=IGNORED, label_smoothing=label_smoothing)
    ctc = F.ctc_loss(
        found.ctc_logits.float().log_softmax(1).permute(2, 0, 1),  # (T, B, n_tokens)
        batch.phones,
        batch.mel_lengths,
        batch.phone_lengths,
        blank=PAD_ID,
        reduction="sum",
        zero_infinity=True,  # more phones than frames to tell equal neighbours apart
    )
    return {"frame": frame, "ctc": ctc / batch.phone_lengths.sum().clamp(min=1)}


def mask_mel(mel: Tensor, lengths: Tensor, bands: int, frames: int, generator: torch.Generator) -> Tensor:
    """The normalised mel (B, n_mels, T) with stripes set to 0, its mean: two over bands, one over time for every 100 frames.

    Widths are uniform from 0 to `bands` and `frames`, places uniform, all differing by utterance.

    Source: Park et al. 2019, "SpecAugment".
    """
    batch, n_mels, n_frames = mel.shape

    def stripes(count: int, widest: int, sizes: Tensor, length: int) -> Tensor:
        width = (torch.rand(batch, count, generator=generator) * (widest + 1)).floor()
        start = torch.rand(batch, count, generator=generator) * (sizes[:, None] - width).clamp(min=0)
        place = torch.arange(length)[:, None]
        return ((place >= start.floor()[:, None]) & (place < (start.floor() + width)[:, None])).any(-1)  # (B, length)

    masked = stripes(2, bands, torch.full((batch,), n_mels), n_mels)[:, :, None]
    masked = masked | stripes(math.ceil(n_frames / 100), frames, lengths.cpu(), n_frames)[:, None]
    return mel.masked_fill(masked.to(mel.device), 0.0)


def learning_rate(step: int, config: RecognizerTrainConfig) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine to 2 % at the last step."""
    progress = min(step / config.steps, 1.0)
    decay = _FINAL_LR + (1 - _FINAL_LR) * 0.5 * (1 + math.cos(math.pi * progress))
    return min((step + 1) / max(config.warmup, 1), 1.0) * decay


class RecognizerTask(L.LightningModule):
    """Lightning around PhoneRecognizer: loss = frame + ctc_weight · ctc.

    Every random draw of step n is a function of (seed, n), dropout's too, so a resumed run repeats a run never stopped. A step
    whose gradient is not finite is skipped and counted; `max_bad_steps` of them in a row end the run.
    """

    def __init__(self, config: RecognizerTrainConfig) -> None:
        super().__init__()
        self.config = config
        torch.manual_seed(config.seed)  # noqa: TID251  initial weights know no generator
        self.model = PhoneRecognizer(config.recognizer)
        self.bad_steps = 0

    def training_step(self, batch: PhoneBatch, batch_index: int) -> Tensor:
        """The loss of one batch."""
        c = self.config
        seed = hash((c.seed, self.global_step)) & 0x7FFFFFFF
        torch.manual_seed(seed)  # noqa: TID251  dropout knows no generator
        self._ids = batch.ids
        mel = mask_mel(batch.mel, batch.mel_lengths, c.band_mask, c.frame_mask, torch.Generator().manual_seed(seed))
        found = self.model(mel, lengths_to_mask(batch.mel_lengths, mel.shape[-1]))
        losses = recognition_losses(found, batch, c.label_smoothing)
        for name, value in losses.items():
            self.log(f"loss/{name}", value, prog_bar=True, batch_size=len(batch.ids))
        return losses["frame"] + c.ctc_weight * losses["ctc"]

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        """Clip to the global norm; drop the step when the norm is not finite."""
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        if torch.isfinite(norm):
            self.bad_steps = 0
            return
        self.bad_steps += 1
        optimizer.zero_grad(set_to_none=True)
        ids = ", ".join(self._ids[:5])
        self.print(f"step {self.global_step}: gradient not finite, skipped ({self.bad_steps} in a row): {ids}")
        if self.bad_steps >= self.config.max_bad_steps:
            raise ModelError(
                f"recogniser training: {self.bad_steps} steps in a row had no finite gradient, the last at step "
                f"{self.global_step} on {ids}. Lower lr or look at these utterances."
            )

    def configure_optimizers(self) -> Any:
        """AdamW and its learning rate."""
        c = self.config
        optimizer = torch.optim.AdamW(self.model.parameters(), c.lr, betas=(0.9, 0.98), weight_decay=c.weight_decay)
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: learning_rate(n, c))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The count of bad steps belongs to the run."""
        checkpoint["bad_steps"] = self.bad_steps

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See on_save_checkpoint."""
        self.bad_steps = checkpoint["bad_steps"]

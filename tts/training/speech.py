"""Training of the source-filter model: its losses, and the Lightning module around them."""

import copy
import math
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.data.dataset import Batch
from tts.diffusion import TimeSampler, denoising_loss
from tts.errors import ModelError
from tts.nets.blocks import lengths_to_mask
from tts.speech.config import ParametrizationKind
from tts.speech.model import Priors, SourceFilterModel
from tts.training.config import TrainConfig

UNVOICED_WEIGHT = 0.1


def masked_l1(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    """Mean |x - y| over valid frames and bins: scalar."""
    return ((x - y).abs() * mask).sum() / (mask.sum() * x.shape[1]).clamp(min=1)


def style_of(model: SourceFilterModel, batch: Batch, probability: float, generator: torch.Generator) -> Tensor:
    """g (B, S), per utterance from its own mel, or with `probability` from its reference's."""
    draw = torch.rand(len(batch.ids), generator=generator).to(batch.mel.device) < probability
    frames = max(batch.mel.shape[-1], batch.reference.shape[-1])
    own, other = (F.pad(mel, (0, frames - mel.shape[-1])) for mel in (batch.mel, batch.reference))
    lengths = torch.where(draw, batch.reference_lengths, batch.mel_lengths)
    frames = int(lengths.max())
    mel = torch.where(draw[:, None, None], other, own)[..., :frames]
    return model.style(mel, lengths_to_mask(lengths, frames))


def prior_losses(model: SourceFilterModel, batch: Batch, style: Tensor) -> tuple[dict[str, Tensor], Priors]:
    """Losses of everything but the denoisers, each a masked mean, and the priors under true durations and pitch.

    prior = |x0 - (mu_src + mu_ftr)|;  gauge = mean over bins of (mean over time of mu_src)^2;
    duration = MSE of log(1 + d);  pitch = MSE of the z-scored log-F0, where frames without a pitch, whose target is only
    interpolated, weigh UNVOICED_WEIGHT;  voicing = cross-entropy.
    """
    mask = lengths_to_mask(batch.mel_lengths, batch.mel.shape[-1])
    token_mask = lengths_to_mask(batch.token_lengths, batch.tokens.shape[-1])
    phones = model.text(batch.tokens, token_mask)
    content = model.content(phones, batch.durations, mask)
    voiced = (batch.f0 > 0).float()
    priors = model.priors(content, batch.pitch, batch.f0, mask, source_style=style, filter_style=style)
    log_durations = model.duration(phones, style, token_mask)
    pitch, voicing = model.pitch(content, style, mask)
    frames, tokens = mask.sum(), token_mask.sum()
    valid, valid_tokens = mask.squeeze(1), token_mask.squeeze(1)
    weight = valid * (voiced + UNVOICED_WEIGHT * (1 - voiced))
    source_mean = (priors.mels["source"] * mask).sum(-1) / mask.sum(-1).clamp(min=1)
    losses = {
        "prior": masked_l1(batch.mel, priors.mean, mask),
        "gauge": source_mean.square().mean(),
        "duration": ((log_durations - torch.log1p(batch.durations.float())).square() * valid_tokens).sum() / tokens,
        "pitch": ((pitch - batch.pitch).square() * weight).sum() / weight.sum().clamp(min=1),
        "voicing": (F.binary_cross_entropy_with_logits(voicing, voiced, reduction="none") * valid).sum() / frames,
    }
    return losses, priors


class SpeechTask(L.LightningModule):
    """Lightning around SourceFilterModel.

    Every random draw of step n is a function of (seed, n, rank), dropout's too, so a resumed run repeats a run never
    stopped. The moving average of the weights is part of the state. A step whose gradient is not finite is skipped and
    counted; `max_bad_steps` of them in a row end the run.
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        torch.manual_seed(config.seed)  # noqa: TID251  initial weights know no generator
        self.model = SourceFilterModel(config.model)
        self.ema = copy.deepcopy(self.model).requires_grad_(False)
        # 1 - loss is what is learned beyond the base of `preconditioned`; the others have no base to compare with
        has_base = config.model.denoiser.parametrization == ParametrizationKind.preconditioned
        self.times = TimeSampler(self.model.schedule, "gap" if has_base else "uniform")
        self.bad_steps = 0
        self._bad = False

    @property
    def in_prior_phase(self) -> bool:
        """Whether this step trains the priors alone."""
        return self.global_step < self.config.prior_steps

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """The weighted sum of the losses of this step's phase."""
        seed = hash((self.config.seed, self.global_step, self.global_rank)) & 0x7FFFFFFF
        torch.manual_seed(seed)  # noqa: TID251  dropout knows no generator
        generator = torch.Generator().manual_seed(seed)
        self._ids = batch.ids
        weights = self.config.weights
        frozen = not self.in_prior_phase and self.config.freeze_priors
        with torch.no_grad() if frozen else torch.enable_grad():
            style = style_of(self.model, batch, self.config.reference_probability, generator)
            losses, priors = prior_losses(self.model, batch, style)
            if not frozen:
                self._track_residual(batch, priors)
        if not self.in_prior_phase:
            losses["diffusion"] = self._diffusion_loss(batch, priors, style, generator)
        for name, value in losses.items():
            self.log(f"loss/{name}", value, prog_bar=name in ("prior", "diffusion"))
        trained = {"diffusion": losses["diffusion"]} if frozen else losses
        return torch.stack([getattr(weights, name) * value for name, value in trained.items()]).sum()

    def _diffusion_loss(self, batch: Batch, priors: Priors, style: Tensor, generator: torch.Generator) -> Tensor:
        x0, mask = batch.mel, lengths_to_mask(batch.mel_lengths, batch.mel.shape[-1])
        if self.config.segment_frames:
            x0, mask, priors = crop(x0, mask, priors, batch.mel_lengths, self.config.segment_frames, generator)
        t, _ = self.times.draw(len(x0), generator)
        noise = torch.randn(x0.shape, generator=generator).to(x0) * mask
        composite = self.model.composite(priors, style, mask)
        per_item = denoising_loss(composite, x0 * mask, t.to(x0), noise, mask=mask)
        self._learn_times(t, (1 - per_item.detach().float()).clamp(min=0))
        return per_item.mean()

    def _learn_times(self, t: Tensor, gaps: Tensor) -> None:
        """The time sampler learns from the batches of all ranks: its state is the same on each, and whole in a checkpoint."""
        mine = torch.full((2, self.config.max_batch), math.nan, device=self.device)
        mine[:, : len(t)] = torch.stack((t.to(mine), gaps))
        t, gaps = self.all_gather(mine).view(-1, *mine.shape).transpose(0, 1).flatten(1)
        found = gaps.isfinite()  # neither padding nor a step to be skipped
        self.times.update(t[found], gaps[found])

    @torch.no_grad()
    def _track_residual(self, batch: Batch, priors: Priors) -> None:
        mask = lengths_to_mask(batch.mel_lengths, batch.mel.shape[-1])
        square = ((batch.mel - priors.mean).float() * mask).square().sum((0, 2)) / mask.sum()
        square = self.trainer.strategy.reduce(square, reduce_op="mean")
        rate = max(0.01, 1.0 / (self.global_step + 1))
        old = self.model.residual_std
        new = old.square().lerp(square[:, None], rate).sqrt()
        old.copy_(torch.where(new.isfinite().all(), new, old))  # a batch that is not finite leaves no trace

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        """Clip to the global norm; drop the step when the norm is not finite, on every rank alike."""
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimizer.clip)
        self._bad = not bool(torch.isfinite(norm))
        if not self._bad:
            self.bad_steps = 0
            self.log("grad_norm", norm)
            return
        self.bad_steps += 1
        optimizer.zero_grad(set_to_none=True)
        self.print(
            f"step {self.global_step}: gradient not finite, skipped ({self.bad_steps} in a row): {', '.join(self._ids[:5])}"
        )
        if self.bad_steps >= self.config.max_bad_steps:
            raise ModelError(
                f"{self.bad_steps} steps in a row had no finite gradient, the last at step {self.global_step} on "
                f"{', '.join(self._ids[:5])}. Lower optimizer.lr or look at these utterances."
            )

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """One step, then the moving average of the weights, with its decay warming up; buffers are copied.

        Done here, because checkpoints are written before the end-of-batch hook of a module.
        """
        super().optimizer_step(*args, **kwargs)
        if self._bad:
            return
        n = self.global_step
        rate = 1 - min(self.config.optimizer.ema_decay, (1 + n) / (10 + n))
        ours, theirs = list(self.ema.parameters()), [p.detach() for p in self.model.parameters()]
        torch._foreach_lerp_(ours, theirs, rate)
        for mine, other in zip(self.ema.buffers(), self.model.buffers(), strict=True):
            mine.copy_(other)

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW on the model, and the learning rate of each phase."""
        o = self.config.optimizer
        optimizer = torch.optim.AdamW(self.model.parameters(), o.lr, betas=(o.beta1, o.beta2), weight_decay=o.weight_decay)
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: learning_rate(n, self.config))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The time sampler's statistics and the bad-step count belong to the run."""
        checkpoint["times"], checkpoint["bad_steps"] = self.times.state_dict(), self.bad_steps

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See on_save_checkpoint."""
        self.times.load_state_dict(checkpoint["times"])
        self.bad_steps = checkpoint["bad_steps"]


def learning_rate(step: int, config: TrainConfig) -> float:
    """Factor of the learning rate: linear warm-up, then cosine to `final_lr`, anew for each phase."""
    o = config.optimizer
    phases = [(0, config.prior_steps), (config.prior_steps, config.steps)]
    start, end = phases[0] if step < config.prior_steps or config.prior_steps == config.steps else phases[1]
    progress = min((step - start) / max(end - start, 1), 1.0)
    decay = o.final_lr + (1 - o.final_lr) * 0.5 * (1 + math.cos(math.pi * progress))
    return min((step - start + 1) / max(o.warmup, 1), 1.0) * decay


def crop(
    x0: Tensor, mask: Tensor, priors: Priors, lengths: Tensor, frames: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Priors]:
    """A random window of `frames` frames an utterance; shorter utterances keep their padding mask."""
    frames = min(frames, x0.shape[-1])
    room = (lengths.cpu() - frames).clamp(min=0)
    start = (torch.rand(len(x0), generator=generator) * (room + 1)).long().to(x0.device)
    index = (start[:, None] + torch.arange(frames, device=x0.device))[:, None, :]

    def cut(x: Tensor) -> Tensor:
        return x.gather(2, index.expand(-1, x.shape[1], -1))

    cropped = Priors({k: cut(v) for k, v in priors.mels.items()}, {k: cut(v) for k, v in priors.embeddings.items()})
    return cut(x0), cut(mask), cropped

"""Training of the source-filter model: the Lightning module around its losses."""

import copy
import math
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from tts.data.dataset import Batch
from tts.diffusion import TimeSampler, denoising_loss
from tts.diffusion.parametrization import ParametrizationKind
from tts.errors import ModelError
from tts.nets.blocks import lengths_to_mask
from tts.speech.model import Priors, SourceFilterModel
from tts.training.config import TrainConfig
from tts.training.losses import crop, mix_priors, prior_losses, style_of


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
        config, model = self.config, self.model
        frozen = not self.in_prior_phase and config.freeze_priors
        with torch.no_grad() if frozen else torch.enable_grad():
            style = style_of(model, batch, config.reference_probability, generator)
            heard = torch.rand(len(batch.ids), generator=generator).to(style.device) < config.audio_probability
            losses, priors, inputs = prior_losses(model, batch, style, heard)
            self._track_residual(batch, priors)
            if not self.in_prior_phase:
                priors = mix_priors(model, priors, inputs, style, config.prior_mixup, generator, apart=config.mixup_apart)
        if not self.in_prior_phase:
            losses["diffusion"] = self._diffusion_loss(batch, priors, generator)
        for name, value in losses.items():
            self.log(f"loss/{name}", value, prog_bar=name in ("prior", "diffusion"))
        trained = {"diffusion": losses["diffusion"]} if frozen else losses
        return torch.stack([getattr(config.weights, name) * value for name, value in trained.items()]).sum()

    def _diffusion_loss(self, batch: Batch, priors: Priors, generator: torch.Generator) -> Tensor:
        x0, mask = batch.mel, lengths_to_mask(batch.mel_lengths, batch.mel.shape[-1])
        if self.config.segment_frames:
            x0, mask, priors = crop(x0, mask, priors, batch.mel_lengths, self.config.segment_frames, generator)
        t, _ = self.times.draw(len(x0), generator)
        noise = torch.randn(x0.shape, generator=generator).to(x0) * mask
        composite = self.model.composite(priors, mask)
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
        """Learn s, the spread around the priors of the true voice: it is what sampling starts from, mixed up or not."""
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

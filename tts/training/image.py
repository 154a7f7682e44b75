"""Training of image models: the Lightning module around any RepresentationModel."""

import copy
import dataclasses
import math
import time
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from tts.errors import ModelError
from tts.image.base import BaseModel
from tts.image.model import DiffusionModelBase, RepresentationModel
from tts.training.image_config import ImageOptimizer, ImageTrainConfig
from tts.training.isometry import first_weight


class ImageTask(L.LightningModule):
    """Lightning around a RepresentationModel.

    Every batch trains each phase of the model in turn, with an optimizer of its own; gradients of a phase reach its parameters
    alone. Every random draw of batch n is a function of (seed, n), dropout's too, so a resumed run repeats a run never
    stopped. The moving average of the weights is part of the state; frozen parts are shared with it. A batch whose gradient is
    not finite is left out and counted; `max_bad_steps` of them in a row end the run.
    """

    def __init__(self, config: ImageTrainConfig, model: RepresentationModel) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.config, self.model = config, model
        frozen = {id(p): p for p in model.parameters() if not p.requires_grad}
        self.ema: RepresentationModel = copy.deepcopy(model, frozen).requires_grad_(False)
        self.batches, self.bad_steps, self.cpu_seconds = 0, 0, 0.0

    def training_step(self, batch: tuple[Tensor, Tensor | None], batch_index: int) -> None:
        """One step of every phase on images (B, C, H, W) in [-1, 1] and labels (B, K) or None."""
        began = time.process_time()
        if isinstance(self.model, BaseModel) and self.model.config.isometry.balance:
            self._weigh_isometry(first_weight(self.model, batch[0], self.config.seed))
        finite = self._train_on(*batch)
        self.batches += 1
        self.cpu_seconds += time.process_time() - began
        self._count_bad_steps(finite)

    def _weigh_isometry(self, weight: float) -> None:
        """Fix the weight of the isometry term, here and in the model folder, in the place of the balance that found it."""
        self.print(f"isometry term: weight {weight:.4g}")
        for model in (m for m in (self.model, self.ema) if isinstance(m, BaseModel)):
            isometry = dataclasses.replace(model.config.isometry, weight=weight, balance=0.0)
            model.config = dataclasses.replace(model.config, isometry=isometry)

    def _train_on(self, x: Tensor, labels: Tensor | None) -> bool:
        """The phases' steps, then the moving average; whether all gradients were finite."""
        self.model.progress.fill_(min(self.batches / self.config.steps, 1.0))
        seed = hash((self.config.seed, self.batches)) & 0x7FFFFFFF
        torch.manual_seed(seed)  # noqa: TID251  dropout knows no generator
        generator = torch.Generator().manual_seed(seed)
        finite = all(self._step(number, x, labels, generator) for number in range(len(self.model.phases)))
        if finite:
            self._follow()
        return finite

    def _step(self, number: int, x: Tensor, labels: Tensor | None, generator: torch.Generator) -> bool:
        """One optimizer step of a phase, left out when its gradient is not finite; whether it was taken."""
        phase = self.model.phases[number]
        losses = self.model.losses(x, labels, generator, phase=phase)
        for name, value in losses.items():
            self.log(f"loss/{name}", value.detach(), prog_bar=True)
        parameters = self._trained_in(phase)
        gradients = torch.autograd.grad(torch.stack(list(losses.values())).sum(), parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        settings = self._settings(number)
        norm = nn.utils.clip_grad_norm_(parameters, settings.clip)
        if not torch.isfinite(norm):
            return False
        self.log("grad_norm" if number == 0 else f"grad_norm/{phase}", norm)
        optimizer = self._optimizers()[number]
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * learning_rate(self.batches, settings, self.config.steps)
        # Lightning counts a step whenever one of its optimizers steps: the first phase's alone, so that steps are batches
        (optimizer if number == 0 else optimizer.optimizer).step()
        for parameter in parameters:
            parameter.grad = None
        return True

    @torch.no_grad()
    def _follow(self) -> None:
        """The moving average of the weights, its decay warming up; buffers are copied."""
        n = self.global_step
        rate = 1 - min(self.config.ema_decay, (1 + n) / (10 + n))
        pairs = [(a, b) for a, b in zip(self.ema.parameters(), self.model.parameters(), strict=True) if a is not b]
        torch._foreach_lerp_([a for a, _ in pairs], [b.detach() for _, b in pairs], rate)
        for mine, other in zip(self.ema.buffers(), self.model.buffers(), strict=True):
            mine.copy_(other)

    def _count_bad_steps(self, finite: bool) -> None:
        self.bad_steps = 0 if finite else self.bad_steps + 1
        if not finite:
            self.print(f"batch {self.batches - 1}: gradient not finite, left out ({self.bad_steps} in a row)")
        if self.bad_steps >= self.config.max_bad_steps:
            raise ModelError(
                f"{self.bad_steps} steps in a row had no finite gradient, the last at step {self.global_step}. "
                "Lower optimizer.lr or look at the images."
            )

    def _settings(self, number: int) -> ImageOptimizer:
        return self.config.optimizer if number == 0 else self.config.adversary

    def _trained_in(self, phase: str) -> list[nn.Parameter]:
        return [p for p in self.model.parameters_of(phase) if p.requires_grad]

    def _optimizers(self) -> list[Any]:
        found = self.optimizers()
        return found if isinstance(found, list) else [found]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW of every phase; the learning rate is set at each step."""
        made: list[torch.optim.Optimizer] = []
        for number, phase in enumerate(self.model.phases):
            o = self._settings(number)
            betas = (o.beta1, o.beta2)
            made.append(torch.optim.AdamW(self._trained_in(phase), o.lr, betas=betas, weight_decay=o.weight_decay))
        return made

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The time sampler's statistics, all batches seen, the counts and what was found belong to the run."""
        checkpoint["batches"], checkpoint["bad_steps"] = self.batches, self.bad_steps
        checkpoint["cpu_seconds"] = self.cpu_seconds
        if isinstance(self.model, DiffusionModelBase):
            checkpoint["times"] = self.model.times.state_dict()
        if isinstance(self.model, BaseModel):
            checkpoint["isometry_weight"] = self.model.config.isometry.weight

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See on_save_checkpoint."""
        self.batches, self.bad_steps = checkpoint["batches"], checkpoint["bad_steps"]
        self.cpu_seconds = checkpoint["cpu_seconds"]
        if isinstance(self.model, DiffusionModelBase):
            self.model.times.load_state_dict(checkpoint["times"])
        if isinstance(self.model, BaseModel) and self.model.config.isometry.balance:
            self._weigh_isometry(checkpoint["isometry_weight"])


def learning_rate(step: int, settings: ImageOptimizer, steps: int) -> float:
    """Factor of the learning rate: linear warm-up, then cosine to `final_lr` at the last of `steps`."""
    progress = min(step / max(steps, 1), 1.0)
    decay = settings.final_lr + (1 - settings.final_lr) * 0.5 * (1 + math.cos(math.pi * progress))
    return min((step + 1) / max(settings.warmup, 1), 1.0) * decay

"""How heavy the isometry term of a fine-tuning should be: from the gradients before its first step."""

import dataclasses
import math

import torch
from torch import Tensor

from tts.diffusion import add_noise, denoising_loss, expand_like
from tts.errors import ConfigError
from tts.image.base import BaseModel
from tts.image.isometric import isometry_term

STATES = 64  # at least so many are balanced on


def first_weight(model: BaseModel, x: Tensor, seed: int) -> float:
    """The weight that the `balance` of a model's isometry term asks for, from the first batch of a run.

    Args:
        model: before its first step.
        x: the batch, (B, C, H, W) in [-1, 1]; its images are taken several times where they are few.
        seed: of times, noise and probes.

    Raises:
        ConfigError: if the denoising loss does not reach the encoder half, so that no weight balances.
    """
    x = x.repeat(math.ceil(STATES / len(x)), 1, 1, 1)
    weight = balanced_weight(model, x, model.config.isometry.balance, torch.Generator().manual_seed(seed))
    if not 0 < weight < math.inf:
        raise ConfigError(
            f"model.isometry.balance: at the first step it asks for a weight of {weight:g}, which is for a trained model to go "
            "on from (--init). Set model.isometry.weight, and balance to 0."
        )
    return weight


def balanced_weight(model: BaseModel, x: Tensor, ratio: float, generator: torch.Generator) -> float:
    """The `isometry.weight` with which the term pulls at the encoder half `ratio` times as hard as the denoising loss.

        lambda = ratio |grad L_eps| / |grad L_iso|       over the parameters of the encoder half

    Of a trained model: the encoder of an untrained one gets no gradient from the denoising loss, and the weight would be 0.

    Args:
        model: to be fine-tuned; only `weight`, `balance`, `lazy` and `share` of its `isometry` do not count.
        x: a batch of its images, (B, C, H, W) in [-1, 1]; larger ones give a steadier answer.
        ratio: 0.05 to 0.1 is the recommended range.
        generator: of times, noise and probes, on the CPU.

    Raises:
        ValueError: if ratio is not above 0, or no time drawn is as late as the term's first.
    """
    if not ratio > 0:
        raise ValueError(f"ratio must be above 0, found {ratio}.")
    y = model.state(x)
    t, eps = model.draw(y, generator)
    alpha, sigma = (expand_like(c(t), y).to(y.dtype) for c in (model.schedule.alpha, model.schedule.sigma))
    whole = dataclasses.replace(model.config.isometry, weight=1.0, balance=0.0, lazy=1, share=1.0)
    term = isometry_term(model.unet, add_noise(y, eps, alpha, sigma), t, whole, generator)
    if term is None:
        raise ValueError(f"none of {len(x)} times drawn is {whole.t_from} or later. Give more images.")
    # not `model.denoising`, from which times of kind `gap` would learn: a run sees the times that its control sees
    weighting = model.config.diffusion.weighting.value
    denoising = denoising_loss(model.composite(None), y, t, eps, weighting=weighting).mean()
    unet = model.unet
    encoder = [p for part in (unet.time, unet.stem, unet.down, unet.middle) for p in part.parameters()]
    return ratio * _norm(denoising, encoder) / _norm(term, encoder)


def _norm(loss: Tensor, parameters: list[torch.nn.Parameter]) -> float:
    """The length of the gradient."""
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return torch.stack([g.square().sum() for g in gradients if g is not None]).sum().sqrt().item()

"""How heavy the isometry term of a fine-tuning should be: from the gradients before its first step."""

import dataclasses

import torch
from torch import Tensor

from tts.diffusion import add_noise, expand_like
from tts.image.base import BaseModel
from tts.image.isometric import isometry_term


def balanced_weight(model: BaseModel, x: Tensor, ratio: float, generator: torch.Generator) -> float:
    """The `isometry.weight` with which the term pulls at the encoder half `ratio` times as hard as the denoising loss.

        lambda = ratio |grad L_eps| / |grad L_iso|       over the parameters of the encoder half

    Of a trained model: the encoder of an untrained one gets no gradient from the denoising loss, and the weight would be 0.

    Args:
        model: to be fine-tuned; only `weight`, `lazy` and `share` of its `isometry` do not count.
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
    whole = dataclasses.replace(model.config.isometry, weight=1.0, lazy=1, share=1.0)
    term = isometry_term(model.unet, add_noise(y, eps, alpha, sigma), t, whole, generator)
    if term is None:
        raise ValueError(f"none of {len(x)} times drawn is {whole.t_from} or later. Give more images.")
    denoising = model.denoising(model.composite(None), y, t, eps).mean()
    unet = model.unet
    encoder = [p for part in (unet.time, unet.stem, unet.down, unet.middle) for p in part.parameters()]
    return ratio * _norm(denoising, encoder) / _norm(term, encoder)


def _norm(loss: Tensor, parameters: list[torch.nn.Parameter]) -> float:
    """The length of the gradient."""
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return torch.stack([g.square().sum() for g in gradients if g is not None]).sum().sqrt().item()

"""Maps into h-space: the encoder half of a U-Net at a time, and the states that noise is taken to on the way there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tts.diffusion import Schedule, sample
from tts.diffusion.samplers import Denoiser
from tts.image.frozen_path import HalvedNetwork
from tts.image.geometry.tangent import Map
from tts.nets.image_taps import MIDDLE, tapped
from tts.nets.image_unet import ImageUNet


def encoder_half(unet: HalvedNetwork, t: float | Tensor, condition: Tensor | None = None, *, pooled: bool = False) -> Map:
    """x_t (B, C, H, W) -> h (B, C', H', W') at time t; the decoder is not run.

    Args:
        unet: of any image model, or a `CutUNet` for the h of another tap.
        t: time in (0, 1], one for all or (B,).
        condition: as `ImageUNet.encode` takes it; one row serves every state.
        pooled: the mean of h over its places, (B, C'), so that the whole Jacobian is small.
    """

    def encode(x: Tensor) -> Tensor:
        times = torch.as_tensor(t, dtype=torch.promote_types(x.dtype, torch.float32), device=x.device).expand(len(x))
        told = None if condition is None else condition.expand(len(x), *condition.shape[1:])
        h = unet.encode(x, times, told).h
        return h.mean(dim=(2, 3)) if pooled else h

    return encode


def states_at(denoiser: Denoiser, schedule: Schedule, t: float, *, steps: int = 20, start: float = 1.0) -> Map:
    """noise (B, ...) at `start` -> the state x_t that DDIM takes it to on a uniform grid.

    Args:
        denoiser: (U, t (B,)) -> eps_hat.
        schedule: of the denoiser.
        t: time in (0, 1]; at `start` and before it nothing is done.
        steps: from `start` to t.
        start: the model's `first_time`.

    Raises:
        ValueError: if t is outside (0, 1] or steps below 1.
    """
    if not 0 < t <= 1 or steps < 1:
        raise ValueError(f"need t in (0, 1] and at least one step, found {t} and {steps}.")
    times = torch.linspace(start, t, steps + 1, dtype=torch.float64)
    return lambda noise: noise if t >= start else sample(denoiser, noise, schedule, times, sampler="ddim")


@contextmanager
def recorded_h(unet: ImageUNet, tap: str = MIDDLE) -> Iterator[list[Tensor]]:
    """The list to which every h (B, C', H', W') that the U-Net makes is appended, detached, while the context lasts.

    It sees the h of every step of a sampler, whatever model the network is part of, at any of its taps.
    """
    made: list[Tensor] = []

    def keep(module: nn.Module, arguments: Any, h: Tensor) -> None:
        made.append(h.detach())

    handle = tapped(unet, tap).register_forward_hook(keep)
    try:
        yield made
    finally:
        handle.remove()

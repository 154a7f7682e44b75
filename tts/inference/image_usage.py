"""Whether a model uses its code: how much its loss rises when the codes of a batch are exchanged."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tts.diffusion import TimeSampler, denoising_loss
from tts.image.model import DiffusionModelBase, RepresentationModel


@dataclass(frozen=True)
class Usage:
    """z-usage: (L(z shuffled) - L(z)) / L(z), of the whole code and of each unit alone; 0 means that the code is ignored."""

    whole: float
    units: tuple[float, ...]


@torch.no_grad()
def z_usage(model: RepresentationModel, x: Tensor, seed: int = 0) -> Usage:
    """Measured on images x (B, C, H, W), in evaluation; every image gets the code of the next.

    L is the denoising error at log-SNR-stratified times (the same noise with and without), for a VAE the squared error of the
    reconstruction.
    """
    was_training = model.training
    model.eval()
    z = model.encode(x)
    generator = torch.Generator().manual_seed(seed)
    if isinstance(model, DiffusionModelBase):
        state = model.state(x)
        t, _ = TimeSampler(model.schedule, "log_snr").draw(len(x), generator)
        eps = torch.randn(state.shape, generator=generator).to(state)
        weighting = model.config.diffusion.weighting.value

        def loss(codes: Tensor) -> float:
            return denoising_loss(model.composite(codes), state, t.to(state), eps, weighting=weighting).mean().item()
    else:

        def loss(codes: Tensor) -> float:
            return (model.decode(codes) - x).square().mean().item()  # type: ignore[operator]

    base, other = loss(z), z.roll(1, 0)
    units = []
    for unit in range(z.shape[1]):
        mixed = z.clone()
        mixed[:, unit] = other[:, unit]
        units.append(loss(mixed) / base - 1)
    usage = Usage(loss(other) / base - 1, tuple(units))
    model.train(was_training)
    return usage

"""Isometric Diffusion: the encoder half of a denoiser, held near a scaled isometry of noisy images while it trains."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tts.config import check_ranges
from tts.errors import ConfigError
from tts.image.geometry.hspace import encoder_half
from tts.image.geometry.isometry import IsometryMode, Probe, isometry_loss
from tts.image.geometry.tangent import Manifold
from tts.nets.image_unet import ImageUNet


@dataclass(frozen=True, kw_only=True)
class IsometryConfig:
    """The isometry term of a training; with `weight` and `balance` 0 there is none.

    `balance` is for going on from a trained model: the weight is found at the first batch, by
    `tts.training.isometry.balanced_weight`, and is fixed from there on. Networks differ in it by a factor of hundreds.
    """

    weight: float = 0.0  # lambda, of the loss that is 0 for a scaled isometry
    balance: float = 0.0  # the term's pull at the encoder half at first, over that of the denoising loss: 0.05 to 0.1 is usual
    t_from: float = 0.5  # p: the term sees times from here to 1, where states lie near a sphere
    lazy: int = 4  # the term is computed for one batch in so many, drawn at random, and counts so many times there
    share: float = 0.25  # at most this share of the batch
    probes: int = 1  # random vectors for each state
    probe: Probe = Probe.rademacher
    manifold: Manifold = Manifold.sphere  # with the metric of the sphere, or without: flat
    mode: IsometryMode = IsometryMode.global_

    def __post_init__(self) -> None:
        check_ranges(self, "model.isometry", "weight", 0, 1e6)
        check_ranges(self, "model.isometry", "balance", 0, 10)
        if self.weight and self.balance:
            raise ConfigError(
                f"model.isometry: found a weight of {self.weight:g} and a balance of {self.balance:g}, which finds another. "
                "Set one of them to 0."
            )
        check_ranges(self, "model.isometry", "t_from", 0, 0.999)
        check_ranges(self, "model.isometry", "lazy probes", 1, 1000)
        check_ranges(self, "model.isometry", "share", 0.001, 1)


def isometry_term(unet: ImageUNet, u: Tensor, t: Tensor, config: IsometryConfig, generator: torch.Generator) -> Tensor | None:
    """The weighted isometry loss of a batch of states, or None where this batch has none.

        lambda lazy L_iso( x_t -> h_t ) over the first ceil(share B) states with t >= t_from, with chance 1 / lazy

    so that its mean over batches is lambda L_iso. States are taken as they are, not moved onto a sphere of one radius: the
    loss looks at their directions only. Computed in float32 also where the rest is not. The probes are drawn after the coin
    is thrown, from `generator`.

    Args:
        unet: whose encoder half is regularised.
        u: states x_t of independent times, (B, C, H, W), without gradient.
        t: their times, (B,).
        config: of the term.
        generator: of coin and probes, on the CPU.

    Source: Hahm et al. 2024; lazy regularisation as in Karras et al. 2020 (StyleGAN2).
    """
    if torch.rand((), generator=generator).item() * config.lazy >= 1:
        return None
    chosen = (t >= config.t_from).nonzero()[: math.ceil(config.share * len(u)), 0]
    if len(chosen) == 0:
        return None
    with torch.autocast(u.device.type, enabled=False):
        loss = isometry_loss(
            encoder_half(unet, t[chosen]),
            u[chosen].float(),
            generator,
            probes=config.probes,
            kind=config.probe,
            manifold=config.manifold,
            mode=config.mode,
        )
    return config.weight * config.lazy * loss

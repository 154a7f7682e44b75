"""Diff-AE: the code scales every feature of the denoiser."""

from dataclasses import dataclass

from torch import Tensor

from tts.image.conditioned import AutoencoderConfig, DiffusionAutoencoder
from tts.image.config import Kind


@dataclass(frozen=True, kw_only=True)
class DiffAeConfig(AutoencoderConfig):
    """Diff-AE; the paper's code is one vector of 512 numbers, without a norm."""

    kind: Kind = Kind.diffae


class DiffAe(DiffusionAutoencoder):
    """Adaptive group norm in every residual block, scale only: h <- (1 + s(z)) ((1 + s(t)) GN(h) + b(t)).

    Source: Preechakul et al. 2022.
    """

    config: DiffAeConfig

    def __init__(self, config: DiffAeConfig) -> None:
        super().__init__(config, condition="scale", condition_dim=config.code_dim)

    def condition(self, z: Tensor) -> Tensor:
        """The whole code as one vector, (B, N d)."""
        return z.flatten(1)

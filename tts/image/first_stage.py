"""First stages: pixels as they are, or latents of an autoencoder with a codebook (VQ) or a Gaussian posterior (KL)."""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.image.autoencoder_stage import AutoencoderStage
from tts.image.stage_config import IdentityConfig, KlConfig, StageConfig, VqConfig
from tts.image.vae_terms import gaussian_kl
from tts.nets.codebook import EmaCodebook

MAX_LOG_VARIANCE = 20.0  # of the KL posterior, in either direction


class FirstStage(Protocol):
    """Where diffusion happens: y = scale x latents of the image, about unit spread; frozen once trained.

    `factor` is how many times smaller y is on each side, `latent_channels` how many planes it has, `scale` a scalar buffer.
    """

    factor: int
    latent_channels: int
    scale: Tensor

    def encode(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [-1, 1] -> y (B, latent_channels, H / factor, W / factor), deterministic, never quantised."""

    def decode(self, y: Tensor) -> Tensor:
        """The images of y, (B, C, H, W), not clamped; differentiable."""


class IdentityStage(nn.Module):
    """No first stage: y = x."""

    scale: Tensor

    def __init__(self, config: IdentityConfig) -> None:
        super().__init__()
        self.config = config
        self.factor, self.latent_channels = 1, config.channels
        self.register_buffer("scale", torch.ones(()))

    def encode(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W), as they are."""
        return x

    def decode(self, y: Tensor) -> Tensor:
        """The y (B, C, H, W), as it is."""
        return y

    def finish(self, y: Tensor) -> Tensor:
        """The y (B, C, H, W), as it is."""
        return y


class VqStage(AutoencoderStage):
    """Latents near the vectors of a codebook; `encode` and `decode` do not quantise, `finish` does.

    Source: van den Oord et al. 2017; Esser et al. 2021.
    """

    config: VqConfig

    def __init__(self, config: VqConfig) -> None:
        super().__init__(config, config.latent_channels)
        self.codebook = EmaCodebook(config.n_codes, config.latent_channels, config.decay)

    def latents(self, x: Tensor) -> Tensor:
        """Images -> what the encoder gives, before the codebook."""
        return self.encoder(x)

    def quantize(self, latents: Tensor) -> Tensor:
        """The nearest code vectors (B, D, h, w); their gradient passes straight through to the latents."""
        chosen = self.codebook.lookup(self.codebook.nearest(latents.movedim(1, -1))).movedim(-1, 1)
        return latents + (chosen - latents).detach()

    def finish(self, y: Tensor) -> Tensor:
        """See `AutoencoderStage.finish`: of the nearest code vectors, the only latents the decoder was trained with."""
        return self.decoder(self.quantize(y / self.scale))

    def _through(self, encoded: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Straight through the codebook, and the commitment: mean |latent - code|^2, whose gradient the encoder gets."""
        quantized = self.quantize(encoded)
        return quantized, {"commitment": self.config.commitment * F.mse_loss(encoded, quantized.detach())}

    def _learn(self, encoded: Tensor, generator: torch.Generator) -> None:
        """One step of the codebook's moving averages; at first its vectors are put on latents of the batch."""
        vectors = encoded.movedim(1, -1).flatten(0, -2).float()  # (N, D)
        if self.codebook.is_empty:
            self.codebook.start(vectors, generator)
        self.codebook.update(vectors, self.codebook.nearest(vectors), generator)


class KlStage(AutoencoderStage):
    """Latents with a Gaussian posterior; `encode` gives its mean.

    Source: Rombach et al. 2022.
    """

    config: KlConfig

    def __init__(self, config: KlConfig) -> None:
        super().__init__(config, 2 * config.latent_channels)

    def latents(self, x: Tensor) -> Tensor:
        """Images -> the mean of the posterior."""
        return self.encoder(x).chunk(2, dim=1)[0]

    def _through(self, encoded: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """A draw of the posterior, and KL(posterior || N(0, 1)) summed over the latents, per number of the images."""
        mean, log_variance = encoded.float().chunk(2, dim=1)  # the divergence in full precision
        log_variance = log_variance.clamp(-MAX_LOG_VARIANCE, MAX_LOG_VARIANCE)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        numbers = mean.numel() // self.latent_channels * self.config.channels * self.factor**2  # of the images
        divergence = gaussian_kl(mean, log_variance).sum() / numbers
        return mean + (log_variance / 2).exp() * noise, {"kl": self.config.kl * divergence}


def build_stage(config: StageConfig) -> IdentityStage | VqStage | KlStage:
    """The untrained first stage of a configuration.

    Raises:
        ValueError: if the configuration is none of a first stage.
    """
    if isinstance(config, VqConfig):
        return VqStage(config)
    if isinstance(config, KlConfig):
        return KlStage(config)
    if isinstance(config, IdentityConfig):
        return IdentityStage(config)
    raise ValueError(f"no first stage is made of a {type(config).__name__}.")

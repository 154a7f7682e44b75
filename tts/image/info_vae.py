"""InfoVAE, and MMD-VAE with it: the divergence of all codes together from the prior, beside that of each posterior."""

import torch
from torch import Tensor

from tts.image.divergence import mmd
from tts.image.vae import Vae
from tts.image.vae_config import InfoVaeConfig


class InfoVae(Vae):
    """reconstruction + (1 - alpha) KL + (alpha + lambda - 1) MMD(q(z), N(0, 1)). Source: Zhao et al. 2019, "InfoVAE"."""

    config: InfoVaeConfig

    def regularizers(self, z: Tensor, mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """See `Vae.regularizers`."""
        prior = torch.randn(z.shape, generator=generator).to(z)
        return {
            "kl": self.config.kl_weight * self.kl(mean, log_variance),
            "mmd": self.config.mmd_weight * mmd(z, prior),
        }

"""Variational autoencoders whose losses need no second network: plain, beta, annealed, beta-TC, DIP."""

import torch
from torch import Tensor

from tts.image.model import RepresentationModel
from tts.image.vae_config import (
    AnnealedVaeConfig,
    BetaVaeConfig,
    DipKind,
    DipVaeConfig,
    TcVaeConfig,
    VaeConfig,
)
from tts.image.vae_nets import VaeDecoder, VaeEncoder
from tts.image.vae_terms import (
    gaussian_kl,
    identity_distance,
    pixel_means,
    posterior_covariance,
    reconstruction_error,
    sample_posterior,
    total_correlation,
)


class Vae(RepresentationModel):
    """A variational autoencoder: z ~ q(z | x) = N(mean(x), variance(x)), prior N(0, 1), units of one number.

        loss = mean over the batch of -ln p(x | z), summed over pixels, + KL(q(z | x) || N(0, 1))

    Its extensions replace `regularizers`.

    Source: Kingma and Welling 2014, "Auto-Encoding Variational Bayes".
    """

    config: VaeConfig

    def __init__(self, config: VaeConfig) -> None:
        super().__init__(config)
        self.encoder = VaeEncoder(config)
        self.decoder = VaeDecoder(config)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the codes of the images x (B, C, H, W): (B, N) each.

        Raises:
            ValueError: if the images are not of the size and channels of the model.
        """
        expected = (self.config.channels, self.config.size, self.config.size)
        if x.shape[1:] != expected:
            raise ValueError(
                f"images of a batch are {tuple(x.shape[1:])}, the model takes {expected} (channels, height, width)."
            )
        return self.encoder(x)

    def encode(self, x: Tensor) -> Tensor:
        """The posterior means, (B, N, 1)."""
        return self.posterior(x)[0].unsqueeze(-1)

    def decode(self, z: Tensor) -> Tensor:
        """The means of the pixels given codes z (B, N, 1): images (B, C, H, W) in [-1, 1]; see `pixel_means`."""
        return pixel_means(self.decoder(z.flatten(1)), self.config.likelihood)

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """Reconstruction and `regularizers`, nats an image; see `RepresentationModel.losses`."""
        self.check_phase(phase)
        mean, log_variance = self.posterior(x)
        z = sample_posterior(mean, log_variance, generator)
        return {"reconstruction": self.reconstruction(x, z)} | self.regularizers(z, mean, log_variance, generator)

    def reconstruction(self, x: Tensor, z: Tensor) -> Tensor:
        """-ln p(x | z), summed over pixels, its mean over the batch; x (B, C, H, W) in [-1, 1], z (B, N)."""
        return reconstruction_error(self.decoder(z), x, self.config.likelihood, self.config.pixel_std).mean()

    def regularizers(self, z: Tensor, mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The terms beside the reconstruction, weighted, from a sample of each posterior, (B, N), and the posteriors."""
        return {"kl": self.kl(mean, log_variance)}

    def kl(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """KL(q(z | x) || N(0, 1)) of the whole code, its mean over the batch, nats."""
        return gaussian_kl(mean, log_variance).sum(1).mean()


class BetaVae(Vae):
    """reconstruction + beta KL. Source: Higgins et al. 2017, "beta-VAE"."""

    config: BetaVaeConfig

    def regularizers(self, z: Tensor, mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """See `Vae.regularizers`."""
        return {"kl": self.config.beta * self.kl(mean, log_variance)}


class AnnealedVae(Vae):
    """reconstruction + gamma |KL - C|, C rising with `progress`. Source: Burgess et al. 2018, "Understanding disentangling"."""

    config: AnnealedVaeConfig

    @property
    def target(self) -> Tensor:
        """The KL that is asked for now, nats: C = capacity · min(1, progress / ramp)."""
        return self.config.capacity * (self.progress / self.config.ramp).clamp(max=1)

    def regularizers(self, z: Tensor, mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """See `Vae.regularizers`."""
        return {"kl": self.config.gamma * (self.kl(mean, log_variance) - self.target).abs()}


class TcVae(Vae):
    """reconstruction + KL + (beta - 1) TC, TC estimated in the batch. Source: Chen et al. 2018, alpha = gamma = 1."""

    config: TcVaeConfig

    def regularizers(self, z: Tensor, mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """See `Vae.regularizers`."""
        correlation = (self.config.beta - 1) * total_correlation(z, mean, log_variance)
        return {"kl": self.kl(mean, log_variance), "total_correlation": correlation}


class DipVae(Vae):
    """reconstruction + KL + l_od sum_{i != j} C_ij^2 + l_d sum_i (C_ii - 1)^2 of a covariance C. Source: Kumar et al. 2018."""

    config: DipVaeConfig

    def regularizers(self, z: Tensor, mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """See `Vae.regularizers`."""
        of_codes = self.config.covariance is DipKind.ii
        off, on = identity_distance(posterior_covariance(mean, log_variance, of_codes=of_codes))
        return {
            "kl": self.kl(mean, log_variance),
            "off_diagonal": self.config.off_diagonal * off,
            "diagonal": self.config.diagonal * on,
        }

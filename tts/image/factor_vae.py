"""FactorVAE: a discriminator tells codes from codes whose units were permuted, and so measures their total correlation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.image.vae import Vae
from tts.image.vae_config import FactorVaeConfig
from tts.image.vae_nets import Perceptron, call_frozen, parameters
from tts.image.vae_terms import permute_units, sample_posterior


class FactorVae(Vae):
    """reconstruction + KL + gamma TC, where TC = E_q(z) D(z) and D is the logit of the discriminator.

    D is trained to tell z ~ q(z) from the same codes with each unit permuted over the batch, z' ~ prod_d q(z_d); the best one
    is D(z) = ln q(z) - ln prod_d q(z_d). One logit is the difference of the two of the published code.

        phase main            encoder and decoder; the gradient passes through D but does not move it
        phase discriminator   D: (E ln(1 + exp(-D(z))) + E ln(1 + exp(D(z')))) / 2

    Source: Kim and Mnih 2018, "Disentangling by Factorising".
    """

    config: FactorVaeConfig
    phases = ("main", "discriminator")

    def __init__(self, config: FactorVaeConfig) -> None:
        super().__init__(config)
        self.discriminator = Perceptron(config.n_units, config.discriminator_width, config.discriminator_layers, 1)

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """See `RepresentationModel.parameters_of`."""
        self.check_phase(phase)
        return parameters((self.encoder, self.decoder) if phase == "main" else (self.discriminator,))

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """The terms of the phase; see `RepresentationModel.losses`."""
        if phase != "discriminator":
            return super().losses(x, labels, generator, phase=phase)
        with torch.no_grad():
            z = sample_posterior(*self.posterior(x), generator)
        permuted = permute_units(z, generator)
        return {"discriminator": discriminator_loss(self.discriminator(z), self.discriminator(permuted))}

    def regularizers(self, z: Tensor, mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """See `Vae.regularizers`."""
        correlation = self.config.gamma * call_frozen(self.discriminator, z).mean()
        return {"kl": self.kl(mean, log_variance), "total_correlation": correlation}


def discriminator_loss(joint: Tensor, permuted: Tensor) -> Tensor:
    """Binary cross-entropy of logits, half for each kind of codes, nats; ln 2 for a discriminator that knows nothing.

    (E ln(1 + exp(-joint)) + E ln(1 + exp(permuted))) / 2

    Its minimum over all functions is at the log of the ratio of the two densities.
    """
    return (F.softplus(-joint).mean() + F.softplus(permuted).mean()) / 2

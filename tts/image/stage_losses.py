"""The hinge game of a first stage with its patch discriminator."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_ADAPTIVE = 1e4


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Scores of real and made images -> (mean max(0, 1 - real) + mean max(0, 1 + fake)) / 2."""
    return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2


def frozen_scores(discriminator: nn.Module, x: Tensor) -> Tensor:
    """The discriminator's scores of x, (B, 1, h, w), whose gradient reaches x and not the discriminator."""
    weights = {name: parameter.detach() for name, parameter in discriminator.named_parameters()}
    return torch.func.functional_call(discriminator, weights, (x,))


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last: Tensor) -> Tensor:
    """|d reconstruction / d last| / |d adversarial / d last|, at most 1e4: both losses pull equally at the last layer.

    1 where no gradient is asked for.

    Source: Esser et al. 2021 (VQGAN), eq. 7.
    """
    if not reconstruction.requires_grad:
        return torch.ones_like(reconstruction)
    (of_reconstruction,) = torch.autograd.grad(reconstruction, last, retain_graph=True)
    (of_adversarial,) = torch.autograd.grad(adversarial, last, retain_graph=True)
    return (of_reconstruction.norm() / (of_adversarial.norm() + 1e-6)).clamp(max=MAX_ADAPTIVE).detach()

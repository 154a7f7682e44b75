"""The terms of the losses of variational autoencoders, as functions of codes and of posteriors N(mean, variance)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tts.image.vae_config import Likelihood


def reconstruction_error(decoded: Tensor, x: Tensor, likelihood: Likelihood, pixel_std: float) -> Tensor:
    """-ln p(x | z) of each image, summed over its pixels and channels, nats: (B,).

        bernoulli   y = (x + 1) / 2 ,   - y ln p - (1 - y) ln(1 - p) ,   p = sigmoid(decoded)
        gaussian    (x - decoded)^2 / (2 pixel_std^2) ,   without its constant

    Pixels that are neither 0 nor 1 leave the Bernoulli error their entropy at best. A Gaussian mean is not squashed: the first
    steps bring every pixel to that of all images, which for mostly black ones saturates a sigmoid, and no gradient of a squared
    error leads out again.

    Args:
        decoded: (B, C, H, W), logits or means.
        x: images, the same shape, in [-1, 1].
        likelihood: of a pixel.
        pixel_std: deviation of the Gaussian, in units of x.
    """
    if likelihood is Likelihood.gaussian:
        return gaussian_error(decoded, x, pixel_std)
    return F.binary_cross_entropy_with_logits(decoded, (x + 1) / 2, reduction="none").flatten(1).sum(1)


def pixel_means(decoded: Tensor, likelihood: Likelihood) -> Tensor:
    """The images in [-1, 1] of what `reconstruction_error` takes: 2 sigmoid(logit) - 1, or the mean, clipped."""
    return decoded.clamp(-1, 1) if likelihood is Likelihood.gaussian else torch.tanh(decoded / 2)


def gaussian_error(mean: Tensor, x: Tensor, std: float) -> Tensor:
    """-ln N(x; mean, std^2) of each image without its constant, sum (x - mean)^2 / (2 std^2), nats: (B,)."""
    return ((x - mean) / std).square().flatten(1).sum(1) / 2


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) of each unit, nats: (B, N), in closed form.

    KL = (mean^2 + variance - ln variance - 1) / 2
    """
    return (mean.square() + log_variance.exp() - log_variance - 1) / 2


def sample_posterior(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """z = mean + deviation · noise, (B, N); the noise is drawn on the CPU."""
    noise = torch.randn(mean.shape, generator=generator).to(mean)
    return mean + (log_variance / 2).exp() * noise


def total_correlation(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """The total correlation KL(q(z) || prod_d q(z_d)) of the codes, nats, estimated in a batch; scalar.

        TC = 1/B sum_j [ ln 1/B sum_i q(z_j | x_i) - sum_d ln 1/B sum_i q(z_jd | x_i) ]

    The aggregate posterior is taken to be the mixture of the batch's posteriors, so the estimate tends to the true value as the
    batch grows. Minibatch-weighted sampling has 1 / (B · images) for 1/B: (N - 1) ln(images) more, and the same gradient.

    Args:
        z: a sample of each posterior, (B, N).
        mean: of the posteriors, (B, N).
        log_variance: of the posteriors, (B, N).

    Source: Chen et al. 2018, "Isolating Sources of Disentanglement in VAEs"; disentanglement_lib.
    """
    standard = (z[:, None] - mean[None]) * (-log_variance / 2).exp()[None]
    log_density = -(standard.square() + log_variance[None] + math.log(2 * math.pi)) / 2  # (B of z, B of x, N)
    log_batch = math.log(len(z))
    joint = log_density.sum(2).logsumexp(1) - log_batch
    marginals = (log_density.logsumexp(1) - log_batch).sum(1)
    return (joint - marginals).mean()


def posterior_covariance(mean: Tensor, log_variance: Tensor, *, of_codes: bool) -> Tensor:
    """The covariance over the batch of the posterior means, or of the codes themselves: (N, N).

        of means   Cov[mean]
        of codes   Cov[mean] + E[diag(variance)]

    Moments of the batch, divided by B.
    """
    centred = mean - mean.mean(0)
    covariance = (centred[:, :, None] * centred[:, None]).mean(0)  # no matmul: autocast would round it
    return covariance + torch.diag(log_variance.exp().mean(0)) if of_codes else covariance


def identity_distance(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """How far a covariance C (N, N) is from the identity: sum_{i != j} C_ij^2 and sum_i (C_ii - 1)^2, scalars.

    Source: Kumar et al. 2018, "Variational Inference of Disentangled Latent Concepts" (DIP-VAE), eq. 6 and 7.
    """
    diagonal = covariance.diagonal()
    return (covariance - torch.diag(diagonal)).square().sum(), (diagonal - 1).square().sum()


def permute_units(z: Tensor, generator: torch.Generator) -> Tensor:
    """Each unit of z (B, N) in an order of the batch of its own: a sample of the product of the marginals.

    Source: Kim and Mnih 2018, "Disentangling by Factorising", algorithm 1.
    """
    order = torch.rand(z.shape, generator=generator).argsort(0)
    return z.gather(0, order.to(z.device))

"""The homomorphism autoencoder: codes that a representation of the unknown group of actions moves as actions move images."""

import torch
from torch import Tensor, nn

from tts.image.groups.config import HaeConfig
from tts.image.groups.soft_blocks import soft_block_penalty
from tts.image.groups.transitions import GroupRep, build_transition
from tts.image.vae_nets import Perceptron
from tts.image.vae_terms import pixel_means, reconstruction_error

_TINY = 1e-12  # below every squared norm of a block and every variance of codes that are alive


class HomomorphismAutoencoder(nn.Module):
    """Encoder h, decoder d and transition rho on observations o_0 … o_N with actions g_0 … g_{N-1} between them.

        z_hat_0 = h(o_0) ,   z_hat_{j+1} = rho(g_j) z_hat_j            the newest action stands leftmost
        L = sum_{j>=0} -ln p(o_j | d(z_hat_j)) + gamma sum_{j>=1} E |z_hat_j - h(o_j)|^2 / Var h

    If both sums are least for N = 2, h is injective and h(O) spans the codes, rho is a homomorphism: rho(g') rho(g) h(o) =
    h(g' g o) = rho(g' g) h(o) for all o, so rho(g') rho(g) = rho(g' g). N = 1 asks for equivariance under single actions only.

    The division by the variance keeps a constant code from being a solution, which gamma from the start would find.

    Source: Keurti et al. 2023, "Homomorphism AutoEncoder: Learning Group Structured Representations from Observed Transitions".
    """

    def __init__(self, config: HaeConfig) -> None:
        super().__init__()
        self.config = config
        pixels = config.channels * config.size**2
        self.encoder = Perceptron(pixels, config.width, config.layers, config.code_dim)
        self.decoder = Perceptron(config.code_dim, config.width, config.layers, pixels)
        self.transition = build_transition(config)

    def encode(self, x: Tensor) -> Tensor:
        """The codes (B, D) of images x (B, C, H, W) in [-1, 1], with blocks of norm 1 if the configuration says so.

        Raises:
            ValueError: if the images are of another shape.
        """
        c = self.config
        if x.shape[1:] != (c.channels, c.size, c.size):
            raise ValueError(f"images must be (B, {c.channels}, {c.size}, {c.size}), found {tuple(x.shape)}.")
        z = self.encoder(x.flatten(1))
        return normalise_blocks(z, c.blocks) if c.normalise else z

    def decode(self, z: Tensor) -> Tensor:
        """The logits of pixels, (B, C, H, W), of codes z (B, D); for a Gaussian likelihood their means."""
        return self.decoder(z).view(-1, self.config.channels, self.config.size, self.config.size)

    def images(self, z: Tensor) -> Tensor:
        """The images (B, C, H, W) in [-1, 1] of codes z (B, D)."""
        return pixel_means(self.decode(z), self.config.likelihood)

    @torch.no_grad()
    def variety(self, x: Tensor) -> float:
        """How much of the variety of images x (B, C, H, W) is in those of their codes: near 0 where every code gives one image.

        sum Var d(h(x)) / sum Var x
        """
        return float(self.images(self.encode(x)).var(0).sum() / (x.var(0).sum() + _TINY))

    def rollout(self, z: Tensor, g: Tensor) -> Tensor:
        """The codes (B, N + 1, D) that actions g (B, N, A) lead through from z (B, D), itself the first.

        The matrices are never multiplied with each other: that costs more and errs more.
        """
        codes = [z]
        for action in g.unbind(1):
            codes.append(self.transition.act(action, codes[-1]))
        return torch.stack(codes, dim=1)

    def losses(self, observations: Tensor, g: Tensor, gamma: float, *, hold_targets: bool = False) -> dict[str, Tensor]:
        """The scalars whose sum is minimised: `reconstruction` (nats), `prediction` (times gamma), `soft_blocks` if wanted.

        Args:
            observations: (B, N + 1, C, H, W) in [-1, 1], B at least 2.
            g: the actions between them, (B, N, A). With N = 0 this is an autoencoder without actions.
            gamma: weight of the prediction.
            hold_targets: whether no gradient passes through the codes h(o_j) that are predicted.

        Raises:
            ValueError: if observations and actions do not fit.
        """
        check_sequences(observations, g)
        z = self.encode(observations.flatten(0, 1)).unflatten(0, observations.shape[:2])
        predicted = self.rollout(z[:, 0], g)
        terms = {"reconstruction": self.reconstruction(predicted, observations).sum(1).mean()}
        if g.shape[1]:
            target = z.detach() if hold_targets else z
            terms["prediction"] = gamma * relative_errors(predicted, target)[1:].sum()
        if self.config.soft_weight and isinstance(self.transition, GroupRep):
            terms["soft_blocks"] = self.config.soft_weight * soft_block_penalty(self.transition.algebra(g.flatten(0, 1)))
        return terms

    def reconstruction(self, z: Tensor, observations: Tensor) -> Tensor:
        """-ln p of each observation (B, M, C, H, W) given a code (B, M, D), nats, (B, M)."""
        c, decoded, x = self.config, self.decode(z.flatten(0, 1)), observations.flatten(0, 1)
        error = reconstruction_error(decoded, x, c.likelihood, c.pixel_std)
        return error.unflatten(0, observations.shape[:2])


def normalise_blocks(z: Tensor, blocks: tuple[int, ...]) -> Tensor:
    """Codes (B, D) whose blocks have norm 1; numbers after the last block stay as they are."""
    parts = z.split([*blocks, z.shape[1] - sum(blocks)], dim=1)
    unit = [part / (part.square().sum(1, keepdim=True) + _TINY).sqrt() for part in parts[:-1]]
    return torch.cat([*unit, parts[-1]], dim=1)


def relative_errors(predicted: Tensor, codes: Tensor) -> Tensor:
    """The squared error of predicted codes (B, M, D) at each place of the sequence, (M,), over the variance of all codes.

    E_B |z_hat_j - z_j|^2 / sum_d Var z_d
    """
    variance = codes.flatten(0, 1).var(0, correction=0).sum() + _TINY
    return (predicted - codes).square().sum(2).mean(0) / variance


def check_sequences(observations: Tensor, g: Tensor) -> None:
    """Raises ValueError unless there is one action (B, N, A) between each two observations (B, N + 1, C, H, W)."""
    if observations.ndim != 5 or g.ndim != 3 or observations.shape[:2] != (g.shape[0], g.shape[1] + 1):
        raise ValueError(
            "need observations (B, N + 1, C, H, W) with actions (B, N, A) between them, "
            f"found {tuple(observations.shape)} and {tuple(g.shape)}."
        )

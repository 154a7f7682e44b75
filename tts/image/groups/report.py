"""Whether a trained model of moves is a representation of their group: D_LSBD, leakage, homomorphism, roll-outs."""

import math
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from tts.image.groups.actions import CyclicActions
from tts.image.groups.hae import HomomorphismAutoencoder, relative_errors
from tts.image.groups.lsbd import d_lsbd
from tts.image.groups.soft_blocks import block_sizes
from tts.image.groups.transitions import GroupRep
from tts.image.vae_config import Likelihood

HORIZONS = (1, 2, 8, 32)
_BLOCK = 1024  # images encoded at once


@dataclass(frozen=True)
class RepReport:
    """What is known of a representation rho alone.

    leakage: share of |log rho_k'(g_k)| in blocks k' that are not factor k's own, 0 to 1. The blocks are the given ones, or
        those that are found where fewer are given than factors move; NaN if these are fewer as well.
    homomorphism: E |rho(a) rho(b) - rho(ab)|_F.
    windings: for each factor, how far one step of it turns each block, in steps of its circle; at best one 1, else 0.
    largest_real: of the eigenvalues of log rho; about 0 for a compact group.
    log_det: largest |ln det rho|.
    condition: largest condition number of rho.
    """

    leakage: float
    homomorphism: float
    windings: tuple[tuple[float, ...], ...]
    largest_real: float
    log_det: float
    condition: float


@dataclass(frozen=True)
class HaeReport:
    """The scores of one model; `latent` and `pixels` are errors after 1, 2, 8 and 32 actions, by that number.

    lsbd: `mean_lsbd`.
    latent: E |z_hat - h(o)|^2 / Var h.
    pixels: divergence of the pixels from those decoded, nats an image; it includes what the decoder cannot draw.
    rep: None for a transition that is no representation.
    """

    lsbd: float
    latent: dict[int, float]
    pixels: dict[int, float]
    rep: RepReport | None

    @property
    def succeeded(self) -> bool:
        """D_LSBD < .02, leakage < .05, homomorphism error < .02 and relative error after 32 actions < .1."""
        rep = self.rep
        return rep is not None and self.lsbd < 0.02 and rep.leakage < 0.05 and rep.homomorphism < 0.02 and self.latent[32] < 0.1


@torch.no_grad()
def report_hae(hae: HomomorphismAutoencoder, actions: CyclicActions, generator: torch.Generator, n: int = 256) -> HaeReport:
    """All scores of a model on all images and n random trajectories of 32 actions.

    Raises:
        ValueError: if images or actions do not fit the model, or the reach of the actions is 1.
    """
    horizon = max(HORIZONS)
    sequences = actions.draw(n, horizon, generator)
    codes = hae.encode(sequences.observations.flatten(0, 1)).unflatten(0, (n, horizon + 1))
    predicted = hae.rollout(codes[:, 0], sequences.actions)
    latent = relative_errors(predicted, codes)
    kept = list(HORIZONS)
    observed = sequences.observations[:, kept]
    pixels = (hae.reconstruction(predicted[:, kept], observed) - _floor(hae, observed)).mean(0)
    rep = report_rep(hae.transition, actions, generator) if isinstance(hae.transition, GroupRep) else None
    return HaeReport(
        lsbd=mean_lsbd(hae, actions),
        latent={k: float(latent[k]) for k in HORIZONS},
        pixels={k: float(error) for k, error in zip(HORIZONS, pixels, strict=True)},
        rep=rep,
    )


def mean_lsbd(hae: HomomorphismAutoencoder, actions: CyclicActions) -> float:
    """D_LSBD of the codes of all images, the mean over shapes."""
    return float(np.mean([d_lsbd(grid).score for grid in code_grids(hae, actions)]))


@torch.no_grad()
def code_grids(hae: HomomorphismAutoencoder, actions: CyclicActions) -> NDArray[np.float32]:
    """The codes of all images, (shapes, n_1, …, n_K, D): what `d_lsbd` reads, for each shape."""
    codes = torch.cat([hae.encode(x) for x in actions.images.split(_BLOCK)])
    space, moves = actions.sprites.factors.sizes, actions.sprites.moves
    return codes.view(space[0], *(space[k] for k in moves), -1).numpy()


@torch.no_grad()
def report_rep(rep: GroupRep, actions: CyclicActions, generator: torch.Generator, n: int = 256) -> RepReport:
    """The scores of a representation on n pairs of actions whose product is within reach, and on moves of single factors.

    Raises:
        ValueError: if the reach of the actions is 1, so that no product is within it.
    """
    pairs = actions.draw(n, 2, generator, reach=actions.reach // 2).displacements
    a, b, both = (rep.rho(actions.actions(d)) for d in (pairs[:, 1], pairs[:, 0], pairs.sum(1)))
    singles = [actions.one_factor(k) for k in range(actions.n_factors)]
    algebra, matrices = rep.algebra(torch.cat(singles)), rep.rho(torch.cat(singles))
    sizes = rep.dims if len(rep.dims) >= len(singles) else block_sizes(algebra)
    norms = torch.stack(
        [torch.stack([x.square().sum((1, 2)).sqrt().mean() for x in _diagonal(rep.algebra(g), sizes)]) for g in singles]
    )
    return RepReport(
        leakage=block_leakage(norms) if len(sizes) >= len(singles) else math.nan,
        homomorphism=float((a @ b - both).square().sum((1, 2)).sqrt().mean()),
        windings=_windings(rep, actions, sizes),
        largest_real=float(torch.linalg.eigvals(algebra).real.abs().max()),
        log_det=float(torch.linalg.slogdet(matrices)[1].abs().max()),
        condition=float(torch.linalg.cond(matrices).max()),
    )


@torch.no_grad()
def found_blocks(rep: GroupRep, g: Tensor) -> tuple[int, ...]:
    """The `block_sizes` of log rho at actions g (B, A): how training with a soft weight divided the codes."""
    return block_sizes(rep.algebra(g))


def block_leakage(norms: Tensor) -> float:
    """The share of motion in blocks of other factors: 0 if each factor moves one block of its own, 1 - 1 / m if all move all.

        sum_{k' not k's own} norms[k, k'] / sum norms

    Each factor has one block, chosen so that the share is least.

    Args:
        norms: mean |log rho_k'(g_k)|_F over actions g_k of one factor alone, (K, m) with m >= K.

    Raises:
        ValueError: if there are fewer blocks than factors, or nothing moves.
    """
    if norms.ndim != 2 or norms.shape[1] < norms.shape[0] or not float(norms.sum()) > 0:
        raise ValueError(f"need norms above 0 in (K, m) with m >= K, found shape {tuple(norms.shape)}.")
    rows, columns = linear_sum_assignment(norms.numpy(), maximize=True)
    return float(1 - norms[rows, columns].sum() / norms.sum())


def _diagonal(algebra: Tensor, sizes: tuple[int, ...]) -> list[Tensor]:
    """The blocks on the diagonal of matrices (B, D, D), (B, d_k, d_k) each; what follows the last is left out."""
    ends = list(accumulate(sizes))
    return [algebra[:, end - d : end, end - d : end] for end, d in zip(ends, sizes, strict=True)]


def _windings(rep: GroupRep, actions: CyclicActions, sizes: tuple[int, ...]) -> tuple[tuple[float, ...], ...]:
    places = [actions.sprites.factors.sizes[k] for k in actions.sprites.moves]
    steps = _diagonal(rep.algebra(actions.actions(torch.eye(actions.n_factors))), sizes)
    angles = torch.stack([torch.linalg.eigvals(block).imag.abs().amax(1) for block in steps], dim=1)  # (K, m)
    return tuple(tuple(float(angle) * n / math.tau for angle in row) for row, n in zip(angles, places, strict=True))


def _floor(hae: HomomorphismAutoencoder, x: Tensor) -> Tensor:
    """The least that `reconstruction` can be: the entropy of pixels between black and white, or 0; (B, M)."""
    if hae.config.likelihood is Likelihood.gaussian:
        return x.new_zeros(x.shape[:2])
    y = (x + 1) / 2
    return (torch.special.entr(y) + torch.special.entr(1 - y)).flatten(2).sum(2)

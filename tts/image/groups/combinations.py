"""Combinations of a guidance's strength and of steps of denoising: which are held out, and how well they are predicted."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tts.image.groups.actions import Sequences
from tts.image.groups.hae import HomomorphismAutoencoder, relative_errors
from tts.image.groups.trajectories import Trajectories

Combination = tuple[float, int]


def strides_without(held: Sequence[Combination], strengths: Tensor, reach: int) -> Tensor:
    """Which steps each run may be learnt with, (n, reach) of bool for `Trajectories`: all but the held-out combinations.

    Args:
        held: (strength, steps of one action).
        strengths: of the runs, (n,).
        reach: the most steps of one action.

    Raises:
        ValueError: if a combination is of a strength that no run has, or of more steps than the reach.
    """
    allowed = torch.ones(len(strengths), reach, dtype=torch.bool)
    for strength, steps in held:
        rows = strengths == strength
        if not bool(rows.any()) or not 1 <= steps <= reach:
            raise ValueError(f"no run has strength {strength} with actions of {steps} steps, of {reach} at most.")
        allowed[rows, steps - 1] = False
    return allowed


def pieces_of(combinations: Sequence[Combination], runs: Trajectories, strengths: Tensor) -> Sequences:
    """Every single action of these combinations, one after the other, from every start of every run of the strength.

    Raises:
        ValueError: if no run has the strength, or runs are too short.
    """
    found = []
    for strength, steps in combinations:
        rows = (strengths == strength).nonzero().flatten()
        if not len(rows):
            raise ValueError(f"no run has strength {strength}.")
        found.append(Trajectories(runs.observations[rows], runs.places[rows], runs.reach).every(1, steps))
    return Sequences(
        observations=torch.cat([pieces.observations for pieces in found]),
        displacements=torch.cat([pieces.displacements for pieces in found]),
        actions=torch.cat([pieces.actions for pieces in found]),
    )


@dataclass(frozen=True)
class ActionReport:
    """How well single actions are predicted.

    latent: E |z_hat - h(o)|^2 / Var h.
    still: the same of a code that does not move.
    pixels: mean squared error of the images decoded from z_hat, in units of images in [-1, 1]: what can be compared between
        models, whose codes differ.
    """

    latent: float
    still: float
    pixels: float


@torch.no_grad()
def report_actions(hae: HomomorphismAutoencoder, pieces: Sequences) -> ActionReport:
    """The errors of a model on pieces of one action each.

    Raises:
        ValueError: if the pieces have several actions, or do not fit the model.
    """
    if pieces.actions.shape[1:] != (1, hae.config.action_dim):
        raise ValueError(f"need actions (B, 1, {hae.config.action_dim}), found {tuple(pieces.actions.shape)}.")
    codes = hae.encode(pieces.observations.flatten(0, 1)).unflatten(0, (-1, 2))
    moved = hae.rollout(codes[:, 0], pieces.actions)
    still = codes[:, :1].expand_as(codes)
    return ActionReport(
        latent=float(relative_errors(moved, codes)[1]),
        still=float(relative_errors(still, codes)[1]),
        pixels=float((hae.images(moved[:, 1]) - pieces.observations[:, 1]).square().mean()),
    )

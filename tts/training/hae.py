"""Training of a homomorphism autoencoder: warm-up of gamma, growing actions, restarts of which the best goes on."""

import logging
from dataclasses import dataclass

import torch
from tqdm import tqdm

from tts.config import check_ranges
from tts.image.groups.actions import Moves
from tts.image.groups.config import HaeConfig
from tts.image.groups.hae import HomomorphismAutoencoder
from tts.training.small import step_on

logger = logging.getLogger(__name__)

VALIDATION = 512  # trajectories
VALIDATION_SEED = 2**40
DEAD = 0.01  # a decoder of less variety than this share of the images' paints one for every code


@dataclass(frozen=True, kw_only=True)
class HaeTraining:
    """One training run.

    length: N, actions of a trajectory; 2 make the homomorphism, 0 leaves an autoencoder without actions.
    gamma: weight of the prediction, reached after the share `warm_up` of the steps; until then its targets are held.
    curriculum: share of the steps over which the reach of the moves grows from 1 to the largest.
    restarts: seeds that are trained for the share `trial` of the steps; the one of the least validation loss goes on.
    """

    steps: int = 4000
    batch_size: int = 64
    lr: float = 2e-3
    length: int = 2
    gamma: float = 40.0
    warm_up: float = 0.3
    curriculum: float = 0.5
    restarts: int = 4
    trial: float = 0.15
    max_grad_norm: float = 5.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, "hae training", "steps restarts", 1, 1e9)
        check_ranges(self, "hae training", "batch_size", 2, 1e9)
        check_ranges(self, "hae training", "length seed", 0, 1e9)
        check_ranges(self, "hae training", "lr warm_up curriculum", 0, 1)
        check_ranges(self, "hae training", "trial", 1e-6, 1)
        check_ranges(self, "hae training", "gamma", 0, 1e6)
        check_ranges(self, "hae training", "max_grad_norm", 1e-6, 1e6)


@dataclass(frozen=True, eq=False)
class TrainedHae:
    """A trained model.

    loss: of validation, at the full gamma and reach.
    variety: of the decoded validation images, over that of the images (`HomomorphismAutoencoder.variety`).
    trials: the losses of the restarts after their trial.
    """

    hae: HomomorphismAutoencoder
    loss: float
    variety: float
    trials: tuple[float, ...]


class _Attempt:
    """One model in training; its draws are a function of (seed, restart) and of how far it is."""

    def __init__(self, config: HaeTraining, model: HaeConfig, moves: Moves, restart: int) -> None:
        self.config, self.moves, self.step = config, moves, 0
        seed = config.seed * config.restarts + restart
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # noqa: TID251  initial weights know no generator
            self.hae = HomomorphismAutoencoder(model)
        self.generator = torch.Generator().manual_seed(seed)
        self.optimizer = torch.optim.AdamW(self.hae.parameters(), config.lr, weight_decay=0.0)

    def advance(self, until: int) -> None:
        """Train up to step `until`.

        Raises:
            ModelError: if the loss is not finite.
        """
        c = self.config
        for step in tqdm(range(self.step, until), desc="hae", disable=None):
            warm = ramp(step, c.warm_up * c.steps)
            reach = 1 + int((self.moves.reach - 1) * ramp(step, c.curriculum * c.steps))
            batch = self.moves.draw(c.batch_size, c.length, self.generator, reach=reach)
            terms = self.hae.losses(batch.observations, batch.actions, c.gamma * warm, hold_targets=warm < 1)
            loss = torch.stack(list(terms.values())).sum()
            where, advice = f"hae training, step {step}", "Lower lr or gamma."
            step_on(loss, self.hae, self.optimizer, c.max_grad_norm, where, advice=advice)
        self.step = until

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Loss at the full gamma and reach, and variety of decoded images, on trajectories that every attempt shares."""
        generator = torch.Generator().manual_seed(VALIDATION_SEED)
        batch = self.moves.draw(VALIDATION, self.config.length, generator)
        terms = self.hae.losses(batch.observations, batch.actions, self.config.gamma)
        return float(torch.stack(list(terms.values())).sum()), self.hae.variety(batch.observations.flatten(0, 1))


def train_hae(config: HaeTraining, model: HaeConfig, moves: Moves) -> TrainedHae:
    """A homomorphism autoencoder, or what it is compared with, trained on moves; repeatable by its seed.

    Wide actions let a block lock to a wrong winding number, where it stays: hence the growing reach and the restarts, of which
    one whose decoder paints a single image goes on only if all do. Count how many seeds succeed with
    `report_hae(...).succeeded`, and say so.

    Args:
        config: the run.
        model: sizes and kind of transition; its action_dim, size and channels must be those of `moves`.
        moves: actions on cyclic sprites, or trajectories of denoising.

    Raises:
        ValueError: if model and moves do not fit.
        ModelError: if the training diverges.
    """
    expected = (moves.size, moves.channels, moves.action_dim)
    if (model.size, model.channels, model.action_dim) != expected:
        found = (model.size, model.channels, model.action_dim)
        raise ValueError(f"the model has size, channels and action_dim {found}, the moves {expected}.")
    attempts = [_Attempt(config, model, moves, restart) for restart in range(config.restarts)]
    trials: list[tuple[float, float]] = []
    if len(attempts) > 1:
        for attempt in attempts:
            attempt.advance(max(1, int(config.trial * config.steps)))
            trials.append(attempt.validate())
        logger.info("validation losses of the restarts: %s", ", ".join(f"{loss:.4g}" for loss, _ in trials))
    best = min(range(len(trials)), key=lambda i: (trials[i][1] < DEAD, trials[i][0])) if trials else 0
    attempts[best].advance(config.steps)
    loss, variety = attempts[best].validate()
    if variety < DEAD:
        logger.warning(
            "every code is decoded to one image (variety %.1g): train longer, with another seed or a lower lr.", variety
        )
    return TrainedHae(attempts[best].hae.eval(), loss, variety, tuple(loss for loss, _ in trials))


def ramp(step: int, length: float) -> float:
    """The share of a warm-up that is done at a step, 0 to 1."""
    return min(1.0, step / length) if length > 0 else 1.0

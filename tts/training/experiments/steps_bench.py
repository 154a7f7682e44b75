"""Predictors of steps of denoising: their sizes, and their trainings as parts of an experiment."""

import dataclasses
from collections.abc import Iterable

from tts.image.groups.config import HaeConfig, TransitionKind
from tts.image.groups.hae import HomomorphismAutoencoder
from tts.image.groups.trajectories import Trajectories
from tts.image.groups.transitions import without_structure
from tts.image.vae_config import Likelihood
from tts.training.experiments.context import Context
from tts.training.experiments.hae_part import trained_hae
from tts.training.hae import HaeTraining

REACH = 2  # steps of an action in training
BLOCKS = (2,) * 8
PIXEL_STD = 0.3


def step_configs(runs: Trajectories) -> dict[str, HaeConfig]:
    """By name: the group, a perceptron of about as many parameters, and one as wide as any."""
    group = HaeConfig(
        size=runs.size,
        channels=runs.channels,
        action_dim=runs.action_dim,
        blocks=BLOCKS,
        transition=TransitionKind.steps,
        likelihood=Likelihood.gaussian,
        pixel_std=PIXEL_STD,
    )
    free = dataclasses.replace(group, transition=TransitionKind.free)
    return {"group": group, "unstructured": without_structure(group), "free": free}


def least_variety(predictors: Iterable[HomomorphismAutoencoder], runs: Trajectories) -> float:
    """The least share of the images' variety that a predictor decodes from their codes; one at 0 is dead."""
    return min(hae.variety(runs.observations.flatten(0, 1)) for hae in predictors)


def trained_steps(context: Context, name: str, config: HaeConfig, runs: Trajectories, seed: int) -> HomomorphismAutoencoder:
    """One predictor after its restarts, from parts/NAME-seedN."""
    training = HaeTraining(steps=context.sizes.path_training, restarts=context.sizes.restarts, seed=seed)
    return trained_hae(context, name, config, runs, training)

"""Homomorphism autoencoders as parts of an experiment."""

from typing import Any

from tts.image.groups.actions import Moves
from tts.image.groups.config import HaeConfig
from tts.image.groups.hae import HomomorphismAutoencoder
from tts.training.experiments.context import Context
from tts.training.hae import HaeTraining, train_hae


def trained_hae(context: Context, name: str, config: HaeConfig, moves: Moves, training: HaeTraining) -> HomomorphismAutoencoder:
    """One model after its restarts, from parts/NAME-seedN."""

    def make() -> tuple[HomomorphismAutoencoder, dict[str, Any]]:
        trained = train_hae(training, config, moves)
        return trained.hae, {"loss": trained.loss, "variety": trained.variety, "trials": trained.trials}

    return context.part(f"{name}-seed{training.seed}", lambda: HomomorphismAutoencoder(config), make)[0]

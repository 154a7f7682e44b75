"""E5: the homomorphism autoencoder on cyclic sprites; against one without actions and a predictor without structure."""

import dataclasses
import math
from typing import Any

import numpy as np
import torch

from tts.image.cyclic import CyclicSprites
from tts.image.groups.actions import CyclicActions
from tts.image.groups.config import HaeConfig
from tts.image.groups.hae import HomomorphismAutoencoder
from tts.image.groups.lsbd import d_lsbd
from tts.image.groups.report import HORIZONS, HaeReport, code_grids, report_hae
from tts.image.groups.transitions import without_structure
from tts.training.experiments.context import Context
from tts.training.experiments.expectations import Expectation, Outcome, ratio
from tts.training.experiments.plots import Plot
from tts.training.hae import HaeTraining, train_hae

TITLE = "Homomorphism autoencoder: x and y of a cyclic sprite, actions turned by 45°"
REACH = 5
SCRAMBLED = 50  # numbers of a scrambled action
LONG = max(HORIZONS)

EXPECTATIONS = (
    Expectation("success", "share of the seeds that reach the four next thresholds at once"),
    Expectation("D_LSBD", "a torus", below=0.02),
    Expectation("leakage", "each factor a block of its own", below=0.05),
    Expectation("homomorphism error", "ρ(a) ρ(b) = ρ(ab)", below=0.02),
    Expectation("error after 32", "relative, in codes", below=0.1),
    Expectation("largest real part", "of log ρ: a compact group", below=0.02),
    Expectation("D_LSBD without actions", "control: an autoencoder", above=0.2, proposed=True),
    Expectation("D_LSBD unstructured", "control: predicting moves makes a torus too; says nothing"),
    Expectation("error after 32, unstructured", "control: a perceptron of as many parameters"),
    Expectation("error after 32, unstructured / HAE", "roll-outs tell them apart", above=3.0, proposed=True),
    Expectation("success scrambled", "actions through a random network instead: share of seeds"),
    Expectation("error after 32, scrambled", "relative, in codes"),
)
PLOTS = (Plot("rollout", ("HAE", "unstructured", "scrambled"), "actions", "relative error in codes", log_x=True, log_y=True),)


def run(context: Context, seed: int) -> Outcome:
    """Train the four models of this seed and report them on the same trajectories."""
    side = context.sizes.group_size
    sprites = CyclicSprites(side, positions=side)
    plain = CyclicActions(sprites, reach=REACH)
    scrambled = CyclicActions(sprites, reach=REACH, scrambled=SCRAMBLED, seed=seed)
    config = HaeConfig(size=side, action_dim=plain.action_dim)
    group = _trained(context, "group", config, plain, seed)
    free = _trained(context, "unstructured", without_structure(config), plain, seed)
    mixed = _trained(context, "scrambled", dataclasses.replace(config, action_dim=scrambled.action_dim), scrambled, seed)
    alone = _trained(context, "without-actions", config, plain, seed, length=0)
    reports = {
        "HAE": _report(group, plain, seed),
        "unstructured": _report(free, plain, seed),
        "scrambled": _report(mixed, scrambled, seed),
    }
    hae, rep = reports["HAE"], reports["HAE"].rep
    figures = {
        "success": float(hae.succeeded),
        "D_LSBD": hae.lsbd,
        "leakage": math.nan if rep is None else rep.leakage,
        "homomorphism error": math.nan if rep is None else rep.homomorphism,
        "error after 32": hae.latent[LONG],
        "largest real part": math.nan if rep is None else rep.largest_real,
        "D_LSBD without actions": float(np.mean([d_lsbd(grid).score for grid in code_grids(alone, plain)])),
        "D_LSBD unstructured": reports["unstructured"].lsbd,
        "error after 32, unstructured": reports["unstructured"].latent[LONG],
        "error after 32, unstructured / HAE": ratio(reports["unstructured"].latent[LONG], hae.latent[LONG]),
        "success scrambled": float(reports["scrambled"].succeeded),
        "error after 32, scrambled": reports["scrambled"].latent[LONG],
    }
    return Outcome(figures, {name: [(float(k), e) for k, e in r.latent.items()] for name, r in reports.items()})


def _trained(
    context: Context, name: str, config: HaeConfig, actions: CyclicActions, seed: int, length: int = 2
) -> HomomorphismAutoencoder:
    """One model after its restarts; without actions there is nothing to restart for."""
    sizes = context.sizes
    restarts = sizes.restarts if length else 1
    training = HaeTraining(steps=sizes.group_steps, restarts=restarts, length=length, seed=seed)

    def make() -> tuple[HomomorphismAutoencoder, dict[str, Any]]:
        trained = train_hae(training, config, actions)
        return trained.hae, {"loss": trained.loss, "trials": trained.trials}

    return context.part(f"hae-{name}-seed{seed}", lambda: HomomorphismAutoencoder(config), make)[0]


def _report(hae: HomomorphismAutoencoder, actions: CyclicActions, seed: int) -> HaeReport:
    return report_hae(hae, actions, torch.Generator().manual_seed(seed))

"""E5: the homomorphism autoencoder on cyclic sprites, that also turn; against one without actions and one without structure."""

import dataclasses
from typing import cast

import torch

from tts.image.cyclic import CyclicSprites
from tts.image.groups.actions import CyclicActions
from tts.image.groups.config import HaeConfig
from tts.image.groups.hae import HomomorphismAutoencoder
from tts.image.groups.report import HORIZONS, HaeReport, RepReport, mean_lsbd, report_hae
from tts.image.groups.transitions import without_structure
from tts.training.experiments.context import Context
from tts.training.experiments.expectations import Expectation, Figures, Outcome, ratio
from tts.training.experiments.hae_part import trained_hae
from tts.training.experiments.plots import Plot
from tts.training.hae import HaeTraining

TITLE = "Homomorphism autoencoder: x and y of a cyclic sprite, actions turned by 45°; with its orientation"
REACH = 5
TURNED_REACH = 3  # of the version with three factors
SCRAMBLED = 50  # numbers of a scrambled action
LONG = max(HORIZONS)

EXPECTATIONS = (
    Expectation("success", "share of the seeds that reach the four next thresholds at once"),
    Expectation("D_LSBD", "a torus", below=0.02),
    Expectation("leakage", "each factor a block of its own", below=0.05),
    Expectation("homomorphism error", "ρ(a) ρ(b) = ρ(ab)", below=0.02),
    Expectation("error after 32", "relative, in codes", below=0.1),
    Expectation("largest real part", "of log ρ: a compact group", below=0.02),
    Expectation("largest |ln det ρ|", "of single factors: volumes are kept", below=0.1, proposed=True),
    Expectation("largest condition of ρ", "of single factors; 1 for rotations of codes"),
    Expectation("pixels after 32", "nats an image from the observed one"),
    Expectation("pixels after 32, unstructured", "control"),
    Expectation("pixels after 32, unstructured / HAE", "images tell them apart as codes do", above=3.0, proposed=True),
    Expectation("D_LSBD without actions", "control: an autoencoder", above=0.2, proposed=True),
    Expectation("D_LSBD unstructured", "control: predicting moves makes a torus too; says nothing"),
    Expectation("error after 32, unstructured", "control: a perceptron of as many parameters"),
    Expectation("error after 32, unstructured / HAE", "roll-outs tell them apart", above=3.0, proposed=True),
    Expectation("success scrambled", "actions through a random network instead: share of seeds"),
    Expectation("error after 32, scrambled", "relative, in codes"),
    Expectation("3 factors, success", "orientation moves as well: share of seeds by the same thresholds"),
    Expectation("3 factors, D_LSBD", "a torus of three circles; 1/3 if one factor is not coded", below=0.02, proposed=True),
    Expectation("3 factors, leakage", "each factor a block of its own", below=0.05, proposed=True),
    Expectation(
        "3 factors, winding of orientation", "once round; 0 where codes ignore it", above=0.9, below=1.1, proposed=True
    ),
    Expectation("3 factors, homomorphism error", "ρ(a) ρ(b) = ρ(ab)", below=0.02, proposed=True),
    Expectation(
        "3 factors, error after 32", "relative, in codes: small as well where a factor is not coded", below=0.1, proposed=True
    ),
    Expectation("3 factors, pixels after 32", "nats an image, what is not coded included"),
    Expectation("3 factors, pixels after 32, unstructured / HAE", "the fair comparison", above=3.0, proposed=True),
    Expectation("3 factors, D_LSBD without actions", "control: an autoencoder", above=0.2, proposed=True),
)
PLOTS = (Plot("rollout", ("HAE", "unstructured", "scrambled"), "actions", "relative error in codes", log_x=True, log_y=True),)


def run(context: Context, seed: int) -> Outcome:
    """Train the four models of this seed and report them on the same trajectories; then three on sprites that turn."""
    side = context.sizes.group_size
    sprites = CyclicSprites(side, positions=side)
    plain = CyclicActions(sprites, reach=REACH)
    scrambled = CyclicActions(sprites, reach=REACH, scrambled=SCRAMBLED, seed=seed)
    config = HaeConfig(size=side, action_dim=plain.action_dim)
    steps, wide = context.sizes.group_steps, dataclasses.replace(config, action_dim=scrambled.action_dim)
    group = _trained(context, "group", config, plain, seed, steps)
    free = _trained(context, "unstructured", without_structure(config), plain, seed, steps)
    mixed = _trained(context, "scrambled", wide, scrambled, seed, steps)
    alone = _trained(context, "without-actions", config, plain, seed, steps, length=0)
    reports = {
        "HAE": _report(group, plain, seed),
        "unstructured": _report(free, plain, seed),
        "scrambled": _report(mixed, scrambled, seed),
    }
    hae, rep = reports["HAE"], cast(RepReport, reports["HAE"].rep)  # a group has one
    figures = {
        "success": float(hae.succeeded),
        "D_LSBD": hae.lsbd,
        "leakage": rep.leakage,
        "homomorphism error": rep.homomorphism,
        "error after 32": hae.latent[LONG],
        "largest real part": rep.largest_real,
        "largest |ln det ρ|": rep.log_det,
        "largest condition of ρ": rep.condition,
        "pixels after 32": hae.pixels[LONG],
        "pixels after 32, unstructured": reports["unstructured"].pixels[LONG],
        "pixels after 32, unstructured / HAE": ratio(reports["unstructured"].pixels[LONG], hae.pixels[LONG]),
        "D_LSBD without actions": mean_lsbd(alone, plain),
        "D_LSBD unstructured": reports["unstructured"].lsbd,
        "error after 32, unstructured": reports["unstructured"].latent[LONG],
        "error after 32, unstructured / HAE": ratio(reports["unstructured"].latent[LONG], hae.latent[LONG]),
        "success scrambled": float(reports["scrambled"].succeeded),
        "error after 32, scrambled": reports["scrambled"].latent[LONG],
        **_three_factors(context, seed),
    }
    return Outcome(figures, {name: [(float(k), e) for k, e in r.latent.items()] for name, r in reports.items()})


def _three_factors(context: Context, seed: int) -> Figures:
    """The figures of sprites whose orientation moves too; a heart, so that every turn is seen."""
    s = context.sizes
    sprites = CyclicSprites(s.turned_size, positions=s.turned_positions, orientations=s.turned_orientations)
    actions = CyclicActions(sprites, reach=TURNED_REACH)
    config = HaeConfig(size=s.turned_size, action_dim=actions.action_dim, blocks=(2,) * actions.n_factors)
    hae = _report(_trained(context, "turned-group", config, actions, seed, s.turned_steps), actions, seed)
    unstructured = without_structure(config)
    free = _report(_trained(context, "turned-unstructured", unstructured, actions, seed, s.turned_steps), actions, seed)
    alone = _trained(context, "turned-without-actions", config, actions, seed, s.turned_steps, length=0)
    rep = cast(RepReport, hae.rep)
    return {
        "3 factors, success": float(hae.succeeded),
        "3 factors, D_LSBD": hae.lsbd,
        "3 factors, leakage": rep.leakage,
        "3 factors, winding of orientation": max(rep.windings[0]),
        "3 factors, homomorphism error": rep.homomorphism,
        "3 factors, error after 32": hae.latent[LONG],
        "3 factors, pixels after 32": hae.pixels[LONG],
        "3 factors, pixels after 32, unstructured / HAE": ratio(free.pixels[LONG], hae.pixels[LONG]),
        "3 factors, D_LSBD without actions": mean_lsbd(alone, actions),
    }


def _trained(
    context: Context, name: str, config: HaeConfig, actions: CyclicActions, seed: int, steps: int, length: int = 2
) -> HomomorphismAutoencoder:
    """One model after its restarts; without actions there is nothing to restart for."""
    restarts = context.sizes.restarts if length else 1
    training = HaeTraining(steps=steps, restarts=restarts, length=length, seed=seed)
    return trained_hae(context, f"hae-{name}", config, actions, training)


def _report(hae: HomomorphismAutoencoder, actions: CyclicActions, seed: int) -> HaeReport:
    return report_hae(hae, actions, torch.Generator().manual_seed(seed))

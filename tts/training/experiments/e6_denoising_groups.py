"""E6: steps of denoising as a one-parameter group of codes; against predictors without structure, small and free."""

import dataclasses
from typing import Any

from tts.diffusion import time_grid
from tts.image.groups.config import HaeConfig, TransitionKind
from tts.image.groups.hae import HomomorphismAutoencoder
from tts.image.groups.trajectories import HORIZONS, START, StepReport, Trajectories, denoising_trajectories, report_steps
from tts.image.groups.transitions import without_structure
from tts.image.vae_config import Likelihood
from tts.training.experiments.context import Context
from tts.training.experiments.expectations import Expectation, Outcome, ratio
from tts.training.experiments.plots import Plot
from tts.training.hae import HaeTraining, train_hae

TITLE = "Group-structured denoising: codes of x0_hat along DDIM runs, moved by exp(Δλ L)"
NOISE = 10000  # seeds of states from here on
REACH = 2  # steps of an action in training
BLOCKS = (2,) * 8
PIXEL_STD = 0.3
LONG = max(HORIZONS)
NAMES = ("group", "unstructured", "free")

EXPECTATIONS = (
    Expectation("error after 8", "the group: relative, in codes of runs held out"),
    Expectation("error after 8, unstructured", "control: a perceptron of as many parameters"),
    Expectation("error after 8, free", "control: a perceptron of any size"),
    Expectation("still after 8", "control: a code that never moves"),
    Expectation("error after 8 / still", "better than not moving", below=1.0),
    Expectation("error after 8, group / unstructured", "a gain is the claim", below=1.0),
    Expectation("error after 8, group / free", "over a predictor that may be larger as well", below=1.0),
    Expectation("jump of 4, group / free", "one action over more steps than any in training", below=1.0),
    Expectation("jump of 8, group / free", "the same over 8", below=1.0),
    Expectation("jump of 8, group / unstructured", "the same", below=1.0),
    Expectation("consistency at 8", "one action is 8 of them: by construction", below=1e-3),
    Expectation("consistency at 8, free", "control: nothing makes it so"),
    Expectation("pixels after 8, group / free", "mean squared error of decoded images"),
)
PLOTS = (
    Plot("rollout", (*NAMES, "still"), "steps of the grid", "relative error of the roll-out", log_y=True),
    Plot(
        "jump", (*(f"{name}, jump" for name in NAMES), "still"), "steps of the grid", "relative error of one action", log_y=True
    ),
)


def run(context: Context, seed: int) -> Outcome:
    """Draw denoising runs of the base of this seed, train three predictors on them, and report those held out."""
    sizes, base = context.sizes, context.base(seed)
    u = context.noise(sizes.path_runs, NOISE + seed)
    times = time_grid(base.schedule, sizes.path_steps, start=START)
    runs = denoising_trajectories(base.composite(None), u, base.schedule, times, reach=REACH)
    held = max(1, sizes.path_runs // 8)
    shown, tested = runs.runs(slice(held, None)), runs.runs(slice(0, held))
    group = HaeConfig(
        size=runs.size,
        channels=runs.channels,
        action_dim=runs.action_dim,
        blocks=BLOCKS,
        transition=TransitionKind.steps,
        likelihood=Likelihood.gaussian,
        pixel_std=PIXEL_STD,
    )
    configs = {
        "group": group,
        "unstructured": without_structure(group),
        "free": dataclasses.replace(group, transition=TransitionKind.free),
    }
    found = {name: report_steps(_trained(context, name, c, shown, seed), tested) for name, c in configs.items()}
    rollout = {name: report.rollout[LONG] for name, report in found.items()}
    jump = {k: {name: report.jump[k] for name, report in found.items()} for k in (LONG // 2, LONG)}
    figures = {
        "error after 8": rollout["group"],
        "error after 8, unstructured": rollout["unstructured"],
        "error after 8, free": rollout["free"],
        "still after 8": found["group"].still[LONG],
        "error after 8 / still": ratio(rollout["group"], found["group"].still[LONG]),
        "error after 8, group / unstructured": ratio(rollout["group"], rollout["unstructured"]),
        "error after 8, group / free": ratio(rollout["group"], rollout["free"]),
        "jump of 4, group / free": ratio(jump[LONG // 2]["group"], jump[LONG // 2]["free"]),
        "jump of 8, group / free": ratio(jump[LONG]["group"], jump[LONG]["free"]),
        "jump of 8, group / unstructured": ratio(jump[LONG]["group"], jump[LONG]["unstructured"]),
        "consistency at 8": found["group"].consistency[LONG],
        "consistency at 8, free": found["free"].consistency[LONG],
        "pixels after 8, group / free": ratio(found["group"].pixels[LONG], found["free"].pixels[LONG]),
    }
    return Outcome(figures, _curves(found))


def _curves(found: dict[str, StepReport]) -> dict[str, list[tuple[float, float]]]:
    curves = {name: [(float(k), e) for k, e in report.rollout.items()] for name, report in found.items()}
    curves |= {f"{name}, jump": [(float(k), e) for k, e in report.jump.items()] for name, report in found.items()}
    return curves | {"still": [(float(k), e) for k, e in found["group"].still.items()]}


def _trained(context: Context, name: str, config: HaeConfig, runs: Trajectories, seed: int) -> HomomorphismAutoencoder:
    """One predictor after its restarts."""
    training = HaeTraining(steps=context.sizes.path_training, restarts=context.sizes.restarts, seed=seed)

    def make() -> tuple[HomomorphismAutoencoder, dict[str, Any]]:
        trained = train_hae(training, config, runs)
        return trained.hae, {"loss": trained.loss, "trials": trained.trials}

    return context.part(f"steps-{name}-seed{seed}", lambda: HomomorphismAutoencoder(config), make)[0]

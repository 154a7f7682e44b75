"""E6, its second half: steps of denoising drawn to an attribute, which has a block of its own; combinations held out."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from tts.diffusion import time_grid
from tts.image.base import BaseModel
from tts.image.factor_regressor import read_images
from tts.image.groups.combinations import Combination, pieces_of, report_actions, strides_without
from tts.image.groups.trajectories import Trajectories, denoising_trajectories
from tts.image.guidance.classifier import NoisyClassifier
from tts.image.guidance.guide import guided
from tts.image.guidance.wishes import Wish
from tts.training.experiments.context import CHUNK, Context
from tts.training.experiments.e4_guidance import ACTIVE, HEART, trained_classifier
from tts.training.experiments.expectations import Expectation, Figures, ratio
from tts.training.experiments.steps_bench import REACH, least_variety, step_configs, trained_steps

NOISE = 12000  # seeds of states from here on
LEVELS = (0.0, 1.0, 2.0, 3.0)  # strengths of `shape = heart`
HELD: tuple[Combination, ...] = ((1.0, 2), (2.0, 1), (3.0, 2))  # every strength and every number of steps is seen elsewhere
FAR: tuple[Combination, ...] = tuple((level, 4) for level in LEVELS)  # over more steps than any in training
SHARE = 8  # one run in so many is held out

EXPECTATIONS = (
    Expectation("attribute, hearts w = 3 - w = 0", "runs are drawn to it: share at their ends, by the regressor", above=0.0),
    Expectation("attribute, variety decoded, least", "of the four predictors", above=0.5, proposed=True),
    Expectation("attribute, held out", "the group with a block for it: actions of strength and steps never seen together"),
    Expectation("attribute, held out, unstructured", "control: a perceptron of width 1, 53 parameters against 64"),
    Expectation("attribute, held out, free", "control: a perceptron of any size"),
    Expectation("attribute, held out, still", "control: a code that does not move, in codes of the group"),
    Expectation("attribute, held out / still", "better than not moving", below=1.0, proposed=True),
    Expectation("attribute, pixels held out", "mean squared error of decoded images"),
    Expectation("attribute, pixels, group / unstructured", "a gain is the claim", below=1.0, proposed=True),
    Expectation("attribute, pixels, group / free", "over the larger predictor as well", below=1.0, proposed=True),
    Expectation("attribute, pixels, group / not told", "over a group that is not told the strength", below=1.0, proposed=True),
    Expectation("attribute, pixels of 4 steps, group / unstructured", "one action over more steps", below=1.0, proposed=True),
    Expectation("attribute, pixels of 4 steps, group / free", "the same", below=1.0, proposed=True),
)


def attribute_figures(context: Context, base: BaseModel, seed: int) -> Figures:
    """Draw guided runs of the base, train predictors on some combinations of strength and steps, and report the others."""
    n = context.sizes.path_runs
    strengths = torch.tensor(LEVELS).repeat(-(-n // len(LEVELS)))[:n]
    classifier, _ = trained_classifier(context, base, seed)
    u = context.noise(n, NOISE + seed)
    runs = guided_runs(classifier, base, u, strengths, context.sizes.path_steps)
    held = max(len(LEVELS), n // SHARE)
    allowed = strides_without(HELD, strengths[held:], REACH)
    shown = Trajectories(runs.observations[held:], runs.places[held:], REACH, allowed)
    tested, of = runs.runs(slice(0, held)), strengths[:held]

    trained = {name: trained_steps(context, f"guided-{name}", c, shown, seed) for name, c in step_configs(shown).items()}
    new, far = pieces_of(HELD, tested, of), pieces_of(FAR, tested, of)
    found = {name: report_actions(hae, new) for name, hae in trained.items()}
    jumps = {name: report_actions(hae, far) for name, hae in trained.items()}
    untold = step_configs(_untold(shown))["group"]
    not_told = trained_steps(context, "guided-not-told", untold, _untold(shown), seed)
    blind = report_actions(not_told, pieces_of(HELD, _untold(tested), of))
    group, unstructured, free = (found[name] for name in ("group", "unstructured", "free"))
    return {
        "attribute, hearts w = 3 - w = 0": _drawn(context, runs, strengths),
        "attribute, variety decoded, least": least_variety([*trained.values(), not_told], tested),
        "attribute, held out": group.latent,
        "attribute, held out, unstructured": unstructured.latent,
        "attribute, held out, free": free.latent,
        "attribute, held out, still": group.still,
        "attribute, held out / still": ratio(group.latent, group.still),
        "attribute, pixels held out": group.pixels,
        "attribute, pixels, group / unstructured": ratio(group.pixels, unstructured.pixels),
        "attribute, pixels, group / free": ratio(group.pixels, free.pixels),
        "attribute, pixels, group / not told": ratio(group.pixels, blind.pixels),
        "attribute, pixels of 4 steps, group / unstructured": ratio(jumps["group"].pixels, jumps["unstructured"].pixels),
        "attribute, pixels of 4 steps, group / free": ratio(jumps["group"].pixels, jumps["free"].pixels),
    }


def guided_runs(classifier: NoisyClassifier, base: BaseModel, u: Tensor, strengths: Tensor, steps: int) -> Trajectories:
    """Runs from states u (n, C, H, W), each drawn to a heart with a strength (n,) of its own.

    They begin where guidance does, at the end of `ACTIVE`, so that the strength is constant all along.
    """
    times, parts = time_grid(base.schedule, steps, start=ACTIVE[1]), []
    log_probs = partial(classifier.log_probs, wishes=[Wish(name="shape", values=(HEART,))])
    for part, w in zip(u.split(CHUNK), strengths.split(CHUNK), strict=True):
        denoiser = guided(base.composite(None), base.schedule, log_probs, [w.to])
        parts.append(denoising_trajectories(denoiser, part, base.schedule, times, strengths=w[:, None], reach=REACH))
    return Trajectories(torch.cat([p.observations for p in parts]), torch.cat([p.places for p in parts]), REACH)


def _untold(runs: Trajectories) -> Trajectories:
    """The same runs with steps of log-SNR alone."""
    return Trajectories(runs.observations, runs.places[..., :1], runs.reach, runs.strides)


def _drawn(context: Context, runs: Trajectories, strengths: Tensor) -> float:
    """How much larger the share of hearts is at the ends of the strongest runs than of those without guidance."""
    columns = context.regressor.config.columns_of("shape")
    hearts = read_images(context.regressor, runs.observations[:, -1])[1][:, columns].argmax(axis=1) == HEART
    at = strengths.numpy()
    return float(np.mean(hearts[at == max(LEVELS)]) - np.mean(hearts[at == 0]))

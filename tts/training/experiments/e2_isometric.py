"""E2: isometric fine-tuning against the same fine-tuning with lambda = 0, on the same noises."""

import copy
from dataclasses import asdict

import torch
from torch import Tensor

from tts.image.base import BaseModel
from tts.image.geometry.paths import path_lengths, ppl
from tts.image.geometry.scores import mean_scores, time_scores
from tts.training.experiments.context import CHUNK, Context
from tts.training.experiments.expectations import Expectation, Figures, Outcome, falling, ratio
from tts.training.experiments.plots import Plot
from tts.training.image_parts import Parts
from tts.training.isometry import balanced_weight

TITLE = "Isometric Diffusion: fine-tuned with λ, over the control with λ = 0 and equal steps"
NOISE = 4000  # seeds of states from here on
LOSS_IMAGES = 512  # of the denoising loss, held out
BALANCE_IMAGES = 128
CONTROL, PAPER = "0", "1"
WEIGHED = "model.isometry.balance=0"  # the weight is found once, of held-out images, and is the same for all runs of a seed

EXPECTATIONS = (
    Expectation("λ", "at which the term pulls at the encoder as the balance says"),
    Expectation("d", "min(n - 1, dim h): k equal directions have L_iso = d / k - 1"),
    Expectation("L_iso base", "before any fine-tuning"),
    Expectation("L_iso control", "λ = 0, equal steps"),
    Expectation("L_iso / control", "down by 30 %", below=0.7, proposed=True),
    Expectation("mRTL ideal", "of a linear isometry"),
    Expectation("mRTL control", "λ = 0, equal steps"),
    Expectation("mRTL - control", "straighter", below=0.0),
    Expectation("mRTL - ideal", "not below a linear isometry", above=0.0),
    Expectation("MCN / control", "better conditioned", below=1.0),
    Expectation("VoR / control", "a more even metric"),
    Expectation("PPL / control", "smoother in the features of the regressor", below=1.0),
    Expectation("PPL median / control", "the same, of medians: tails do not count", below=1.0),
    Expectation("FD floor", "train against test images, the least there is"),
    Expectation("FD / control", "allowed cost", below=1.2, proposed=True),
    Expectation("loss / control", "allowed cost", below=1.05, proposed=True),
    Expectation("falls of L_iso", "with λ of 0, 0.3, 1, 3 times, share of neighbours", above=0.99, proposed=True),
    Expectation("falls of mRTL", "the same", above=0.99, proposed=True),
    Expectation("L_iso flat / control", "ablation: without the metric of the sphere"),
    Expectation("mRTL flat - control", "ablation: without the metric of the sphere"),
    Expectation("L_iso late / control", "ablation: p = 0.75 in place of 0.5"),
    Expectation("mRTL late - control", "ablation: p = 0.75 in place of 0.5"),
)
PLOTS = (
    Plot("lambda-isometry", ("L_iso",), "λ, times the balanced one", "isometry loss"),
    Plot("lambda-mrtl", ("mRTL", "ideal"), "λ, times the balanced one", "mRTL"),
)


def run(context: Context, seed: int) -> Outcome:
    """Fine-tune the base of this seed with every λ, and measure all models on the same noises."""
    sizes, base = context.sizes, context.base(seed)
    x = context.pictures(context.held_out(BALANCE_IMAGES))
    trainable, generator = copy.deepcopy(base).requires_grad_(True), torch.Generator().manual_seed(seed)
    balance = sizes.isometry_balance
    weight = context.value(f"isometry-weight-seed{seed}", lambda: balanced_weight(trainable, x, balance, generator))
    runs: dict[str, tuple[str, ...]] = {CONTROL: (WEIGHED, "model.isometry.weight=0.0")}
    for factor in sizes.isometry_ratios:
        runs[f"{factor:g}"] = (WEIGHED, f"model.isometry.weight={factor * weight:.6g}")
    runs["flat"] = (*runs[PAPER], "model.isometry.manifold=flat")
    runs["late"] = (*runs[PAPER], "model.isometry.t_from=0.75")
    models, found = {"base": base}, {"base": measured(context, base, seed)}
    for name, overrides in runs.items():
        model = context.model(
            f"isometric-{name}",
            seed,
            "isometric_mini",
            f"steps={sizes.isometry_steps}",
            *overrides,
            parts=Parts(init=context.base_folder(seed)),
        )
        models[name], found[name] = model, measured(context, model, seed)
    sweep = [CONTROL, *(f"{factor:g}" for factor in sizes.isometry_ratios)]
    control, paper = found[CONTROL], found[PAPER]
    lengths, of_control = (path_draws(context, models[name], seed) for name in (PAPER, CONTROL))
    figures = {
        "λ": weight,
        "d": paper["dimension"],
        "L_iso base": found["base"]["isometry"],
        "L_iso control": control["isometry"],
        "L_iso / control": ratio(paper["isometry"], control["isometry"]),
        "mRTL ideal": paper["mrtl_ideal"],
        "mRTL control": control["mrtl"],
        "mRTL - control": paper["mrtl"] - control["mrtl"],
        "mRTL - ideal": paper["mrtl"] - paper["mrtl_ideal"],
        "MCN / control": ratio(paper["mcn"], control["mcn"]),
        "VoR / control": ratio(paper["vor"], control["vor"]),
        "PPL / control": ratio(ppl(lengths), ppl(of_control)),
        "PPL median / control": ratio(lengths.median().item(), of_control.median().item()),
        "FD floor": context.fd_floor(sizes.geometry_samples),
        "FD / control": ratio(paper["fd"], control["fd"]),
        "loss / control": ratio(paper["loss"], control["loss"]),
        "falls of L_iso": falling([found[name]["isometry"] for name in sweep]),
        "falls of mRTL": falling([found[name]["mrtl"] for name in sweep]),
    }
    for name in ("flat", "late"):
        figures[f"L_iso {name} / control"] = ratio(found[name]["isometry"], control["isometry"])
        figures[f"mRTL {name} - control"] = found[name]["mrtl"] - control["mrtl"]
    curves = {
        "L_iso": [(float(name), found[name]["isometry"]) for name in sweep],
        "mRTL": [(float(name), found[name]["mrtl"]) for name in sweep],
        "ideal": [(float(name), found[name]["mrtl_ideal"]) for name in sweep],
    }
    return Outcome(figures, curves)


@torch.no_grad()
def measured(context: Context, model: BaseModel, seed: int) -> Figures:
    """The scores of one model; every model of a seed sees the same noises, times, probes and images."""
    sizes = context.sizes
    noises = _pairs(context, sizes.geometry_pairs, seed)
    generator = torch.Generator().manual_seed(seed)
    steps = sizes.geometry_steps
    scores = mean_scores([time_scores(model, noises, generator, t, steps=steps, parts=steps) for t in sizes.geometry_times])
    u = context.noise(sizes.geometry_samples, NOISE + seed)
    samples = context.ddim(model.composite(None), model, u, steps)
    y = model.state(context.pictures(context.held_out(LOSS_IMAGES)))
    t, eps = model.draw(y, torch.Generator().manual_seed(seed))
    loss = model.denoising(model.composite(None), y, t, eps).mean().item()
    return asdict(scores) | {"fd": context.fd(samples), "loss": loss}


@torch.no_grad()
def path_draws(context: Context, model: BaseModel, seed: int) -> Tensor:
    """Perceptual path lengths (n,) of one model; every model of a seed sees the same noises and places on the arcs."""
    sizes, generator = context.sizes, torch.Generator().manual_seed(seed)
    denoiser = model.composite(None)

    def generate(u: Tensor) -> Tensor:
        return context.ddim(denoiser, model, u, sizes.geometry_steps)

    sides = zip(*(side.split(CHUNK) for side in _pairs(context, sizes.path_draws, seed)), strict=True)
    return torch.cat([path_lengths(generate, context.regressor.distance, a, b, generator) for a, b in sides])


def _pairs(context: Context, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """n pairs of noises of a seed."""
    return context.noise(n, NOISE + seed), context.noise(n, NOISE + 1000 + seed)

"""E7: what users expect beside the methods: inversion, edit-friendly inversion, pullback directions, principal directions."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.diffusion import invert, invert_noises, sample, time_grid
from tts.image.base import BaseModel
from tts.image.geometry.hspace import encoder_half, recorded_h, states_at
from tts.image.geometry.pca import principal_directions
from tts.image.geometry.pullback import pullback_directions, pullback_edit, pullback_length
from tts.training.experiments.context import Context, drawn
from tts.training.experiments.expectations import Expectation, Figures, Outcome, falling, ratio
from tts.training.experiments.plots import Plot

TITLE = "Extras: inversion, pullback directions, principal directions of h"
NOISE = 12000  # seeds of states from here on
FIXED_POINTS = 3  # iterations
PULLBACK_TIME = 0.7
PULLBACK_ITERATIONS = 20
PARTS = 5  # principal directions that the factors are explained by
SHARES = (0.25, 0.5, 0.75)  # of the steps, at which h is looked at

EXPECTATIONS = (
    Expectation("inversion error, fewest steps", "root mean square, images in [-1, 1]"),
    Expectation("inversion error, most steps", "root mean square"),
    Expectation("falls of the inversion error", "with the number of steps, share of neighbours", above=0.99),
    Expectation("order of the inversion error", "slope over ln steps: 1 / S is -1", below=-0.5, proposed=True),
    Expectation("fixed point / plain", "three iterations lower it, at 20 steps or nearest", below=1.0),
    Expectation("edit-friendly error", "largest, of any pixel: exact", below=1e-5),
    Expectation("pullback v_1 / random", "readout change per unit of pullback length", above=2.0, proposed=True),
    Expectation("pullback v_1 / random, in x", "the same per unit of length in x"),
    Expectation("principal R²", "the best explained factor, five directions, images held out", above=0.5, proposed=True),
    Expectation("principal R², shuffled", "control: readouts of other images"),
)
PLOTS = (Plot("inversion", ("plain", "fixed point"), "steps", "root mean square error", log_x=True, log_y=True),)


def run(context: Context, seed: int) -> Outcome:
    """Measure the base of this seed."""
    base = context.base(seed)
    columns = [c for own in context.columns("scale", "x", "y").values() for c in own]
    figures, curves = _inversions(context, base, seed)
    figures |= _pullback(context, base, columns, seed) | _principal(context, base, columns, seed)
    return Outcome(figures, curves)


@torch.no_grad()
def _inversions(context: Context, base: BaseModel, seed: int) -> tuple[Figures, dict[str, list[tuple[float, float]]]]:
    """DDIM inversion over steps, with and without the fixed point, and the edit-friendly one."""
    sizes, denoiser, schedule = context.sizes, base.composite(None), base.schedule
    index = context.held_out(context.reading.n_held_out)
    x = context.pictures(np.random.default_rng(seed).choice(index, sizes.inverted, replace=False))

    def error(steps: int, iterations: int) -> float:
        times = time_grid(schedule, steps)
        u = invert(denoiser, x, schedule, times, iterations)
        return (sample(denoiser, u, schedule, times, sampler="ddim") - x).square().mean().sqrt().item()

    plain = [(float(steps), error(steps, 0)) for steps in sizes.inversion_steps]
    # more steps than two suffice to see what the iterations do
    fixed = [(float(steps), error(steps, FIXED_POINTS)) for steps in sizes.inversion_steps[:3]]
    nearest = min(range(len(fixed)), key=lambda i: abs(fixed[i][0] - 20))
    times = time_grid(schedule, sizes.inversion_steps[nearest])
    path = invert_noises(denoiser, x, schedule, times, drawn(NOISE + seed))
    steps, errors = np.log(np.array(plain)).T
    figures = {
        "inversion error, fewest steps": plain[0][1],
        "inversion error, most steps": plain[-1][1],
        "falls of the inversion error": falling([value for _, value in plain]),
        "order of the inversion error": float(np.polyfit(steps, errors, 1)[0]),
        "fixed point / plain": ratio(fixed[nearest][1], plain[nearest][1]),
        "edit-friendly error": (path.replay(denoiser, schedule, times) - x).abs().max().item(),
    }
    return figures, {"plain": plain, "fixed point": fixed}


@torch.no_grad()
def _pullback(context: Context, base: BaseModel, columns: list[int], seed: int) -> Figures:
    """How much an edit along v_1, and along a random direction of x, changes the readouts of the image."""
    sizes, denoiser, schedule = context.sizes, base.composite(None), base.schedule
    noise = context.noise(sizes.pullback_points, NOISE + seed)
    x = states_at(denoiser, schedule, PULLBACK_TIME, steps=sizes.sampling_steps)(noise)
    f = encoder_half(base.unet, PULLBACK_TIME)
    generator = torch.Generator().manual_seed(seed)
    first = pullback_directions(f, x, 1, generator, iterations=PULLBACK_ITERATIONS).x_directions[:, 0]
    other = torch.randn(x.shape, generator=generator)
    other = other / other.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    times = torch.linspace(PULLBACK_TIME, 0, sizes.sampling_steps + 1, dtype=torch.float64)

    def read(state: Tensor) -> NDArray[np.float64]:
        return context.readouts(sample(denoiser, state, schedule, times, sampler="ddim"))[:, columns]

    before, rates, plain_rates = read(x), [], []
    for direction in (first, other):
        moved = pullback_edit(denoiser, x, torch.tensor(PULLBACK_TIME), direction)
        change = np.linalg.norm(read(moved) - before, axis=1)
        rates.append(float((change / pullback_length(f, x, moved - x).numpy()).mean()))
        plain_rates.append(float((change / (moved - x).flatten(1).norm(dim=1).numpy()).mean()))
    return {"pullback v_1 / random": ratio(*rates), "pullback v_1 / random, in x": ratio(*plain_rates)}


@torch.no_grad()
def _principal(context: Context, base: BaseModel, columns: list[int], seed: int) -> Figures:
    """The best R^2 with which five principal directions of h explain a factor's readout, on the half not fitted on."""
    sizes = context.sizes
    with recorded_h(base.unet) as made:
        images = context.ddim(base.composite(None), base, context.noise(sizes.pca_samples, NOISE + 500 + seed))
    steps = sizes.sampling_steps
    # chunks came one after the other, each with all its steps
    chunks = [made[i : i + steps] for i in range(0, len(made), steps)]
    readouts = context.readouts(images)[:, columns]
    order = np.random.default_rng(seed).permutation(len(readouts))
    found, shuffled = [], []
    for share in SHARES:
        h = torch.cat([chunk[int(share * steps)] for chunk in chunks])
        coordinates = principal_directions(h, PARTS).coordinates(h).numpy().astype(np.float64)
        found.append(_explained(coordinates, readouts))
        shuffled.append(_explained(coordinates, readouts[order]))
    return {"principal R²": max(found), "principal R², shuffled": max(shuffled)}


def _explained(coordinates: NDArray[np.float64], readouts: NDArray[np.float64]) -> float:
    """The largest R^2 of a readout, fitted linearly on every other image and judged on the rest."""
    design = np.column_stack([coordinates, np.ones(len(coordinates))])
    weights = np.linalg.lstsq(design[::2], readouts[::2], rcond=None)[0]
    truth = readouts[1::2]
    residual = ((truth - design[1::2] @ weights) ** 2).sum(axis=0)
    return float((1 - residual / ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)).max())

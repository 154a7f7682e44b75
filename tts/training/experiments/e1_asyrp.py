"""E1: Asyrp makes sprites larger and moves them to the right; against symmetric injection and plain step counts."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.diffusion import time_grid
from tts.image.asyrp import sample_edited
from tts.image.base import BaseModel
from tts.image.delta_h import DeltaBlock, DeltaBlockConfig
from tts.image.directional import EditLossConfig, group_direction
from tts.image.edit_steps import Attribute, Injection, StrengthUnit
from tts.image.edit_times import measure_profile
from tts.image.h_space import h_space
from tts.training.asyrp import AsyrpTraining, EditLatents, train_delta
from tts.training.experiments.context import CHUNK, Context
from tts.training.experiments.expectations import Expectation, Outcome, falling, ratio
from tts.training.experiments.plots import Plot

TITLE = "Asyrp: `scale +` and `x +`, shifts of readouts in deviations of real images"
TARGETS = ("scale", "x")
STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
WEAK = 0.2  # strength at which five times as many unscaled steps do not saturate
SWEEP = 5  # values of t_edit, from the profile's own up to near 1
GROUP = 2000  # real images from which the direction is found: its highest and lowest third
TRAINED, MEASURED = 2000, 3000  # seeds of states from here on
LATEST = 0.9  # of t_edit, where a profile rises at the very end only

EXPECTATIONS = (
    Expectation("t_edit", "from the profile of the model"),
    Expectation("shift scale", "(a) the target moves", above=1.0, proposed=True),
    Expectation("leakage / shift", "(b) largest shift of another factor", below=0.25, proposed=True),
    Expectation("unsigned leakage / shift", "the same of single images, where both ways do not cancel"),
    Expectation("R² of strength", "(c) linear in the strength from -1 to 1.5", above=0.9, proposed=True),
    Expectation("shift at -1 / shift", "(c) turns round", below=0.0),
    Expectation("shift x", "the second attribute moves"),
    Expectation("joint - sum / sum", "(d) two attributes add up", below=0.25, proposed=True),
    Expectation("symmetric / asymmetric", "(e) control: the symmetric step hardly edits", below=1 / 3),
    Expectation("many steps / few - 1", "(f) weights by step length: as strong in 200 steps", below=0.15, proposed=True),
    Expectation("many steps / few, unscaled", "(f) control: without them about five times as strong", above=2.0, proposed=True),
    Expectation("rises of shift", "(g) grows as t_edit falls, share of neighbours", above=0.99),
    Expectation("rises of leakage", "(g) so does the leakage", above=0.99),
    Expectation("FD edited / FD", "price in quality of an edit at strength 1"),
)
PLOTS = (
    Plot("strength", ("scale", "x", "y"), "strength of the edit scale +", "shift of the readout"),
    Plot("t_edit", ("shift over t_edit", "leakage over t_edit"), "t_edit", "shift"),
)


@dataclass(frozen=True)
class Bench:
    """One model, the states that edits are measured on, and their unedited readouts."""

    context: Context
    model: BaseModel
    u: Tensor
    before: NDArray[np.float64]

    @torch.no_grad()
    def edit(self, attributes: Sequence[Attribute], steps: int, **options: Any) -> Tensor:
        """The edited images of all states."""
        space, times = h_space(self.model), time_grid(self.model.schedule, steps)
        return torch.cat([sample_edited(space, attributes, u, times, **options) for u in self.u.split(CHUNK)])

    def moves(self, attributes: Sequence[Attribute], steps: int, **options: Any) -> NDArray[np.float64]:
        """How far each readout of each image moved, (n, columns), in deviations; `before` must be of as many steps."""
        return self.context.readouts(self.edit(attributes, steps, **options)) - self.before


def run(context: Context, seed: int) -> Outcome:
    """Train both edits on states of this seed and measure them on others."""
    sizes, model = context.sizes, context.base(seed)
    columns = context.columns(*TARGETS, "y")
    t_edit = profile_time(context, model)
    edits = {name: trained_edit(context, model, name, t_edit, seed) for name in TARGETS}
    u = context.noise(sizes.edit_latents, MEASURED + seed)
    bench = Bench(context, model, u, context.readouts(context.ddim(model.composite(None), model, u, sizes.edit_steps)))
    scale, few = edits["scale"], sizes.edit_steps
    at = {
        c: (bench.moves([dataclasses.replace(scale, strength=c)], few) if c else np.zeros_like(bench.before)) for c in STRENGTHS
    }
    shifts = {c: signed(moves, columns) for c, moves in at.items()}
    shift = shifts[1.0]["scale"]
    figures = {
        "t_edit": t_edit,
        "shift scale": shift,
        "leakage / shift": ratio(leakage(shifts[1.0], "scale"), abs(shift)),
        "unsigned leakage / shift": ratio(leakage(signed(np.abs(at[1.0]), columns), "scale"), abs(shift)),
        "R² of strength": straightness([(c, shifts[c]["scale"]) for c in STRENGTHS]),
        "shift at -1 / shift": ratio(shifts[-1.0]["scale"], shift),
        "FD edited / FD": ratio(
            context.fd(bench.edit([scale], few)), context.fd(context.ddim(model.composite(None), model, u))
        ),
    }
    figures |= _additivity(bench, edits, columns, shifts[1.0])
    symmetric = signed(bench.moves([scale], few, injection=Injection.symmetric), columns)["scale"]
    figures["symmetric / asymmetric"] = abs(ratio(symmetric, shift))
    figures |= _step_counts(bench, scale, columns, shift)
    sweep = []
    for time in np.linspace(max(0.95, t_edit), t_edit, SWEEP).tolist():
        found = signed(bench.moves([dataclasses.replace(scale, t_edit=time)], few), columns)
        sweep.append((time, found["scale"], leakage(found, "scale")))
    figures["rises of shift"] = falling([-value for _, value, _ in sweep])
    figures["rises of leakage"] = falling([-value for *_, value in sweep])
    curves = {name: [(c, shifts[c][name]) for c in STRENGTHS] for name in ("scale", "x", "y")}
    curves["shift over t_edit"] = [(time, value) for time, value, _ in sweep]
    curves["leakage over t_edit"] = [(time, value) for time, _, value in sweep]
    return Outcome(figures, curves)


def profile_time(context: Context, model: BaseModel) -> float:
    """t_edit of the model's own profile, in the reader's features, no later than LATEST."""
    sizes = context.sizes
    times = time_grid(model.schedule, sizes.sampling_steps)
    x = context.pictures(context.held_out(min(100, sizes.samples)))
    distance = context.regressor.distance
    profile = measure_profile(model.composite(None), x, model.schedule, times, lambda a, b: distance(a, b).sqrt())
    return min(profile.t_edit(), LATEST)


def trained_edit(context: Context, model: BaseModel, name: str, t_edit: float, seed: int) -> Attribute:
    """The change of h that raises a factor, trained on drawn states towards images that have more of it."""
    sizes, regressor = context.sizes, context.regressor
    width = model.config.unet.base
    sizes_of_h = DeltaBlockConfig(channels=width * model.config.unet.multipliers[-1], time_dim=4 * width)

    def make() -> tuple[DeltaBlock, dict[str, Any]]:
        index = context.held_out(GROUP)
        order, third = context.labels(index, name).argsort(kind="stable"), len(index) // 3
        groups = [context.pictures(index[part]) for part in (order[:third], order[-third:])]
        direction = group_direction(regressor.features, *groups)
        latents = EditLatents(u=context.noise(sizes.edit_latents, TRAINED + seed), direction=direction)
        loss = EditLossConfig(reconstruction=1.0)
        config = AsyrpTraining(steps=sizes.edit_steps, t_edit=t_edit, epochs=sizes.edit_epochs, loss=loss)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # noqa: TID251  initial weights know no generator
            delta = DeltaBlock(sizes_of_h)
        final = train_delta(config, model, delta, latents, regressor.features, torch.Generator().manual_seed(seed))
        return delta, {"loss": final}

    delta, _ = context.part(f"asyrp-{name}-seed{seed}", lambda: DeltaBlock(sizes_of_h), make)
    return Attribute(delta=delta, steps=sizes.edit_steps, t_edit=t_edit)


def signed(moves: NDArray[np.float64], columns: dict[str, list[int]]) -> dict[str, float]:
    """The mean move of each factor over the images: of a category that of the class that moves most."""
    means = moves.mean(axis=0)
    return {name: float(means[max(own, key=lambda c: abs(means[c]))]) for name, own in columns.items()}


def leakage(shifts: dict[str, float], target: str) -> float:
    """The largest |shift| of another factor than the target."""
    return max(abs(value) for name, value in shifts.items() if name != target)


def straightness(points: Sequence[tuple[float, float]]) -> float:
    """R^2 of the straight line through points (x, y)."""
    x, y = np.array(points).T
    residual = y - np.polyval(np.polyfit(x, y, 1), x)
    return 1 - ratio(float((residual**2).sum()), float(((y - y.mean()) ** 2).sum()))


def _additivity(
    bench: Bench, edits: dict[str, Attribute], columns: dict[str, list[int]], alone: dict[str, float]
) -> dict[str, float]:
    """|joint - sum| / |sum| over both targets, and the shift of the second edit."""
    steps = bench.context.sizes.edit_steps
    other = signed(bench.moves([edits["x"]], steps), columns)
    joint = signed(bench.moves([edits["scale"], edits["x"]], steps), columns)
    both = np.array([alone[name] + other[name] for name in TARGETS])
    gap = np.linalg.norm(np.array([joint[name] for name in TARGETS]) - both)
    return {"shift x": other["x"], "joint - sum / sum": ratio(float(gap), float(np.linalg.norm(both)))}


def _step_counts(bench: Bench, scale: Attribute, columns: dict[str, list[int]], shift: float) -> dict[str, float]:
    """The shift in many steps over that in few, with the strength by the length of a step and by their number."""
    few, many = bench.context.sizes.edit_steps, bench.context.sizes.edit_many
    images = bench.context.ddim(bench.model.composite(None), bench.model, bench.u, many)
    fine = dataclasses.replace(bench, before=bench.context.readouts(images))
    weak = dataclasses.replace(scale, strength=WEAK)
    scaled = signed(fine.moves([scale], many), columns)["scale"]
    unscaled = signed(fine.moves([weak], many, unit=StrengthUnit.step), columns)["scale"]
    at_few = signed(bench.moves([weak], few, unit=StrengthUnit.step), columns)["scale"]
    return {
        "many steps / few - 1": abs(ratio(scaled, shift) - 1),
        "many steps / few, unscaled": ratio(unscaled, at_few),
    }

"""E1: Asyrp makes sprites larger and moves them to the right; against symmetric injection and plain step counts."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tts.image.edit_steps import Attribute, Injection, StrengthUnit
from tts.training.experiments.context import Context
from tts.training.experiments.edit_bench import (
    TRAINED,
    Bench,
    calibrated,
    leakage,
    profile_time,
    signed,
    trained_edit,
    true_cosine,
)
from tts.training.experiments.expectations import Expectation, Outcome, falling, ratio
from tts.training.experiments.plots import Plot

TITLE = "Asyrp: `scale +` and `x +`, shifts of readouts in deviations of real images"
TARGETS = ("scale", "x")
STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
WEAK = 0.2  # strength at which five times as many unscaled steps do not saturate
SWEEP = 5  # values of t_edit, from 1 down to the profile's own
MEASURED = 3000  # seeds of states from here on

EXPECTATIONS = (
    Expectation("t_edit", "from the profile of the model"),
    Expectation("cosine of true edits", "real images that differ in scale alone, with the direction; the loss asks for 1"),
    Expectation("gain", "what strength 1 multiplies the trained change of h by, chosen on the states of the training"),
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


def run(context: Context, seed: int) -> Outcome:
    """Train both edits on states of this seed and measure them on others."""
    sizes, model = context.sizes, context.base(seed)
    columns = context.columns(*TARGETS, "y")
    t_edit = profile_time(context, model)
    few = sizes.edit_steps
    trained, bench = (Bench.on(context, model, first + seed, few) for first in (TRAINED, MEASURED))
    gains, edits = {}, {}
    for name in TARGETS:
        plain = trained_edit(context, model, name, t_edit, seed)
        edits[name], gains[name] = calibrated(trained, plain, name, columns, few)
    scale = edits["scale"]
    at = {
        c: (bench.moves([dataclasses.replace(scale, strength=c)], few) if c else np.zeros_like(bench.before)) for c in STRENGTHS
    }
    shifts = {c: signed(moves, columns) for c, moves in at.items()}
    shift = shifts[1.0]["scale"]
    figures = {
        "t_edit": t_edit,
        "cosine of true edits": true_cosine(context, "scale"),
        "gain": gains["scale"],
        "shift scale": shift,
        "leakage / shift": ratio(leakage(shifts[1.0], "scale"), abs(shift)),
        "unsigned leakage / shift": ratio(leakage(signed(np.abs(at[1.0]), columns), "scale"), abs(shift)),
        "R² of strength": straightness([(c, shifts[c]["scale"]) for c in STRENGTHS]),
        "shift at -1 / shift": ratio(shifts[-1.0]["scale"], shift),
        "FD edited / FD": ratio(context.fd(bench.edit([scale], few)), context.fd(bench.unedited)),
    }
    figures |= _additivity(bench, edits, columns, shifts[1.0])
    symmetric = signed(bench.moves([scale], few, injection=Injection.symmetric), columns)["scale"]
    figures["symmetric / asymmetric"] = abs(ratio(symmetric, shift))
    figures |= _step_counts(bench, scale, columns, shift, MEASURED + seed)
    sweep = []
    for time in sweep_times(few, t_edit):
        found = signed(bench.moves([dataclasses.replace(scale, t_edit=time)], few), columns)
        sweep.append((time, found["scale"], leakage(found, "scale")))
    figures["rises of shift"] = falling([-value for _, value, _ in sweep])
    figures["rises of leakage"] = falling([-value for *_, value in sweep])
    curves = {name: [(c, shifts[c][name]) for c in STRENGTHS] for name in ("scale", "x", "y")}
    curves["shift over t_edit"] = [(time, value) for time, value, _ in sweep]
    curves["leakage over t_edit"] = [(time, value) for time, _, value in sweep]
    return Outcome(figures, curves)


def sweep_times(steps: int, t_edit: float) -> list[float]:
    """Up to SWEEP times of the uniform grid, from 1 down to the last that is edited, each of more steps than the one before."""
    n_edited = int(np.floor((1 - t_edit) * steps + 1e-6)) + 1
    counts = sorted({round(count) for count in np.linspace(1, n_edited, SWEEP)})
    return [1 - (count - 1) / steps for count in counts]


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


def _step_counts(bench: Bench, scale: Attribute, columns: dict[str, list[int]], shift: float, seed: int) -> dict[str, float]:
    """The shift in many steps over that in few, with the strength by the length of a step and by their number."""
    few, many = bench.context.sizes.edit_steps, bench.context.sizes.edit_many
    fine = Bench.on(bench.context, bench.model, seed, many)
    weak = dataclasses.replace(scale, strength=WEAK)
    scaled = signed(fine.moves([scale], many), columns)["scale"]
    unscaled = signed(fine.moves([weak], many, unit=StrengthUnit.step), columns)["scale"]
    at_few = signed(bench.moves([weak], few, unit=StrengthUnit.step), columns)["scale"]
    return {
        "many steps / few - 1": abs(ratio(scaled, shift) - 1),
        "many steps / few, unscaled": ratio(unscaled, at_few),
    }

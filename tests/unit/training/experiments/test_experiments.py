"""The experiments E0 to E7: each from end to end with tiny models, its controls present; rows made once; tables judged."""

import math

import pytest
import torch

from tts.image.groups.trajectories import Trajectories
from tts.image.groups.transitions import build_transition
from tts.training.experiments import run as runner
from tts.training.experiments.context import Context
from tts.training.experiments.edit_bench import true_cosine
from tts.training.experiments.expectations import outcome_from
from tts.training.experiments.run import MODULES, experiment, run_experiments
from tts.training.experiments.sizes import FAST
from tts.training.experiments.steps_bench import step_configs

CONTROLS = {
    "E0": {"FD floor", "FD ceiling", "FD blurred", "FD untrained"},
    "E1": {"symmetric / asymmetric", "many steps / few - 1", "many steps / few, unscaled"},
    "E2": {"L_iso control", "mRTL control", "FD floor", "FD / control", "loss / control", "PPL median / control"},
    "E3": {"FD early / FD", "FD floor", "FD no Langevin / FD", "FD no noise / FD no Langevin", "FLOPs share - formula"},
    "E4": {"hits w = 0", "both, plain sum", "both, robust sum", "diversity w = 3 / w = 0"},
    "E5": {
        "success",
        "D_LSBD without actions",
        "error after 32, unstructured",
        "pixels after 32, unstructured",
        "3 factors, success",
        "3 factors, D_LSBD without actions",
    },
    "E6": {
        "error after 8, unstructured",
        "error after 8, free",
        "still after 8",
        "attribute, held out, unstructured",
        "attribute, held out, still",
        "attribute, pixels, group / not told",
    },
    "E7": {"inversion error, fewest steps", "edit-friendly error", "principal R², shuffled"},
}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """One folder for all: the base is trained once."""
    return tmp_path_factory.mktemp("experiments")


def figures_of(name, out):
    return outcome_from(runner.read_json(out / "rows" / f"{name}-seed0.json")).figures


def test_true_edits_lie_along_the_direction_of_a_reader_that_reads_straight_and_of_no_other(tmp_path):
    context = Context(tmp_path, FAST)
    mean_place = torch.linspace(-1, 1, 16).expand(16, 16)  # brightness times x

    class Reader:
        def __init__(self, skew):
            self.skew = skew

        def features(self, x):
            place, mass = ((x + 1) * mean_place).sum((1, 2, 3)), (x + 1).sum((1, 2, 3))
            return torch.stack([place / mass, self.skew * (place / mass) ** 2], dim=1)

    cosines = []
    for skew in (0.0, 20.0):
        context.__dict__["_reader"] = (Reader(skew), {})
        cosines.append(true_cosine(context, "x"))
    assert cosines[0] == pytest.approx(1, abs=1e-6) and cosines[1] < 0.7


@pytest.mark.parametrize("name", MODULES)
def test_an_experiment_runs_from_end_to_end_with_its_controls(name, out):
    text = run_experiments(out, [name], [0], threads=1, fast=True)
    each = experiment(name)
    figures = figures_of(name, out)
    assert CONTROLS[name] <= set(figures) == {row.figure for row in each.expectations}
    assert {key: value for key, value in figures.items() if not math.isfinite(value)} == {}
    assert text.startswith("**A fast run, to be compared with nothing.** sprites, 16 pixels; base models of 40 steps")
    shown = [row.figure.replace("|", r"\|") for row in each.expectations]  # a bar in a name would end the cell
    assert f"## {each.title}" in text and [name for name in shown if f"| {name} |" not in text] == []
    assert (out / "RESULTS.md").read_text() == text
    assert all((out / "plots" / f"{name}-{plot.name}.png").stat().st_size > 1000 for plot in each.plots)


def test_the_numbers_of_parameters_that_the_table_of_e6_says_are_those_of_the_predictors():
    found = {}
    for action_dim in (1, 2):
        runs = Trajectories(torch.zeros(1, 4, 1, 8, 8), torch.zeros(1, 4, action_dim))
        configs = step_configs(runs)
        assert configs["unstructured"].phi_width == 1
        for name in ("group", "unstructured"):
            found[name, action_dim] = sum(p.numel() for p in build_transition(configs[name]).parameters())
    text = {row.figure: row.expected for row in experiment("E6").expectations}
    for row, dim in (("error after 8, unstructured", 1), ("attribute, held out, unstructured", 2)):
        assert f"width 1, {found['unstructured', dim]} parameters against {found['group', dim]}" in text[row]


def test_fine_tuning_with_the_isometry_term_ends_elsewhere_than_the_control(out):
    run_experiments(out, ["E2"], [0], fast=True)
    figures = figures_of("E2", out)
    assert abs(figures["L_iso / control"] - 1) > 1e-6 and abs(figures["loss / control"] - 1) > 1e-7
    assert figures["L_iso base"] != figures["L_iso control"]

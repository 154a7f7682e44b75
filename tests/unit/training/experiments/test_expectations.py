"""Tables of experiments: who passes, what is written, what is made once, and what is refused."""

import math

import pytest

from tts.apps.cli import main
from tts.errors import ConfigError
from tts.training.experiments import run as runner
from tts.training.experiments.expectations import Expectation, Outcome, experiment_table, falling, outcome_dict, outcome_from
from tts.training.experiments.plots import Plot
from tts.training.experiments.run import Experiment, run_experiments


@pytest.fixture
def counted(monkeypatch):
    """One experiment that costs nothing, and the seeds it was asked for."""
    asked = []

    def run(context, seed):
        asked.append(seed)
        return Outcome({"gain": 1.0 + seed, "rest": math.nan}, {"curve": [(0.0, 1.0), (1.0, 2.0)]})

    rows = (Expectation("gain", "up", above=1.5, proposed=True), Expectation("rest", "none", below=1.0))
    fake = Experiment("E7", "E7 Fake", rows, (Plot("curve", ("curve",), "x", "y"),), run)
    monkeypatch.setattr(runner, "experiment", lambda name: fake)
    monkeypatch.setattr(runner, "MODULES", {"E7": "fake"})
    return asked


def test_the_mean_over_the_seeds_is_on_the_right_side_or_the_verdict_is_not_reached():
    assert Expectation("a", "", below=1.0).verdict([0.5, 1.4]) == "pass"
    assert Expectation("a", "", below=1.0).verdict([0.5, 1.5]) == "not reached"
    assert Expectation("a", "", below=1.15, above=0.85).verdict([0.8]) == "not reached"
    assert Expectation("a", "", above=0.0).verdict([2.0, math.nan]) == "not reached"
    assert Expectation("a", "", above=0.0).verdict([]) == "not reached"
    assert Expectation("a", "to compare").verdict([2.0]) == ""


def test_a_table_has_direction_spread_threshold_and_verdict():
    rows = (Expectation("gain", "up", above=1.5, proposed=True), Expectation("base", "to compare"))
    table = experiment_table("E9 Nothing", rows, {0: {"gain": 1.0, "base": 4.0}, 2: {"gain": 3.0, "base": 4.0}}, 1.25)
    assert "## E9 Nothing" in table
    assert "| gain | up | 2 ± 1.4 | > 1.5* | pass |" in table
    assert "| base | to compare | 4 ± 0 |  |  |" in table
    assert "the seeds 0, 2; 1.2 CPU minutes" in table
    assert r"| \|x\| | a norm | 1 |  |  |" in experiment_table("E9", (Expectation("|x|", "a norm"),), {0: {"|x|": 1.0}}, 0)


def test_shares_of_falling_neighbours():
    assert falling([3.0, 2.0, 2.0, 1.0]) == pytest.approx(2 / 3)
    assert falling([2.0, 1.0]) == 1.0 and math.isnan(falling([1.0]))


def test_a_row_holds_figures_that_are_not_numbers():
    outcome = Outcome({"a": 0.5, "b": math.nan}, {"c": [(1.0, 2.0)]})
    values = outcome_dict(outcome)
    assert values["figures"] == {"a": 0.5, "b": None}
    found = outcome_from(values)
    assert found.figures["a"] == 0.5 and math.isnan(found.figures["b"]) and found.curves == outcome.curves


def test_rows_are_made_once_and_new_seeds_join_them(counted, tmp_path):
    first = run_experiments(tmp_path, ["E7"], [0, 1], fast=True)
    assert counted == [0, 1] and "| gain | up | 1.5 ± 0.71 | > 1.5* | not reached |" in first
    assert "| rest | none | nan ± nan | < 1 | not reached |" in first
    assert run_experiments(tmp_path, ["E7"], [0, 1], fast=True) == first == (tmp_path / "RESULTS.md").read_text()
    second = run_experiments(tmp_path, [], [1, 2], fast=True)
    assert counted == [0, 1, 2] and "| gain | up | 2 ± 1 | > 1.5* | pass |" in second
    assert (tmp_path / "plots" / "E7-curve.png").exists()


def test_a_killed_run_keeps_the_rows_it_has(counted, tmp_path, monkeypatch):
    run_experiments(tmp_path, [], [0], fast=True)
    monkeypatch.setattr(runner, "write_json", None)  # nothing may be written any more
    assert "the seeds 0;" in run_experiments(tmp_path, [], [0], fast=True)


def test_other_sizes_and_unknown_experiments_are_refused(counted, tmp_path, monkeypatch, capsys):
    run_experiments(tmp_path, [], [0], fast=True)
    with pytest.raises(ConfigError, match=r"made with other sizes \(size: 16 there, 32 here; .*steps: 30 there, 6000 here"):
        run_experiments(tmp_path, [], [0])
    monkeypatch.undo()
    assert main(["image", "experiments", "--out", str(tmp_path / "new"), "--only", "E9"]) != 0
    assert "no experiment 'E9'. Known: E0, E1" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()

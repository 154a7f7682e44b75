"""What an experiment should show: each figure with its expected direction and threshold, judged over the seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

Figures = dict[str, float]

BAR = r"\|"  # within a cell of a Markdown table


@dataclass(frozen=True)
class Outcome:
    """What one experiment found with one seed.

    figures: numbers by name, those of its expectations among them; NaN where one is undefined, which never passes.
    curves: name -> points (x, y) for the plots.
    """

    figures: Figures
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Expectation:
    """One row of a table.

    figure: its name.
    expected: the direction, in words.
    below, above: the threshold; the mean over the seeds must be strictly on the right side of all that are given. Without
        any the figure stands there to be compared with others.
    proposed: whether the threshold is a proposal, not measured before; marked with a star.
    """

    figure: str
    expected: str
    below: float | None = None
    above: float | None = None
    proposed: bool = False

    @property
    def threshold(self) -> str:
        """The threshold as it stands in the table."""
        sides = [f"{sign} {value:g}" for sign, value in ((">", self.above), ("<", self.below)) if value is not None]
        return " and ".join(sides) + ("*" if self.proposed and sides else "")

    def verdict(self, values: Sequence[float]) -> str:
        """`pass` or `not reached` for the values of the seeds; empty where nothing is asked."""
        if self.below is None and self.above is None:
            return ""
        mean = float(np.mean(values)) if values else math.nan
        # a NaN is on no side
        high = self.below is None or mean < self.below
        low = self.above is None or mean > self.above
        return "pass" if high and low else "not reached"


def experiment_table(title: str, expectations: Sequence[Expectation], rows: Mapping[int, Figures], minutes: float) -> str:
    """A Markdown table of the figures of all seeds.

    Args:
        title: heading of the experiment.
        expectations: the rows.
        rows: the figures of each seed.
        minutes: CPU minutes of all seeds.
    """
    lines = [
        f"## {title}",
        "",
        "| figure | expected | found | threshold | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in expectations:
        values = [figures[row.figure] for figures in rows.values()]
        cells = (row.figure, row.expected, spread(values), row.threshold, row.verdict(values))
        lines.append(f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |")
    seeds = ", ".join(str(seed) for seed in sorted(rows)) or "none"
    lines += ["", f"Mean ± deviation over the seeds {seeds}; {minutes:.1f} CPU minutes. * a proposed threshold."]
    return "\n".join(lines) + "\n"


def spread(values: Sequence[float]) -> str:
    """Mean ± deviation; of one value itself, of none a dash."""
    if not values:
        return "–"
    mean = np.mean(values)
    return f"{mean:.4g}" if len(values) == 1 else f"{mean:.4g} ± {np.std(values, ddof=1):.2g}"


def ratio(a: float, b: float) -> float:
    """a / b, NaN where b is 0: a comparison with nothing passes no threshold."""
    return a / b if b else math.nan


def falling(values: Sequence[float]) -> float:
    """The share of neighbours that fall, 1 for a strictly falling sequence."""
    steps = [b < a for a, b in pairwise(values)]
    return sum(steps) / len(steps) if steps else math.nan


def outcome_dict(outcome: Outcome) -> dict[str, Any]:
    """The outcome as plain values, NaN as None: what JSON can hold."""
    figures = {name: None if math.isnan(value) else float(value) for name, value in outcome.figures.items()}
    return {"figures": figures, "curves": outcome.curves}


def outcome_from(values: Mapping[str, Any]) -> Outcome:
    """The outcome that `outcome_dict` made."""
    figures = {name: math.nan if value is None else float(value) for name, value in values["figures"].items()}
    return Outcome(figures, {name: [(x, y) for x, y in points] for name, points in values["curves"].items()})

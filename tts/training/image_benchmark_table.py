"""The table of a benchmark: mean and deviation of every method over its seeds."""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tts.data.files import read_json
from tts.inference.image_report import image_table


def benchmark_table(folder: Path, order: Sequence[str], setting: str) -> str:
    """The rows so far, mean ± deviation over seeds, and under which conditions they were made.

    Args:
        folder: of the rows, a JSON file each.
        order: of the systems; others come last.
        setting: of all rows, in words.
    """
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    conditions: dict[str, None] = {}  # in their order
    places = {name: i for i, name in enumerate(order)}
    rows = [read_json(path) for path in sorted(folder.glob("*.json"))]
    for row in sorted(rows, key=lambda row: places.get(next(iter(row["systems"])), len(places))):
        conditions |= dict.fromkeys(row["conditions"])
        for system, figures in row["systems"].items():
            found[system].append(figures)
    lines = [
        image_table({name: _spread(rows) for name, rows in found.items()}),
        f"{setting}; mean ± deviation over the seeds, their number in brackets. {'; '.join(conditions)}. "
        "Seconds and minutes are CPU time of all threads; the base of guided methods is not counted.",
    ]
    return "\n".join(lines) + "\n"


def _spread(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Mean ± deviation of every figure; of one seed the figure itself."""
    if len(rows) == 1:
        return dict(rows[0])
    cells: dict[str, Any] = {}
    for key in dict.fromkeys(key for row in rows for key in row):
        values = [row[key] for row in rows if key in row]
        mean = statistics.fmean(values)
        if key in ("parameters", "active_units", "cpu_minutes", "seconds_per_step"):
            cells[key] = mean
        else:
            digits = _digits(mean)
            spread = f"{mean:.{digits}f} ± {statistics.stdev(values):.{digits}f} ({len(values)})" if len(values) > 1 else mean
            cells[key] = spread
    return cells


def _digits(mean: float) -> int:
    """Decimals that show two digits of a mean; three at least, six at most."""
    return 3 if mean == 0 else min(max(3, 1 - math.floor(math.log10(abs(mean)))), 6)

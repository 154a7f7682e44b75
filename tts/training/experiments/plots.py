"""The curves of an experiment as PNG, one line for each seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from tts.inference.image_plots import save_plot
from tts.training.experiments.expectations import Outcome


@dataclass(frozen=True)
class Plot:
    """One picture: the curves of these names over one x.

    name: of the file.
    curves: names in `Outcome.curves`.
    """

    name: str
    curves: tuple[str, ...]
    x: str
    y: str
    log_x: bool = False
    log_y: bool = False


def draw_plots(plots: Sequence[Plot], outcomes: Mapping[int, Outcome], folder: Path, prefix: str) -> list[str]:
    """Write `folder`/PREFIX-NAME.png for each plot; their names."""
    return [_draw(plot, outcomes, folder / f"{prefix}-{plot.name}.png") for plot in plots]


def _draw(plot: Plot, outcomes: Mapping[int, Outcome], path: Path) -> str:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    for number, name in enumerate(plot.curves):
        for seed, outcome in sorted(outcomes.items()):
            xs, ys = zip(*outcome.curves[name], strict=True)
            label = name if seed == min(outcomes) else None
            axis.plot(xs, ys, marker=".", color=f"C{number}", alpha=0.7, label=label)
    axis.set_xlabel(plot.x)
    axis.set_ylabel(plot.y)
    axis.set_xscale("log" if plot.log_x else "linear")
    axis.set_yscale("log" if plot.log_y else "linear")
    axis.legend()
    save_plot(path, figure)
    return path.name

"""Plots of profiles as PNG files: of editing times, of the geometry of h, of a classifier over time."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from tts.data.files import atomic_path
from tts.image.edit_times import Profile
from tts.inference.image_geometry import GeometryReport

SIZE = (6.4, 3.6)  # inches
Line = tuple[Sequence[float], Sequence[float]]  # x, y


def profile_plot(profile: Profile, marks: Mapping[str, float]) -> Figure:
    """Distances to the image of predictions and states over t, with named times as vertical lines."""
    lines = {"predicted image": (profile.times, profile.predicted), "state": (profile.times, profile.state)}
    return line_plot(lines, "t", "distance to the image", marks)


def geometry_plots(report: GeometryReport) -> dict[str, Figure]:
    """`rtl`, `condition` (MCN) and `variation` (VoR) over t, `frames` along paths, and `profile`."""
    t = list(report.at)
    scores = list(report.at.values())
    rtl = {"h": (t, [s.mrtl for s in scores]), "ideal": (t, [s.mrtl_ideal for s in scores])}
    frames = {name: ([(i + 0.5) / len(d) for i in range(len(d))], d) for name, d in report.frames.items()}
    return {
        "rtl": line_plot(rtl, "t", "relative trajectory length"),
        "condition": line_plot({"MCN": (t, [s.mcn for s in scores])}, "t", "largest over smallest singular value"),
        "variation": line_plot({"VoR": (t, [s.vor for s in scores])}, "t", "variance of the metric"),
        "frames": line_plot(frames, "place on the path", "distance to the next frame"),
        "profile": profile_plot(report.profile, {}),
    }


def line_plot(lines: Mapping[str, Line], x: str, y: str, marks: Mapping[str, float] | None = None) -> Figure:
    """Lines by name over one axis each way, with vertical lines at the marks."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axis = figure.subplots()
    for name, (along, values) in lines.items():
        axis.plot(along, values, label=name, marker=".")
    for name, at in (marks or {}).items():
        axis.axvline(at, label=f"{name} = {at:.2f}", color="black", linewidth=0.8, linestyle="--")
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.legend()
    return figure


def save_plot(path: Path, figure: Figure) -> None:
    """Write a PNG, atomically."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)

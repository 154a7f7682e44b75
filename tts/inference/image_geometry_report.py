"""The table of a model's geometry, and what it is written with."""

from typing import Any

from tts.config import to_dict
from tts.image.edit_times import Profile
from tts.image.geometry.scores import mean_scores
from tts.inference.image_geometry import GeometryReport, GeometrySettings

HEAD = "| t | RTL | ideal | isometry | d | MCN | VoR | VoR, sorted |\n|---|---|---|---|---|---|---|---|\n"


def geometry_table(report: GeometryReport, settings: GeometrySettings) -> str:
    """The figures as Markdown: by time with the means (mRTL) last, then those of images, of labels, and the times of edits."""
    rows = [*((f"{t:g}", scores) for t, scores in report.at.items()), ("mean", mean_scores(list(report.at.values())))]
    lines = [
        f"| {name} | {s.mrtl:.4f} | {s.mrtl_ideal:.4f} | {s.isometry:.4f} | {s.dimension} | {s.mcn:.2f} | {s.vor:.3f} "
        f"| {s.vor_sorted:.3f} |"
        for name, s in rows
    ]
    images = ["", "| images | value |", "|---|---|", f"| PPL ({settings.distance.value}) | {report.ppl:.4g} |"]
    for path, distances in report.frames.items():
        mean = sum(distances) / len(distances)
        images.append(f"| adjacent frames, {path}: mean distance | {mean:.4g} |")
        images.append(f"| adjacent frames, {path}: largest over mean | {report.unevenness[path]:.3f} |")
    images += [f"| {name} | {text} |" for name, text in _times(report.profile).items()]
    labels = ["", "| linear separability | noise | h |", "|---|---|---|"]
    labels += [f"| {name} | {s['noise']:.3f} | {s['h']:.3f} |" for name, s in report.separability.items()]
    protocol = (
        f"{settings.pairs} pairs of noises, seed {settings.seed}, {settings.steps} DDIM steps, paths of {settings.parts} parts."
    )
    whole = [*lines, *images, *(labels if report.separability else []), "", protocol]
    return HEAD + "\n".join(whole) + "\n"


def geometry_values(report: GeometryReport, settings: GeometrySettings) -> dict[str, Any]:
    """The report and its settings as JSON holds them."""
    return {"settings": to_dict(settings)} | to_dict(report) | {"at": {f"{t:g}": to_dict(s) for t, s in report.at.items()}}


def _times(profile: Profile) -> dict[str, str]:
    """t_edit and t_boost, where the distances allow one."""
    if max(profile.predicted) <= 0 or max(profile.state) <= 0:
        return {}
    return {"t_edit": f"{profile.t_edit():.3f}", "t_boost": f"{profile.t_boost():.3f}"}

"""The posterior-mean gap of a guided model on images: measured at times from noise to image, as a table and a plot."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from tts.diffusion import time_grid
from tts.errors import ModelError
from tts.image.gap import GapProfile, gap_profile
from tts.image.guided import GuidedModel
from tts.inference.image_coder import ImageCoder
from tts.inference.image_plots import save_plot
from tts.inference.image_runner import Images

TIMES = 25


def measure_gap(model: ImageCoder, images: Images, *, times: int = TIMES, seed: int = 0) -> GapProfile:
    """The gaps at `times` uniform steps from t = 1 to 0, their mean over images (n, C, H, W); see `gap_profile`.

    Args:
        model: one over a frozen base.
        images: uint8 (n, C, H, W).
        times: 1 to 1000.
        seed: of the noise.

    Raises:
        ModelError: if the model has no base whose gap a code could fill.
        ValueError: if `times` is out of range.
    """
    if not isinstance(model.model, GuidedModel):
        raise ModelError(
            f"a model of kind {model.config.kind.value} has no frozen base. Give one of pdae, disdiff, clip_guided."
        )
    x, generator = model.tensor(images), torch.Generator().manual_seed(seed)
    grid, shares, profiles = time_grid(model.model.schedule, times), [], []
    for part in x.split(model.batch_size):
        profiles.append(gap_profile(model.model, part.to(model.device), grid, generator))
        shares.append(len(part) / len(x))
    names = ("x0_without", "x0_with", "mean_without", "mean_with")
    means = {name: np.average([getattr(p, name) for p in profiles], axis=0, weights=shares) for name in names}
    return GapProfile(t=profiles[0].t, **means)


def closed_share(profile: GapProfile) -> float:
    """1 - sum of the gaps of the posterior mean with G / sum of those of the base: 0 if G does nothing, 1 if no gap is left."""
    return float(1 - profile.mean_with.sum() / profile.mean_without.sum())


def gap_table(profile: GapProfile) -> str:
    """A Markdown table, a row a time, and the share of the gap that G closes."""
    lines = ["| t | x̂₀, base | x̂₀, with G | mean, base | mean, with G |", "|---|---|---|---|---|"]
    columns = (profile.t, profile.x0_without, profile.x0_with, profile.mean_without, profile.mean_with)
    for t, *gaps in zip(*columns, strict=True):
        lines.append(f"| {t:.3f} | " + " | ".join(f"{gap:.3g}" for gap in gaps) + " |")
    return "\n".join(lines) + (
        "\n\nMean squared gap per element: of the estimate x̂₀ of the image, and of the posterior mean of the step from t to "
        f"the next time. G closes {closed_share(profile):.1%} of the latter, summed over the steps.\n"
    )


def save_gap_plot(path: Path, profile: GapProfile) -> None:
    """Write both gaps over time, of the base and with G, as a PNG, atomically."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axis, name, title in zip(figure.subplots(1, 2), ("mean", "x0"), ("posterior mean", "estimate of x0"), strict=True):
        axis.semilogy(profile.t, getattr(profile, f"{name}_without"), label="base")
        axis.semilogy(profile.t, getattr(profile, f"{name}_with"), label="with G")
        axis.set(title=title, xlabel="t (0 image, 1 noise)", ylabel="mean squared gap")
        axis.legend()
    save_plot(path, figure)

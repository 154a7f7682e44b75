"""All numbers of the geometry of one diffusion model's h-space, measured on given pairs of noises."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import cast

import torch
from torch import Tensor

from tts.image.conditioned import ConditionedModel
from tts.image.geometry.hspace import encoder_half, states_at
from tts.image.geometry.isometry import isometry_dimension, isometry_loss
from tts.image.geometry.paths import Path, mean_rtl
from tts.image.geometry.spectrum import mcn, vor, vor_sorted
from tts.image.geometry.tangent import Map
from tts.image.infodiffusion import InfoDiffusion
from tts.image.labelled import LabelledModel
from tts.image.model import DiffusionModelBase
from tts.nets.image_taps import MIDDLE, CutUNet
from tts.nets.image_unet import ImageUNet


@dataclass(frozen=True, kw_only=True)
class TimeScores:
    """The encoder half at one time, or the mean over several.

    isometry: the normalised loss on the sphere, one scale; 0 for a scaled isometry, `dimension` - 1 for one direction alone.
    dimension: d = min(n - 1, dim h), which the loss is to be read against.
    mrtl, mrtl_ideal: straightness of the images of arcs, and that of a linear isometry.
    mcn, vor, vor_sorted: of h pooled over its places.
    """

    isometry: float
    dimension: int
    mrtl: float
    mrtl_ideal: float
    mcn: float
    vor: float
    vor_sorted: float


def h_map(
    model: DiffusionModelBase, t: float | Tensor, z: Tensor | None = None, *, pooled: bool = False, tap: str = MIDDLE
) -> Map:
    """x_t -> h_t of any image model with a U-Net, at a tap; of one that is told a code, given z (B, N, d) or (1, N, d).

    Raises:
        ValueError: if z is None and this method has no unconditional denoiser, or there is no such tap.
    """
    condition: Tensor | None = None
    if z is None and isinstance(model, ConditionedModel) and not isinstance(model, InfoDiffusion):
        raise ValueError(f"the encoder half of {model.config.kind.value} is told a code. Give z.")
    if isinstance(model, ConditionedModel | LabelledModel):
        condition = model.told(z)
    return encoder_half(CutUNet(cast(ImageUNet, model.get_submodule("unet")), tap), t, condition, pooled=pooled)


@torch.no_grad()
def time_scores(
    model: DiffusionModelBase,
    noises: tuple[Tensor, Tensor],
    generator: torch.Generator,
    t: float,
    *,
    z: Tensor | None = None,
    steps: int = 20,
    parts: int = 20,
) -> TimeScores:
    """The scores at one time of a model on n pairs of noises; the same noises and seed make two models comparable.

    Noises are taken to the time by DDIM; arcs are drawn there.

    Args:
        model: in evaluation.
        noises: two batches of states at t = 1, (n, C, H, W).
        generator: of probes, on the CPU.
        t: in (0, 1].
        z: codes (n, N, d), where the model has them; both noises of a pair get the same.
        steps: of DDIM.
        parts: of each arc.

    Raises:
        ValueError: if t is outside (0, 1], or the model needs codes and has none.
    """
    to_t = states_at(model.composite(z), model.schedule, t, steps=steps, start=model.first_time)
    whole, pooled = h_map(model, t, z), h_map(model, t, z, pooled=True)
    a, b = (to_t(noise) for noise in noises)
    value, ideal = mean_rtl([whole], a, b, parts, path=Path.slerp)
    return TimeScores(
        isometry=isometry_loss(whole, a, generator, probes=4).item(),
        dimension=isometry_dimension(a, whole(a)),
        mrtl=value,
        mrtl_ideal=ideal,
        mcn=mcn(pooled, a).item(),
        vor=vor(pooled, a).item(),
        vor_sorted=vor_sorted(pooled, a).item(),
    )


def mean_scores(found: Sequence[TimeScores]) -> TimeScores:
    """Each score's mean over times; the dimension is the same at all of them."""
    means = torch.tensor([astuple(scores) for scores in found], dtype=torch.float64).mean(0).tolist()
    scores = dict(zip((f.name for f in fields(TimeScores)), means, strict=True))
    return TimeScores(**scores | {"dimension": found[0].dimension})

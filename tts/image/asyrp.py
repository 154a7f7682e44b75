"""Asyrp: edits of h that change where each step aims and leave the noise it goes on with alone."""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

import torch
from torch import Tensor

from tts.diffusion import Composite, Parametrization, Term, sample
from tts.diffusion.samplers import Noise
from tts.image.delta_h import FixedDelta
from tts.image.edit_steps import TIME_TOLERANCE, Attribute, EditSteps, HEdit, Injection, StrengthUnit, tap_of
from tts.image.h_space import HSpace
from tts.nets.image_unet import Encoded


class Average(str, Enum):
    """Over what recorded changes of h are averaged: nothing (each image its own), images, or images and times (global)."""

    none = "none"
    images = "images"
    all = "all"


def together(attributes: Sequence[Attribute]) -> list[Attribute]:
    """The K attributes with strengths over sqrt(K), as the released code joins them; plain lists are joined undiminished."""
    return [replace(attribute, strength=attribute.strength / len(attributes) ** 0.5) for attribute in attributes]


def edited(
    space: HSpace,
    attributes: Sequence[Attribute],
    times: Tensor,
    *,
    eta: float | Tensor = 0.0,
    injection: Injection = Injection.asymmetric,
    unit: StrengthUnit = StrengthUnit.time,
) -> Composite:
    """The denoiser whose plain `ddim` steps on these times are Asyrp's asymmetric ones.

        U_s = a_s x0_hat(U | h + delta h) + sigma_s eps_hat(U) ,   eps' = eps_hat + gain_t (eps_hat(h + delta h) - eps_hat)

    One encoder pass a step, and a second decoder pass where an attribute is on. Sample it with `ddim` and no hook that clips:
    its own x0_hat is not an image. For `NoisePath.replay` give the path's eta.

    Args:
        space: from `h_space`.
        attributes: their changes of h add up.
        times: (n + 1,) of the sampler.
        eta: of its steps, a number or (n,).
        injection: see `Injection`.
        unit: see `StrengthUnit`.

    Raises:
        ValueError: if times do not fall, or there is no attribute, or one of another tap than the space's.

    Source: Kwon et al. 2023 (Asyrp), eq. 8; the strength of a step follows its length, for the sum of all would otherwise grow
        with their number.
    """
    if not attributes:
        raise ValueError("an edit needs at least one attribute, found none. For none sample `space.composite`.")
    if tap_of(attributes) != space.tap:
        raise ValueError(f"the edit is of h at {tap_of(attributes)}, the space of h at {space.tap}. Give `h_space` its tap.")
    edit = HEdit(space, attributes, EditSteps(space.schedule, times, eta, injection), unit)
    change = Term(lambda u, t: space.eps_change(u, t, edit.h(u, t)), weight=edit.gain)
    return Composite(space.schedule, [change], Parametrization("eps"), base=space.composite)


def sample_edited(
    space: HSpace,
    attributes: Sequence[Attribute],
    u: Tensor,
    times: Tensor,
    *,
    t_boost: float = 0.0,
    noise: Noise | None = None,
    injection: Injection = Injection.asymmetric,
    unit: StrengthUnit = StrengthUnit.time,
) -> Tensor:
    """The edited data (B, ...): `ddim` with the edit, in steps that begin below t_boost with fresh noise as well.

    Args:
        space: from `h_space`.
        attributes: see `edited`.
        u: states at times[0], inverted or drawn.
        times: (n + 1,), falling to 0.
        t_boost: from `Profile.t_boost`; 0 is no boosting.
        noise: as in `sample`, needed for boosting.
        injection: see `Injection`.
        unit: see `StrengthUnit`.

    Raises:
        ValueError: if noise is missing, or as in `edited`.

    Source: Kwon et al. 2023 (Asyrp), section 4.2, quality boosting.
    """
    boosted = times[:-1].cpu().double() < t_boost - TIME_TOLERANCE
    options = {"eta": boosted.double(), "injection": injection, "unit": unit}
    denoiser = edited(space, attributes, times, **options)  # type: ignore[arg-type]
    turn = len(boosted) - int(boosted.sum())
    if turn > 0:
        u = sample(denoiser, u, space.schedule, times[: turn + 1], sampler="ddim")
    if turn < len(boosted):
        u = sample(denoiser, u, space.schedule, times[turn:], sampler="ddim", eta=1.0, noise=noise)
    return u


@torch.no_grad()
def fixed_delta(space: HSpace, attribute: Attribute, u: Tensor, times: Tensor, average: Average) -> FixedDelta:
    """The changes of h that an attribute makes along its own edit of the states u, kept for other images.

    Args:
        space: from `h_space`.
        attribute: of a network of h.
        u: (B, ...) at times[0]; more images make a better mean.
        times: (n + 1,).
        average: over what; with `none` the result serves those very images.

    Raises:
        ValueError: if no step begins at t_edit or above.
    """
    found: list[tuple[float, Tensor]] = []

    def record(encoded: Encoded, t: Tensor) -> Tensor:
        delta = attribute.delta(encoded, t)
        found.append((t[0].item(), delta))
        return delta

    sample_edited(space, [replace(attribute, delta=record)], u, times)
    if not found:
        raise ValueError(f"no step begins at t_edit = {attribute.t_edit} or above. Give more steps or a lower t_edit.")
    found.reverse()
    values, at = torch.stack([delta for _, delta in found]), torch.tensor([t for t, _ in found])  # (T, B, C, H, W), rising
    if average is Average.images:
        values = values.mean(dim=1)
    elif average is Average.all:
        values, at = values.mean(dim=(0, 1))[None], at[:1]
    return FixedDelta.of(values, at)

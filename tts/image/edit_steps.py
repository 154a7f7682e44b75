"""What an edit of h does at each step of a grid: how strong it is, for which samples it is on, and its asymmetric gain."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from tts.diffusion import Schedule, asymmetric_gain, expand_like
from tts.diffusion.samplers import ddim_noise, grid_points
from tts.image.delta_h import DeltaH
from tts.image.h_space import HSpace
from tts.nets.image_taps import MIDDLE

TIME_TOLERANCE = 1e-6  # of a time in float32; the times of a grid lie much further apart


class Injection(str, Enum):
    """`asymmetric`: only the predicted x0 is edited; `symmetric`: the noise as well, which nearly undoes it (a control)."""

    asymmetric = "asymmetric"
    symmetric = "symmetric"


class StrengthUnit(str, Enum):
    """`time`: an edit is as strong over one unit of time whatever the grid; `step`: at every step, however many (a control)."""

    time = "time"
    step = "step"


@dataclass(frozen=True, eq=False, kw_only=True)
class Attribute:
    """One change of h and how it is used: strength (t_i - t_{i+1}) steps f(h, t) is added at every time t_i >= t_edit.

    On the uniform grid of the training, strength 1 adds f itself; on any other grid as much per unit of time.

    delta: f.
    steps: of the uniform grid on [0, 1] that f was trained on.
    t_edit: the edit is on from t = 1 down to here; a number or one for each image, (B,).
    strength: a number or (B,); negative ones turn the edit round.
    tap: of the h that f is of.
    """

    delta: DeltaH
    steps: int
    t_edit: float | Tensor
    strength: float | Tensor = 1.0
    tap: str = MIDDLE


def tap_of(attributes: Sequence[Attribute]) -> str:
    """The one tap that all the attributes are of.

    Raises:
        ValueError: if there is no attribute, or they are of several.
    """
    found = sorted({attribute.tap for attribute in attributes})
    if len(found) != 1:
        raise ValueError(f"edits at once must be of one tap, found {', '.join(found) or 'no edit'}.")
    return found[0]


class EditSteps:
    """What each step of a grid is to an edit: how long it is, and its asymmetric gain.

    Args:
        schedule: of the model.
        times: (n + 1,) strictly falling, those of the sampler.
        eta: of the sampler's steps, a number or (n,).
        injection: see `Injection`.

    Raises:
        ValueError: if times do not fall or there is not one eta, or one for each step.
    """

    def __init__(
        self, schedule: Schedule, times: Tensor, eta: float | Tensor = 0.0, injection: Injection = Injection.asymmetric
    ) -> None:
        points = grid_points(schedule, times)
        etas = torch.as_tensor(eta, dtype=torch.float64).expand(len(points) - 1).tolist()
        gains = []
        for t, s, step_eta in zip(points[:-1], points[1:], etas, strict=True):
            kept, _ = ddim_noise(t, s, step_eta)
            gains.append(asymmetric_gain((t.alpha, t.sigma), (s.alpha, kept)))
        self.starts = times[:-1].detach().cpu().double()
        self.lengths = -times.detach().cpu().double().diff()
        self.gains = torch.tensor(gains, dtype=torch.float64)
        if injection is Injection.symmetric:
            self.gains = torch.ones_like(self.gains)

    def at(self, t: Tensor) -> Tensor:
        """The number of the step that begins at each time, (B,) int64 on the CPU.

        Raises:
            ValueError: if no step begins there.
        """
        distance, index = (self.starts - t.detach().cpu().double()[:, None]).abs().min(dim=1)
        if bool((distance > TIME_TOLERANCE).any()):
            raise ValueError(f"no step of this edit begins at t = {t.tolist()[:8]}. Sample on the times the edit was made for.")
        return index


@dataclass(frozen=True, eq=False)
class HEdit:
    """h of every state with the changes of all attributes, each at its own times and strength.

    Attributes:
        space: the model.
        attributes: what is edited.
        steps: of the grid that is sampled on.
        unit: see `StrengthUnit`.
    """

    space: HSpace
    attributes: Sequence[Attribute]
    steps: EditSteps
    unit: StrengthUnit = StrengthUnit.time

    def coefficients(self, t: Tensor) -> list[Tensor]:
        """What each attribute's f is multiplied by, (B,) float64 on the CPU; 0 where it is off."""
        index = self.steps.at(t)
        starts, lengths = self.steps.starts[index], self.steps.lengths[index]
        found = []
        for attribute in self.attributes:
            t_edit, strength = (_double(value) for value in (attribute.t_edit, attribute.strength))
            # w_i = (t_i - t_{i+1}) / (1 / S_train)
            weight = lengths * attribute.steps if self.unit is StrengthUnit.time else torch.ones_like(lengths)
            found.append(torch.where(starts >= t_edit - TIME_TOLERANCE, strength * weight, 0.0))
        return found

    def h(self, u: Tensor, t: Tensor) -> Tensor:
        """h + sum_k c_k(t) f_k(h, t), (B, C', H', W'); what is off for a sample leaves its h untouched."""
        encoded = self.space.path.encoded(u, t)
        h = encoded.h
        for attribute, coefficient in zip(self.attributes, self.coefficients(t), strict=True):
            if coefficient.any():
                c = expand_like(coefficient, h).to(h)
                h = h + torch.where(c != 0, c * attribute.delta(encoded, t), 0.0)
        return h

    def gain(self, t: Tensor) -> Tensor:
        """The factor by which this step's change of the noise makes it asymmetric, (B,); 0 where every attribute is off."""
        on = torch.stack(self.coefficients(t)).ne(0).any(dim=0)
        return torch.where(on, self.steps.gains[self.steps.at(t)], 0.0).to(t)


def _double(value: float | Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64).cpu()

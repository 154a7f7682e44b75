"""The h-space of a diffusion model: its denoiser, and the same denoiser with another output of the middle block."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from tts.diffusion import Composite, Parametrization, Schedule, Term, expand_like
from tts.errors import ModelError
from tts.image.base import BaseModel
from tts.image.conditioned import ConditionedModel
from tts.image.frozen_path import FrozenPath
from tts.image.guided import GuidedModel
from tts.image.labelled import LabelledModel
from tts.image.model import RepresentationModel
from tts.nets.image_taps import MIDDLE, CutUNet


@dataclass(frozen=True, eq=False)
class HSpace:
    """A model during one run. h (B, C', H', W') is what its U-Net gives at a tap, mostly its middle; skips are no part of it.

    Attributes:
        composite: eps_hat(U, t) with nothing edited; it shares every pass of the half before h with `x0_change`.
        path: the U-Net's halves.
        schedule: of the model.
        parametrization: what the U-Net's output means.
        pixels: estimates of states at t = 0 -> images; they themselves where pixels are diffused.
        tap: where h is taken, one of `tts.nets.image_taps.taps`.
    """

    composite: Composite
    path: FrozenPath
    schedule: Schedule
    parametrization: Parametrization
    pixels: Callable[[Tensor], Tensor] = lambda x0: x0
    tap: str = MIDDLE

    def x0_change(self, u: Tensor, t: Tensor, h: Tensor) -> Tensor:
        """x0_hat(U, t | h) - x0_hat(U, t), the shape of u: what another h makes of the prediction."""
        other, own = (
            Composite(self.schedule, [Term(network)], self.parametrization)
            for network in (lambda u, t: self.path.decode(u, t, h), self.path.output)
        )
        return other.x0(u, t) - own.x0(u, t)

    def eps_change(self, u: Tensor, t: Tensor, h: Tensor) -> Tensor:
        """eps_hat(U, t | h) - eps_hat(U, t), the shape of u."""
        # U = alpha x0 + sigma eps, so d eps = -(alpha / sigma) d x0, without the cancellation of two noises near t = 1
        ratio = self.schedule.alpha(t) / self.schedule.sigma(t)
        return -expand_like(ratio, u).to(u.dtype) * self.x0_change(u, t, h)


def h_space(model: RepresentationModel, z: Tensor | None = None, tap: str = MIDDLE) -> HSpace:
    """The h-space of a trained image model, given codes z (B, N, d) of as many images as the states, or none.

    A guided model (PDAE, DisDiff) has that of its frozen base, and its guidance goes on; at a tap other than the middle, which
    the guidance reads, its base runs twice a step. A labelled one is told no label.

    Raises:
        ModelError: if the model has no U-Net that diffuses images.
        ValueError: if z does not fit the model, or the network has no such tap.
    """
    if isinstance(model, GuidedModel):
        base = FrozenPath(model.unet)
        path = base if tap == MIDDLE else FrozenPath(CutUNet(model.unet, tap))
        composite = model.composite_over(base, z)
    elif isinstance(model, ConditionedModel | BaseModel | LabelledModel):
        path = FrozenPath(CutUNet(model.unet, tap), model.told(z))
        composite = Composite(model.schedule, [Term(path.output)], model.parametrization)
    else:
        raise ModelError(f"a model of kind {model.config.kind.value} has no h-space. Give a diffusion model of images.")
    return HSpace(composite, path, model.schedule, model.parametrization, model.estimate, tap)

"""A change of h that is trained and calibrated for an experiment, and the bench that its shifts are measured on."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.image.asyrp import sample_edited
from tts.image.base import BaseModel
from tts.image.delta_h import DeltaBlock, DeltaBlockConfig, DeltaH
from tts.image.directional import EditLossConfig, directional_loss, group_direction
from tts.image.edit_steps import Attribute
from tts.image.edit_times import measure_profile
from tts.image.factors import FactorSpace
from tts.image.h_space import h_space
from tts.nets.image_unet import Encoded
from tts.training.asyrp import AsyrpTraining, EditLatents, train_delta
from tts.training.experiments.context import CHUNK, Context

GAINS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # of the trained change of h; the first that shifts enough is strength 1
ENOUGH = 1.25  # deviations, on the states that were trained on
GROUP = 2000  # real images from which the direction is found: its highest and lowest third
TRAINED = 2000  # seeds of the states of the training from here on
LATEST = 0.9  # of t_edit, where a profile rises at the very end only
RECONSTRUCTION = 1.0  # weight: most pixels of a sprite are black


@dataclass(frozen=True)
class Bench:
    """One model, the states that edits are measured on, and their unedited readouts."""

    context: Context
    model: BaseModel
    u: Tensor
    unedited: Tensor
    before: NDArray[np.float64]

    @classmethod
    def on(cls, context: Context, model: BaseModel, seed: int, steps: int) -> "Bench":
        """The bench of as many states as an edit is trained on, drawn with a seed, unedited in so many steps."""
        u = context.noise(context.sizes.edit_latents, seed)
        images = context.ddim(model.composite(None), model, u, steps)
        return cls(context, model, u, images, context.readouts(images))

    @torch.no_grad()
    def edit(self, attributes: Sequence[Attribute], steps: int, **options: Any) -> Tensor:
        """The edited images of all states."""
        space, times = h_space(self.model), self.model.grid(steps)
        return torch.cat([sample_edited(space, attributes, u, times, **options) for u in self.u.split(CHUNK)])

    def moves(self, attributes: Sequence[Attribute], steps: int, **options: Any) -> NDArray[np.float64]:
        """How far each readout of each image moved, (n, columns), in deviations; `before` must be of as many steps."""
        return self.context.readouts(self.edit(attributes, steps, **options)) - self.before


@dataclass(frozen=True)
class Multiplied:
    """A change of h times a number."""

    delta: DeltaH
    gain: float

    def __call__(self, encoded: Encoded, t: Tensor) -> Tensor:
        """See `DeltaH`."""
        return self.gain * self.delta(encoded, t)


def profile_time(context: Context, model: BaseModel) -> float:
    """t_edit of the model's own profile, in the reader's features, no later than LATEST."""
    sizes = context.sizes
    times = model.grid(sizes.sampling_steps)
    x = context.pictures(context.held_out(min(100, sizes.samples)))
    distance = context.regressor.distance
    profile = measure_profile(model.composite(None), x, model.schedule, times, lambda a, b: distance(a, b).sqrt())
    return min(profile.t_edit(), LATEST)


def factor_direction(context: Context, name: str) -> Tensor:
    """From the third of real images with least of a factor to the third with most, in the reader's features, (F,)."""
    index = context.held_out(GROUP)
    order, third = context.labels(index, name).argsort(kind="stable"), len(index) // 3
    least, most = (context.pictures(index[part]) for part in (order[:third], order[-third:]))
    return group_direction(context.regressor.features, least, most)


@torch.no_grad()
def true_cosine(context: Context, name: str) -> float:
    """cos(E(b) - E(a), direction), its mean over real images a and b that differ by a third of this factor's range alone.

    What the directional loss would find of perfect edits: where it is below 1, the loss asks for more than an image can give.
    """
    factors = cast(FactorSpace, context.images.factors)  # the reader has read them
    before, column = factors.factors(context.held_out(GROUP)), factors.names.index(name)
    step = factors.sizes[column] // 3
    before = before[before[:, column] + step < factors.sizes[column]]
    after = before.copy()
    after[:, column] += step
    a, b = (context.pictures(factors.index(combination)) for combination in (before, after))
    found = 1 - directional_loss(context.regressor.features, b, a, factor_direction(context, name))
    return float(found.mean())


def trained_edit(context: Context, model: BaseModel, name: str, t_edit: float, seed: int) -> Attribute:
    """The change of h that raises a factor, trained on drawn states towards images that have more of it."""
    sizes, regressor = context.sizes, context.regressor
    width = model.config.unet.base
    sizes_of_h = DeltaBlockConfig(channels=width * model.config.unet.multipliers[-1], time_dim=4 * width)

    def make() -> tuple[DeltaBlock, dict[str, Any]]:
        latents = EditLatents(u=context.noise(sizes.edit_latents, TRAINED + seed), direction=factor_direction(context, name))
        loss = EditLossConfig(reconstruction=RECONSTRUCTION)
        config = AsyrpTraining(steps=sizes.edit_steps, t_edit=t_edit, epochs=sizes.edit_epochs, loss=loss)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # noqa: TID251  initial weights know no generator
            delta = DeltaBlock(sizes_of_h)
        final = train_delta(config, model, delta, latents, regressor.features, torch.Generator().manual_seed(seed))
        return delta, {"loss": final}

    delta, _ = context.part(f"asyrp-{name}-seed{seed}", lambda: DeltaBlock(sizes_of_h), make)
    return Attribute(delta=delta, steps=sizes.edit_steps, t_edit=t_edit)


def calibrated(bench: Bench, edit: Attribute, name: str, columns: dict[str, list[int]], steps: int) -> tuple[Attribute, float]:
    """The edit with the smallest gain that shifts its target ENOUGH, or with that of the largest shift; and the gain.

    The directional loss asks where to, not how far: the length of a change of h is an accident of its training.
    """
    best = (-np.inf, edit, GAINS[0])
    for gain in GAINS:
        stronger = dataclasses.replace(edit, delta=Multiplied(edit.delta, gain))
        shift = signed(bench.moves([stronger], steps), columns)[name]
        best = max(best, (shift, stronger, gain), key=lambda found: found[0])
        if shift >= ENOUGH:
            break
    return best[1], best[2]


def signed(moves: NDArray[np.float64], columns: dict[str, list[int]]) -> dict[str, float]:
    """The mean move of each factor over the images: of a category that of the class that moves most."""
    means = moves.mean(axis=0)
    return {name: float(means[max(own, key=lambda c: abs(means[c]))]) for name, own in columns.items()}


def leakage(shifts: dict[str, float], target: str) -> float:
    """The largest |shift| of another factor than the target."""
    return max(abs(value) for name, value in shifts.items() if name != target)

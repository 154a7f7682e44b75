"""What trainings of small networks share: images held out, and a step of the optimizer that stops where it diverges."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tts.errors import DataError, ModelError
from tts.image.datasets import ImageSet


class HoldsOut(Protocol):
    """Settings of a training that is measured on images it never saw."""

    @property
    def n_held_out(self) -> int:
        """Images kept from training."""

    @property
    def seed(self) -> int:
        """Of their choice."""


def split_index(images: ImageSet, settings: HoldsOut) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the images that are trained on and of those held out, in random order; a function of the seed.

    Raises:
        DataError: if there are too few images to hold some out.
    """
    order = np.random.default_rng(settings.seed).permutation(len(images))
    train, held_out = order[settings.n_held_out :], order[: settings.n_held_out]
    if len(train) == 0:
        raise DataError(f"{images.name}: {len(images)} images, of which {settings.n_held_out} are held out. Hold out fewer.")
    return train, held_out


def step_on(
    loss: Tensor,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    max_norm: float,
    where: str,
    *,
    advice: str = "Lower lr.",
) -> None:
    """One step of the optimizer down the gradient of a loss, clipped to `max_norm`.

    Args:
        loss: a scalar.
        network: whose gradient is clipped.
        optimizer: of its parameters.
        max_norm: of the gradient.
        where: the training and its step, for the message.
        advice: what to do, for the message.

    Raises:
        ModelError: if the gradient is not finite; the weights are then those before the step.
    """
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), max_norm)
    if not bool(torch.isfinite(norm)):
        raise ModelError(f"{where}: the gradient is not finite. {advice}")
    optimizer.step()

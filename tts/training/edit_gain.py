"""How strong a trained edit is at strength 1: it moves images as far as what it was trained to tell apart is apart."""

from dataclasses import replace

import torch
from torch import Tensor

from tts.image.asyrp import sample_edited
from tts.image.directional import ImageEncoder
from tts.image.edit_steps import Attribute
from tts.image.h_space import HSpace

GAINS = tuple(2.0 ** (k / 2) for k in range(-4, 13))  # 1/4 to 64


@torch.no_grad()
def gauged_gain(
    space: HSpace, attribute: Attribute, u: Tensor, times: Tensor, encoder: ImageEncoder, direction: Tensor, distance: float
) -> float:
    """The smallest of GAINS at which the mean of (E(edited) - E(plain)) . direction reaches `distance`.

    Where the move falls back by a quarter of it before it gets there, the gain of the furthest move before. The directional
    loss asks where to, not how far, and keeping all else asks for little: the length of a change of h is no measure.

    Args:
        space: of the model.
        attribute: trained, at strength 1.
        u: states at times[0], (B, ...), of which the mean is taken.
        times: (n + 1,), falling to 0.
        encoder: E.
        direction: of length 1, (F,).
        distance: above 0.
    """

    def place(strength: float) -> float:
        edited = sample_edited(space, [replace(attribute, strength=strength)], u, times)
        return float((encoder(space.pixels(edited)) @ direction).mean())

    plain, best, found = place(0.0), 0.0, 1.0
    for gain in GAINS:
        move = place(gain) - plain
        if move > best:
            best, found = move, gain
        if move >= distance or move < best - distance / 4:
            break
    return found

"""Roll-outs of a homomorphism autoencoder as pictures: what was seen above what the first image and the actions foretell."""

import torch

from tts.image.datasets import to_uint8
from tts.image.groups.actions import Sequences
from tts.image.groups.hae import HomomorphismAutoencoder
from tts.inference.image_runner import Images


@torch.no_grad()
def rollout_rows(hae: HomomorphismAutoencoder, sequences: Sequences) -> list[Images]:
    """Two rows of images (N + 1, C, H, W) for each sequence: its observations, and the images decoded along the roll-out.

    Args:
        hae: in evaluation.
        sequences: of its size and actions.
    """
    seen = sequences.observations
    codes = hae.rollout(hae.encode(seen[:, 0]), sequences.actions)
    foretold = hae.images(codes.flatten(0, 1)).unflatten(0, seen.shape[:2])
    pairs = zip(seen, foretold, strict=True)
    return [to_uint8(row) for pair in pairs for row in pair]

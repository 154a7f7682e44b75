"""Embeddings of time."""

import math

import torch
from torch import Tensor


def sinusoidal_embedding(t: Tensor, width: int, scale: float = 1000.0) -> Tensor:
    """Sines and cosines of `scale` t at geometric rates from 1 to 1/10000: (B,) -> (B, width), in float32.

    Source: Ho et al. 2020; the rates of Grad-TTS.
    """
    half = width // 2
    rates = torch.exp(-math.log(10000.0) / (half - 1) * torch.arange(half, device=t.device, dtype=torch.float32))
    angles = scale * t.float()[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), dim=-1)

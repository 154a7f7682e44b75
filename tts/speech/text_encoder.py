"""Phones to contextual vectors, and the predictors of duration and pitch."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.errors import ModelError
from tts.nets.blocks import ChannelNorm, TransformerLayer
from tts.speech.config import TextEncoderConfig

MAX_PHONE_FRAMES = 2000  # half a minute


class TextEncoder(nn.Module):
    """Embedding, three convolutions, transformer layers: token ids (B, L) to phone vectors (B, D, L)."""

    def __init__(self, n_tokens: int, config: TextEncoderConfig) -> None:
        super().__init__()
        width = config.channels
        self.embed = nn.Embedding(n_tokens, width)
        nn.init.normal_(self.embed.weight, 0.0, width**-0.5)
        self.prenet = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2) for _ in range(3))
        self.prenet_norms = nn.ModuleList(ChannelNorm(width) for _ in range(3))
        self.layers = nn.ModuleList(
            TransformerLayer(width, config.heads, config.hidden, config.kernel_size, config.dropout)
            for _ in range(config.layers)
        )
        self.norm = ChannelNorm(width)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """tokens (B, L) int64, mask (B, 1, L) -> (B, D, L)."""
        h = self.embed(tokens).transpose(1, 2) * mask * self.embed.embedding_dim**0.5
        for conv, norm in zip(self.prenet, self.prenet_norms, strict=True):
            h = (h + self.drop(F.relu(norm(conv(h))))) * mask
        for layer in self.layers:
            h = layer(h, mask)
        return self.norm(h) * mask


class ConvPredictor(nn.Module):
    """Two (or more) normed convolutions on features and style, and a linear head: (B, D, N) to (B, out, N)."""

    def __init__(
        self, in_channels: int, style_dim: int, channels: int, out: int, *, kernel_size: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.enter = nn.Conv1d(in_channels, channels, 1)
        self.style = nn.Linear(style_dim, channels)
        self.convs = nn.ModuleList(nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2) for _ in range(layers))
        self.norms = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.head = nn.Conv1d(channels, out, 1)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, style: Tensor, mask: Tensor) -> Tensor:
        """x (B, D, N), style (B, S), mask (B, 1, N) -> (B, out, N)."""
        h = (self.enter(x) + self.style(style).unsqueeze(-1)) * mask
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = (h + self.drop(F.relu(norm(conv(h))))) * mask
        return self.head(h) * mask


class DurationPredictor(nn.Module):
    """log(1 + frames) of every phone."""

    def __init__(self, style_dim: int, config: TextEncoderConfig) -> None:
        super().__init__()
        self.net = ConvPredictor(
            config.channels, style_dim, config.predictor_channels, 1, kernel_size=3, layers=2, dropout=config.predictor_dropout
        )

    def forward(self, phones: Tensor, style: Tensor, mask: Tensor) -> Tensor:
        """phones (B, D, L) -> (B, L)."""
        return self.net(phones, style, mask).squeeze(1)

    @staticmethod
    def to_frames(log_durations: Tensor, speed: float, mask: Tensor) -> Tensor:
        """Whole frames (B, L) from log(1 + d), divided by `speed`; rounding errors are carried on, not lost.

        Raises:
            ModelError: for a duration that is not a number, or above MAX_PHONE_FRAMES at speed 1.
        """
        frames = ((log_durations.exp() - 1).clamp(min=0.0) * mask.squeeze(1)).nan_to_num(nan=math.inf)
        if (longest := frames.max().item()) > MAX_PHONE_FRAMES:
            raise ModelError(
                f"the model predicts a phone of {longest:g} frames, expected {MAX_PHONE_FRAMES} at most: its training went "
                "astray or its weights are damaged. Take another checkpoint."
            )
        exact = frames / speed
        ends = exact.cumsum(1).round().long()
        return torch.diff(ends, dim=1, prepend=ends.new_zeros(len(ends), 1))


class PitchPredictor(nn.Module):
    """Frame-level pitch (z-score) and voicing logit from content and style."""

    def __init__(self, content_dim: int, style_dim: int, config: TextEncoderConfig) -> None:
        super().__init__()
        self.net = ConvPredictor(
            content_dim, style_dim, config.predictor_channels, 2, kernel_size=5, layers=4, dropout=config.predictor_dropout
        )

    def forward(self, content: Tensor, style: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """content (B, E, T) -> pitch (B, T), voicing logit (B, T)."""
        pitch, logit = self.net(content, style, mask).unbind(1)
        return pitch, logit

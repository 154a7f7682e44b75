"""The WaveNet stack: gated dilated convolutions with global conditioning, summed skips."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm


class WaveNet(nn.Module):
    """Non-causal WaveNet of `layers` gated convolutions.

        a, b = split(conv_l(h) + condition_l(g));  y = tanh(a) sigmoid(b);  h, skip = h + res_l(y), skip + skip_l(y)

    The receptive field is layers (kernel_size - 1) + 1 frames at dilation 1.
    Source: van den Oord et al. 2016; the stack of WaveGlow and VITS.
    """

    def __init__(self, channels: int, layers: int, kernel_size: int, condition_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.channels = channels
        self.condition = weight_norm(nn.Conv1d(condition_dim, 2 * channels * layers, 1))
        self.gates = nn.ModuleList(
            weight_norm(nn.Conv1d(channels, 2 * channels, kernel_size, padding=kernel_size // 2)) for _ in range(layers)
        )
        last = layers - 1
        self.outputs = nn.ModuleList(
            weight_norm(nn.Conv1d(channels, channels if i == last else 2 * channels, 1)) for i in range(layers)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, T), condition (B, D), mask (B, 1, T) -> sum of skips (B, C, T)."""
        shifts = self.condition(condition.unsqueeze(-1)).chunk(len(self.gates), dim=1)
        skips = torch.zeros_like(x)
        for gate, output, shift in zip(self.gates, self.outputs, shifts, strict=True):
            a, b = (gate(x) + shift).chunk(2, dim=1)
            y = output(self.drop(torch.tanh(a) * torch.sigmoid(b)))
            *residual, skip = y.split(self.channels, dim=1)  # the last layer has no residual
            skips = skips + skip
            if residual:
                x = (x + residual[0]) * mask
        return skips * mask

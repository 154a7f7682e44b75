"""The networks of the variational autoencoders: the field's convolutional pair, a perceptron; gradients kept apart.

Every network returns float32 under autocast too, so that sums over pixels and logarithms are not taken in half precision.
"""

from collections.abc import Iterable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.image.vae_config import SMALLEST, VaeConfig


def channels_of(config: VaeConfig) -> list[int]:
    """Channels after each halving, from the image down to 4 x 4: up to two of `width`, then twice as many.

    At 64 pixels these are the 32, 32, 64, 64 of the field; every smaller size has one fewer at the end.
    """
    halvings = (config.size // SMALLEST).bit_length() - 1
    return [config.width, config.width, 2 * config.width, 2 * config.width][:halvings]


class VaeEncoder(nn.Module):
    """Images to the means and log-variances of their codes: strided convolutions, one hidden layer, ReLU.

    Kernels are 4 for the first two convolutions and 2 for the others, strides 2.

    Source: Higgins et al. 2017 as in disentanglement_lib, whose networks have these sizes at 64 pixels.
    """

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = channels_of(config)
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(zip([config.channels, *widths], widths, strict=False)):
            kernel, padding = (4, 1) if i < 2 else (2, 0)
            layers += [nn.Conv2d(before, after, kernel, stride=2, padding=padding), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.hidden = nn.Linear(widths[-1] * SMALLEST**2, config.hidden)
        self.leave = nn.Linear(config.hidden, 2 * config.n_units)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) -> mean and log-variance, (B, N) each."""
        h = F.relu(self.hidden(self.convolutions(x).flatten(1)))
        mean, log_variance = self.leave(h).float().chunk(2, dim=1)
        return mean, log_variance


class VaeDecoder(nn.Module):
    """Codes to the logits of pixels, or means: the encoder mirrored, two hidden layers, transposed convolutions, ReLU."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = channels_of(config)[::-1]
        self.hidden = nn.Linear(config.n_units, config.hidden)
        self.enter = nn.Linear(config.hidden, widths[0] * SMALLEST**2)
        layers: list[nn.Module] = []
        for before, after in zip(widths, [*widths[1:], config.channels], strict=True):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers[:-1])

    def forward(self, z: Tensor) -> Tensor:
        """z (B, N) -> logits (B, C, H, W)."""
        h = F.relu(self.enter(F.relu(self.hidden(z))))
        return self.convolutions(h.unflatten(1, (-1, SMALLEST, SMALLEST))).float()


class Perceptron(nn.Module):
    """`layers` hidden layers of leaky ReLUs (slope 0.2), then one linear layer: (B, D) -> (B, outputs)."""

    def __init__(self, inputs: int, width: int, layers: int, outputs: int) -> None:
        super().__init__()
        widths = [inputs] + [width] * layers
        self.hidden = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.leave = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, D) -> (B, outputs)."""
        for layer in self.hidden:
            x = F.leaky_relu(layer(x), 0.2)
        return self.leave(x).float()


def call_frozen(network: nn.Module, x: Tensor) -> Tensor:
    """network(x) with a gradient for x alone, none for the network's parameters."""
    frozen = {name: parameter.detach() for name, parameter in network.named_parameters()}
    return torch.func.functional_call(network, frozen, (x,))


def parameters(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    """Those of several modules, in order."""
    return [parameter for module in modules for parameter in module.parameters()]

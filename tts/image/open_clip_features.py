"""The image and text towers of a CLIP published with open_clip, as feature extractor and bank of texts."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tts.errors import ModelError
from tts.image.factor_provider import FeatureExtractor


class OpenClipFeatures(FeatureExtractor):
    """CLIP's image features, of length 1. Images are resized to its own size, and normalised by its own mean and deviation.

    Args:
        name: of the architecture, e.g. "ViT-B-32".
        pretrained: of the weights, e.g. "laion2b_s34b_b79k", or the path of a file of them; "" leaves them random.

    Raises:
        ModelError: if open_clip is not installed, or the network is not to be had.

    Source: Radford et al. 2021; Cherti et al. 2023 (open_clip).
    """

    def __init__(self, name: str, pretrained: str) -> None:
        super().__init__()
        self.model, self.tokenizer = _load(name, pretrained)
        size = self.model.visual.image_size
        self.size: tuple[int, int] = (size, size) if isinstance(size, int) else tuple(size)
        self.register_buffer("mean", torch.tensor(self.model.visual.image_mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(self.model.visual.image_std)[:, None, None], persistent=False)
        with torch.no_grad():
            self.features = self(torch.zeros(1, 3, *self.size)).shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 1 or 3, H, W) in [-1, 1] -> (B, D)."""
        pixels = F.interpolate((x + 1) / 2, self.size, mode="bicubic", antialias=True, align_corners=False)
        colours = pixels.expand(-1, 3, -1, -1)
        return F.normalize(self.model.encode_image((colours - self.get_buffer("mean")) / self.get_buffer("std")), dim=1)

    @torch.no_grad()
    def encode_text(self, sentences: Sequence[str]) -> Tensor:
        """The features of sentences, (n, D), of length 1."""
        return F.normalize(self.model.encode_text(self.tokenizer(list(sentences)).to(self.get_buffer("mean").device)), dim=1)


def _load(name: str, pretrained: str) -> tuple[Any, Any]:
    """The network in evaluation, and its tokenizer."""
    try:
        import open_clip
    except ImportError as err:
        raise ModelError(
            f"CLIP features need open_clip, which cannot be loaded ({err}). Run pip install 'glottis[clip]', or train the "
            "contrastive model of the recipe."
        ) from err
    try:
        model = open_clip.create_model(name, pretrained=pretrained or None)
        return model.float().eval(), open_clip.get_tokenizer(name)
    except (OSError, RuntimeError, ValueError) as err:
        reason = str(err).strip().partition("\n")[0][:200]  # the rest lists all networks there are
        raise ModelError(
            f"{name} {pretrained}: no network could be loaded ({reason}). Give names that open_clip lists while online, or "
            "the path of a file of weights."
        ) from err

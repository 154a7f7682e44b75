"""Where the factor codes of an image come from: a learned network, heads on frozen features, or a bank of texts."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tts.image.config import EncodedModelConfig
from tts.nets.image_encoder import ImageEncoder


class FactorEncoder(nn.Module, ABC):
    """Images (B, C, H, W) in [-1, 1] -> codes (B, N, d), differentiable down to the pixels.

    It must do the same in training and evaluation mode, and for an image whatever its neighbours, because DisDiff's loss
    reads codes with a frozen copy of it.

    Attributes:
        n_units: N.
        unit_dim: d.
    """

    n_units: int
    unit_dim: int

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> z (B, N, d)."""

    def frozen(self, x: Tensor) -> Tensor:
        """The same codes; their gradient goes to the image and never to this encoder."""
        state = {name: value.detach() for name, value in (*self.named_parameters(), *self.named_buffers())}
        return torch.func.functional_call(self, state, (x,))


class LearnedFactors(FactorEncoder):
    """One convolutional network for all N units, trained with the heads.

    Source: the encoders of PDAE and DisDiff, with group norm in place of DisDiff's batch norm.
    """

    def __init__(self, *, channels: int, width: int, size: int, n_units: int, unit_dim: int) -> None:
        super().__init__()
        self.n_units, self.unit_dim = n_units, unit_dim
        self.network = ImageEncoder(channels, width, size, n_units * unit_dim)

    @classmethod
    def of(cls, config: EncodedModelConfig) -> "LearnedFactors":
        """The encoder of a model's configuration."""
        return cls(
            channels=config.channels,
            width=config.encoder_width,
            size=config.size,
            n_units=config.n_units,
            unit_dim=config.unit_dim,
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> z (B, N, d)."""
        return self.network(x).unflatten(1, (self.n_units, self.unit_dim))


class FeatureExtractor(nn.Module, ABC):
    """A network from images in [-1, 1] to one feature vector, resizing and normalising as it needs; always in evaluation mode.

    Attributes:
        features: D, the length of the vector.
    """

    features: int

    def train(self, mode: bool = True) -> "FeatureExtractor":
        """Stays in evaluation mode, whatever the model around it does."""
        return super().train(False)

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, D), differentiable in x."""


class FeatureHeads(FactorEncoder):
    """z^c = sqrt(D) W_c F(x) / |F(x)|: N linear heads on frozen features; the rows of all heads together are orthonormal.

        W = Q of the QR decomposition of the learned (D, N d) matrix, transposed

    so the units look at orthogonal parts of the feature space, and none is a copy of another. The mean square of the numbers
    is about 1: those of a vector of length 1 are too small for a gradient head, which learns nothing of them.

    Args:
        extractor: F; it is frozen here.
        n_units: N.
        unit_dim: d, with N d at most the extractor's number of features.

    Raises:
        ValueError: if there are fewer features than numbers in the code.
    """

    def __init__(self, extractor: FeatureExtractor, n_units: int, unit_dim: int) -> None:
        super().__init__()
        if n_units * unit_dim > extractor.features:
            raise ValueError(
                f"{n_units} orthonormal heads of {unit_dim} rows need as many features, found {extractor.features}."
            )
        self.n_units, self.unit_dim = n_units, unit_dim
        self.extractor = extractor.eval().requires_grad_(False)
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(extractor.features, n_units * unit_dim)))

    @property
    def heads(self) -> Tensor:
        """W, (N d, D), orthonormal rows."""
        return torch.linalg.qr(self.weight).Q.T

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> z (B, N, d)."""
        features = math.sqrt(self.extractor.features) * nn.functional.normalize(self.extractor(x), dim=1)
        return (features @ self.heads.T).unflatten(1, (self.n_units, self.unit_dim))


class TextBank(FactorEncoder):
    """z^c = sqrt(D) sum_k p_k e_{c,k}: the mean of the text directions of factor c under what the image says of its values.

        p = softmax_k( sharpness <F(x) / |F(x)|, e_{c,k}> ),   e_{c,k} = (f_{c,k} - mean_k f_{c,k}) / |…|

    Nothing in it learns; d is the length of the features.

    Args:
        extractor: F, whose space the texts share; it is frozen here.
        counts: K_c, how many texts each factor has; their directions are arbitrary until `fill`.
        sharpness: inverse temperature, above 0.

    Raises:
        ValueError: if a factor has no text, or sharpness is not above 0.
    """

    def __init__(self, extractor: FeatureExtractor, counts: Sequence[int], sharpness: float = 20.0) -> None:
        super().__init__()
        if not counts or min(counts) < 1 or not sharpness > 0:
            raise ValueError(f"need texts of each factor and a sharpness above 0, found {list(counts)} and {sharpness}.")
        self.n_units, self.unit_dim, self.sharpness = len(counts), extractor.features, sharpness
        self.extractor = extractor.eval().requires_grad_(False)
        self.counts = list(counts)
        first = nn.init.orthogonal_(torch.empty(sum(counts), extractor.features))
        self.register_buffer("directions", nn.functional.normalize(first, dim=1))

    def fill(self, features: Sequence[Tensor]) -> None:
        """Take the features of the texts, (K_c, D) for each factor, less their mean, at length 1.

        What all texts of a factor have in common, most of a text's features, says nothing of its value.

        Raises:
            ValueError: if they are of other numbers or another length than this bank's.
        """
        shapes = [tuple(f.shape) for f in features]
        expected = [(count, self.unit_dim) for count in self.counts]
        if shapes != expected:
            raise ValueError(f"this bank takes features of shapes {expected}, found {shapes}.")
        centred = torch.cat([f - f.mean(0) for f in features])
        self.get_buffer("directions").copy_(nn.functional.normalize(centred, dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> z (B, N, D)."""
        features = nn.functional.normalize(self.extractor(x), dim=1)
        bank = self.get_buffer("directions").split(self.counts)
        found = torch.stack([(self.sharpness * features @ e.T).softmax(1) @ e for e in bank], dim=1)
        return math.sqrt(self.unit_dim) * found

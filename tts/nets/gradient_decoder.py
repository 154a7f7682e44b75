"""The gradient decoder of PDAE and DisDiff: a second decoder half on the encoder half of a frozen U-Net."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.nets.image_blocks import BlockSizes
from tts.nets.image_paths import Middle, UpPath, check_sizes
from tts.nets.image_unet import Encoded


class GradientDecoder(nn.Module):
    """What a code adds to the noise prediction of a frozen U-Net, in noise units; untrained it adds nothing.

        out = -sigma_t G(x_t, z, t) ,   G ~ grad log p(z | x_t)

    It has a middle block and an up path of its own, on h, the skips and the time embedding of the frozen network, whose middle
    it keeps (PDAE's begins before it). Its adaptive group norms scale and shift by time, then by z. With `factors` it serves
    all of them: factor c adds Linear(row c of expm(W - W^T)) to the time embedding, W learned, so the rows stay orthonormal.
    Factors are batched: `forward(encoded.repeat_interleave(N), z.flatten(0, 1), factor)` for codes z (B, N, d).

    Args:
        channels: of the images; it and the six sizes after it are those of the frozen U-Net.
        base: as in `ImageUNet`.
        multipliers: as in `ImageUNet`.
        attention: as in `ImageUNet`.
        blocks: as in `ImageUNet`.
        heads: as in `ImageUNet`.
        unshuffle: as in `ImageUNet`.
        condition_dim: width of z.
        factors: how many factors share the decoder, at most `base`; 0 for a code that is whole.
        dropout: in the residual blocks.

    Raises:
        ValueError: for sizes that make no network.

    Source: Zhang et al. 2022 (PDAE); Yang et al. 2023 (DisDiff).
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        channels: int,
        base: int,
        multipliers: Sequence[int],
        attention: Sequence[bool],
        condition_dim: int,
        blocks: int = 1,
        heads: int = 4,
        unshuffle: int = 1,
        factors: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(base, multipliers, blocks, attention, unshuffle)
        if condition_dim < 1 or not 0 <= factors <= base:
            raise ValueError(
                f"need condition_dim of at least 1 and 0 to {base} factors (base), found {condition_dim} and {factors}."
            )
        self.unshuffle, self.factors = unshuffle, factors
        time_dim = 4 * base
        sizes = BlockSizes(time_dim=time_dim, condition="scale_shift", condition_dim=time_dim, heads=heads, dropout=dropout)
        widths = [base * m for m in multipliers]
        self.condition = nn.Linear(condition_dim, time_dim)
        self.middle = Middle(widths[-1], sizes)
        self.up = UpPath(widths, blocks, attention, channels * unshuffle**2, sizes)
        self.generator = nn.Parameter(torch.zeros(base, base)) if factors else None  # W
        self.factor = nn.Linear(base, time_dim) if factors else None

    def factor_rows(self) -> Tensor:
        """Orthonormal embeddings of the factors, rows of expm(W - W^T), (factors, base); unit vectors at the start.

        Raises:
            ValueError: if the decoder has no factors.
        """
        if self.generator is None:
            raise ValueError("this gradient decoder was built without factors.")
        return torch.linalg.matrix_exp(self.generator - self.generator.T)[: self.factors]

    def forward(self, encoded: Encoded, z: Tensor, factor: Tensor | None = None) -> Tensor:
        """The noise-prediction increment.

        Args:
            encoded: of the frozen U-Net, detached if that is to get no gradient.
            z: code, (B, condition_dim).
            factor: which factor each z is of, int64 (B,); None where the decoder has no factors.

        Returns:
            (B, C, H, W) in noise units: -sigma_t times the score increment.

        Raises:
            ValueError: if a factor is given to a decoder without factors, or none to one with factors.
        """
        if (factor is None) != (self.factor is None):
            raise ValueError(f"this gradient decoder has {self.factors} factors, but factor is {factor}.")
        time, condition = encoded.time, self.condition(z)
        if self.factor is not None:
            time = time + self.factor(self.factor_rows())[factor]
        h = self.middle(encoded.h, time, condition)
        return F.pixel_shuffle(self.up(h, encoded.skips, time, condition), self.unshuffle)

"""The encoder of images to codes: strided convolutions down to 4 x 4, then two linear layers."""

from itertools import pairwise

from torch import Tensor, nn

from tts.nets.image_blocks import group_norm

LAST_SIZE = 4  # pixels on each side before the linear layers
WIDEST = 4  # times `width`
HIDDEN = 8  # times `width`


class ImageEncoder(nn.Module):
    """Images (B, channels, size, size) -> (B, outputs), without time; a batch equals its singles.

    Convolutions 4x4 of stride 2 halve the image until 4 x 4 remains, their widths growing from `width` to 4 `width`; each but
    the first is followed by group norm, all by SiLU. The first has no norm, so that plain colours keep their level.

    Args:
        channels: of the images.
        width: of the first convolution, a multiple of 4.
        size: height and width of the images, a power of two of at least 8.
        outputs: width of the code; twice that where mean and variance are wanted.

    Raises:
        ValueError: for sizes that make no network.

    Source: after the encoders of Zhang et al. 2022 (PDAE) and Yang et al. 2024 (EncDiff).
    """

    def __init__(self, channels: int, width: int, size: int, outputs: int) -> None:
        super().__init__()
        if size < 2 * LAST_SIZE or size & (size - 1):
            raise ValueError(f"size must be a power of two of at least {2 * LAST_SIZE}, found {size}.")
        if width < 4 or width % 4:
            raise ValueError(f"width must be a multiple of 4, found {width}.")
        self.channels, self.size = channels, size
        n_halvings = (size // LAST_SIZE).bit_length() - 1
        widths = [channels, *(width * min(2**i, WIDEST) for i in range(n_halvings))]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(widths)):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), *([group_norm(after)] if i else []), nn.SiLU()]
        self.convolutions = nn.Sequential(*layers)
        self.hidden = nn.Linear(widths[-1] * LAST_SIZE**2, HIDDEN * width)
        self.out = nn.Linear(HIDDEN * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, channels, size, size) in [-1, 1] -> (B, outputs).

        Raises:
            ValueError: if the images are of another shape.
        """
        if x.shape[1:] != (self.channels, self.size, self.size):
            raise ValueError(f"images must be (B, {self.channels}, {self.size}, {self.size}), found {tuple(x.shape)}.")
        return self.out(nn.functional.silu(self.hidden(self.convolutions(x).flatten(1))))

"""White sprites on a torus: what leaves the image on one side comes in on the other, so that moves are a group."""

import numpy as np
from numpy.typing import NDArray

from tts.image.factors import FactorSpace
from tts.image.grid import RenderedGrid, check_size
from tts.image.sprites import RADIUS, SUBCELLS, sprite_masks

_TURNS = 40  # orientations of the masks
_LARGEST = 5  # index of the scale 1
_SHAPES = (2, 0, 1)  # heart, square, ellipse


class CyclicSprites(RenderedGrid):
    """A sprite of each shape at P × P positions all around the torus, turned by multiples of 2π / n.

    shape: heart, square, ellipse, as many as `shapes` says. orientation: k · 2π / n, counter-clockwise. x, y: the centroid, at
    (k + 1/2) / P of the side from the left and from the top.

    The moves (orientation, x, y) are the group Z_n × Z_P × Z_P, which acts on the heart freely. The square looks the same every
    quarter turn and the ellipse every half turn.

    Args:
        size: pixels along a side, 8 to 256.
        positions: P, 2 to 64.
        orientations: n, a divisor of 40; 1 for none.
        shapes: 1 to 3.

    Raises:
        ValueError: if one is out of range.
    """

    name = "cyclic_sprites"
    channels = 1

    def __init__(self, size: int = 16, *, positions: int = 16, orientations: int = 1, shapes: int = 1) -> None:
        check_size(size)
        if not 2 <= positions <= 64 or orientations < 1 or _TURNS % orientations or not 1 <= shapes <= len(_SHAPES):
            raise ValueError(
                f"need positions of 2 to 64, orientations that divide {_TURNS} and 1 to {len(_SHAPES)} shapes, "
                f"found {positions}, {orientations} and {shapes}."
            )
        self.size = size
        self.factors = FactorSpace(("shape", "orientation", "x", "y"), (shapes, orientations, positions, positions))
        masks = sprite_masks(SUBCELLS * size).reshape(3, _LARGEST + 1, _TURNS, SUBCELLS * size, SUBCELLS * size)
        self._masks = masks[list(_SHAPES[:shapes]), _LARGEST, :: _TURNS // orientations]  # (shapes, n, cells, cells)
        self._cover = _cyclic_cover(size, SUBCELLS * size, positions)  # (P, size, cells)

    @property
    def moves(self) -> tuple[int, ...]:
        """The columns of the factors that a move changes: all but the shape that have two values at least."""
        return tuple(k for k, n in enumerate(self.factors.sizes) if k > 0 and n > 1)

    def render(self, factors: NDArray[np.int64]) -> NDArray[np.float32]:
        """The images (n, H, W) of combinations (n, 4), in [0, 1]; see `Sprites.render`."""
        shape, orientation, x, y = factors.T
        return self._cover[y] @ self._masks[shape, orientation] @ self._cover[x].transpose(0, 2, 1)

    def moved(self, factors: NDArray[np.int64], displacement: NDArray[np.int64]) -> NDArray[np.int64]:
        """The combinations (n, 4) after moves (n, K) by whole steps of the K factors `moves`, around the torus.

        f_k <- (f_k + d_k) mod n_k
        """
        after = factors.copy()
        after[:, self.moves] += displacement
        return after % np.array(self.factors.sizes)


def _cyclic_cover(size: int, cells: int, positions: int) -> NDArray[np.float32]:
    """The share of pixel i that cell j covers along one axis, copies one side away counted, (positions, size, cells)."""
    centres = (np.arange(positions) + 0.5) / positions
    # borders of cells and pixels, in pixels
    cell = (centres[:, None] + RADIUS * (np.arange(cells + 1) / cells * 2 - 1)) * size  # (positions, cells + 1)
    pixel = np.arange(size)[None, :, None]
    overlaps = [
        np.minimum(cell[:, None, 1:] + turn, pixel + 1) - np.maximum(cell[:, None, :-1] + turn, pixel)
        for turn in (-size, 0, size)
    ]
    return np.maximum(overlaps, 0).sum(axis=0).astype(np.float32)

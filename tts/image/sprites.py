"""White sprites on black, on the factor grid of dSprites; rendered here, so alike but not bit-exact."""

import numpy as np
from numpy.typing import NDArray

from tts.image.factors import FactorSpace
from tts.image.grid import RenderedGrid, check_size

RADIUS = 0.2  # of the circle around a sprite of scale 1, in sides of the image
MARGIN = 0.21  # between the border and the nearest centre
_SQUARE = 0.7071  # half its side in radii: just below √½, where samples would lie on the edges of one turned by 45°
_ELLIPSE_RATIO = 0.5  # of the short axis to the long one
_HEART_CENTRE = 0.29348  # height of the centroid of (x² + y² − 1)³ ≤ x² y³
_HEART_REACH = 1 + _HEART_CENTRE  # the distance of its tip (0, −1) from there, its greatest
SUBCELLS = 2  # cells of a mask, which is 2 RADIUS wide, along the side of an image, per pixel: 4.9 along a pixel


class Sprites(RenderedGrid):
    """dSprites' grid of 3 shapes × 6 scales × 40 orientations × 32 × 32 positions = 737,280 images of one channel.

    shape: square, ellipse, heart. scale: [.5, 1] in equal steps, multiplies lengths. orientation: k · 2π / 40,
    counter-clockwise. x, y: the centroid, at .21 + .58 k / 31 of the side from the left and from the top.

    The outlines are implicit functions sampled on a grid about 5 times finer than the pixels; a pixel is the share of it
    that is covered. dSprites itself was drawn by another program and is binary: `tts.image.published` reads its file.
    By symmetry the square looks the same every quarter turn and the ellipse every half turn, so no code can tell these
    orientations apart.

    Source: the grid of Matthey et al. 2017 (dSprites).
    """

    name = "sprites"
    channels = 1
    factors = FactorSpace(("shape", "scale", "orientation", "x", "y"), (3, 6, 40, 32, 32))

    def __init__(self, size: int = 64) -> None:
        check_size(size)
        self.size = size
        cells = SUBCELLS * size
        self._masks = sprite_masks(cells)  # (720, cells, cells)
        self._cover = _cover(size, cells)  # (32, size, cells)

    def render(self, factors: NDArray[np.int64]) -> NDArray[np.float32]:
        """The images (n, H, W) of combinations (n, 5), in [0, 1].

        pixels = A_y M A_xᵀ        M: the sprite's mask, A: the share of a pixel that a cell covers, along one axis
        """
        shape, scale, orientation, x, y = factors.T
        sprite = np.ravel_multi_index((shape, scale, orientation), self.factors.sizes[:3])
        return self._cover[y] @ self._masks[sprite] @ self._cover[x].transpose(0, 2, 1)


def sprite_masks(cells: int) -> NDArray[np.float32]:
    """1 inside the sprite and 0 outside, (3 · 6 · 40, cells, cells), for every shape, scale and orientation."""
    centres = ((np.arange(cells) + 0.5) / cells * 2 - 1) * RADIUS
    right, up = np.meshgrid(centres, -centres)
    masks = np.empty((3, 6, 40, cells, cells), dtype=np.float32)
    for j, scale in enumerate(np.linspace(0.5, 1, 6)):
        for k, angle in enumerate(np.arange(40) * 2 * np.pi / 40):
            # the plane turned back by the angle, in units of the radius
            u = (np.cos(angle) * right + np.sin(angle) * up) / (scale * RADIUS)
            v = (np.cos(angle) * up - np.sin(angle) * right) / (scale * RADIUS)
            masks[0, j, k] = np.maximum(abs(u), abs(v)) <= _SQUARE
            masks[1, j, k] = u**2 + (v / _ELLIPSE_RATIO) ** 2 <= 1
            p, q = _HEART_REACH * u, _HEART_REACH * v + _HEART_CENTRE
            masks[2, j, k] = (p**2 + q**2 - 1) ** 3 <= p**2 * q**3
    return masks.reshape(-1, cells, cells)


def _cover(size: int, cells: int) -> NDArray[np.float32]:
    """The share of pixel i that cell j covers along one axis, (32, size, cells), for every position."""
    centres = MARGIN + (1 - 2 * MARGIN) * np.arange(32) / 31
    # borders of cells and pixels, in pixels
    cell = (centres[:, None] + RADIUS * (np.arange(cells + 1) / cells * 2 - 1)) * size  # (32, cells + 1)
    pixel = np.arange(size)[None, :, None]
    overlap = np.minimum(cell[:, None, 1:], pixel + 1) - np.maximum(cell[:, None, :-1], pixel)
    return np.maximum(overlap, 0).astype(np.float32)

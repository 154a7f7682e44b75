"""One solid in a corner of a room, on the factor grid of Shapes3D; cast ray by ray here, so alike but not bit-exact."""

import colorsys

import numpy as np
from numpy.typing import NDArray

from tts.image.factors import FactorSpace
from tts.image.grid import RenderedGrid, check_size
from tts.image.rays import SOLIDS, View, cast

PALETTE = np.array([colorsys.hsv_to_rgb(k / 10, 1, 1) for k in range(10)], dtype=np.float32)  # (10, 3), in [0, 1]
SCALES = np.linspace(0.75, 1.25, 8)  # of lengths
AZIMUTHS = np.linspace(-np.pi / 6, np.pi / 6, 15)  # radians
_RAYS = 3  # along the side of a pixel


class Shapes(RenderedGrid):
    """Shapes3D's grid of 10 × 10 × 10 hues × 8 scales × 4 shapes × 15 azimuths = 480,000 images of three channels.

    floor_hue, wall_hue, object_hue: k / 10 of the colour circle at full saturation and value. scale: [.75, 1.25] in equal
    steps, multiplies lengths. shape: cube, cylinder, sphere, capsule. azimuth: [−30°, 30°] in equal steps, by which room and
    object are turned; the corner of the room wanders from left to right.

    What the camera sees depends on scale, shape and azimuth alone, so it is cast once for each of the 480 views, with 9 rays a
    pixel; a batch is a gather and a blend. The floor has exactly the palette's colour. Floor, walls and object cover about
    equal areas, for a small part of an image is learned last.

    Source: the grid of Burgess and Kim 2018 (3D Shapes).
    """

    name = "shapes"
    channels = 3
    factors = FactorSpace(("floor_hue", "wall_hue", "object_hue", "scale", "shape", "azimuth"), (10, 10, 10, 8, 4, 15))

    def __init__(self, size: int = 64) -> None:
        check_size(size)
        self.size = size
        self._views = _views(size)  # (480, 3 surfaces, size²)

    def render(self, factors: NDArray[np.int64]) -> NDArray[np.float32]:
        """The images (n, 3, H · W) of combinations (n, 6), in [0, 1].

        pixel = Σ_k c_k w_k        c: colour of floor, walls, object; w: their brightness times their share of the pixel
        """
        *hues, scale, shape, azimuth = factors.T
        colours = PALETTE[np.stack(hues, axis=1)]  # (n, surfaces, channels)
        views = self._views[np.ravel_multi_index((scale, shape, azimuth), self.factors.sizes[3:])]
        return colours.transpose(0, 2, 1) @ views


def _views(size: int) -> NDArray[np.float32]:
    """Brightness times cover of floor, walls and object, (8 · 4 · 15, 3, size²), for every scale, shape and azimuth."""
    fine = size * _RAYS
    views = np.empty((len(SCALES), len(SOLIDS), len(AZIMUTHS), 3, size * size), dtype=np.float32)
    for k, azimuth in enumerate(AZIMUTHS):
        view = View.at(azimuth, fine)
        for i, scale in enumerate(SCALES):
            for j, solid in enumerate(SOLIDS):
                light = cast(view, solid, scale).reshape(3, size, _RAYS, size, _RAYS)
                views[i, j, k] = light.mean(axis=(2, 4)).reshape(3, -1)
    return views.reshape(-1, 3, size * size)

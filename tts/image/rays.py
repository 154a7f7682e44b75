"""Rays from a camera into the corner of a room with one solid on the floor: what they hit, and how bright it is there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

CAMERA = np.array([0.0, 2.0, 3.6], dtype=np.float32)  # right, up, towards the viewer; the solid stands at the origin
AIM_HEIGHT = 0.57  # of the point looked at, above the origin
OPENING = 0.255  # tangent of half the angle of view
WALL_DISTANCE = 1.5  # of each wall from the solid's axis
WALL_BRIGHTNESS = (0.78, 0.92)  # left and right; lighter than the solid's upright faces, so a solid of their hue stands out
LIGHT = np.array([0.20, 0.80, 0.5656854], dtype=np.float32)  # unit vector towards the light, in the room's frame
AMBIENT = 0.30  # brightness where the light does not reach
_BALL_HEIGHT, _BALL_RADIUS = 0.6, 0.9  # of a ball that holds every solid


@dataclass(frozen=True)
class View:
    """Rays through a square grid of points of the picture, in the frame of the room turned by an azimuth."""

    origin: Array  # (3,)
    directions: Array  # (n, n, 3), not of unit length
    background: Array  # (2, n, n): brightness of the floor, and of the walls; 0 where something else is hit

    @classmethod
    def at(cls, azimuth: float, n: int) -> Self:
        """The view (n × n rays) of a room whose corner is turned by `azimuth` radians from straight ahead to the right."""
        forward = np.array([0, AIM_HEIGHT, 0], dtype=np.float32) - CAMERA
        forward /= np.linalg.norm(forward)
        right = np.array([1, 0, 0], dtype=np.float32)
        up = np.cross(right, forward)
        across = OPENING * ((2 * np.arange(n, dtype=np.float32) + 1) / n - 1)
        directions = forward + across[None, :, None] * right - across[:, None, None] * up
        # the walls are the planes x = −WALL_DISTANCE and z = −WALL_DISTANCE of the room's frame, which is turned by 45°
        turn = azimuth + np.pi / 4
        room = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]], dtype=np.float32)
        origin, directions = room @ CAMERA, directions @ room.T
        return cls(origin, directions, _background(origin, directions))


def cast(view: View, solid: Callable[[Array, Array], tuple[Array, Array]], scale: float) -> Array:
    """Brightness in [0, 1] of floor, walls and solid along each ray, (3, n, n), 0 where a ray hits another of the three."""
    # a solid `scale` times as large is the solid itself, seen from 1 / scale of the distance
    origin = view.origin / np.float32(scale)
    near = np.isfinite(_ball(origin, view.directions, _BALL_HEIGHT, _BALL_RADIUS)[0])
    distance, normal = solid(origin, view.directions[near])
    hit = np.isfinite(distance)
    light = np.concatenate([view.background, np.zeros_like(view.background[:1])])
    light[:, near] *= ~hit
    # Lambert's law with ambient light: a + (1 − a) max(0, n · l)
    light[2, near] = np.where(hit, AMBIENT + (1 - AMBIENT) * np.maximum(normal @ LIGHT, 0), 0)
    return light


def _background(origin: Array, directions: Array) -> Array:
    """The brightness of floor and walls (2, n, n): 1 on the floor, one of two on the walls."""
    with np.errstate(divide="ignore"):
        x, y, z = np.moveaxis((np.array([-WALL_DISTANCE, 0, -WALL_DISTANCE], dtype=np.float32) - origin) / directions, -1, 0)
    x, y, z = (np.where(t > 0, t, np.inf) for t in (x, y, z))
    floor = y < np.minimum(x, z)
    wall = np.where(x < z, *np.array(WALL_BRIGHTNESS, dtype=np.float32))
    return np.stack([floor.astype(np.float32), np.where(floor, 0, wall)])


def _cube(origin: Array, directions: Array) -> tuple[Array, Array]:
    """A cube of side 2 a, by the slab method."""
    a = np.float32(0.46)
    centre = np.array([0, a, 0], dtype=np.float32)
    with np.errstate(divide="ignore"):
        first, second = (centre - a - origin) / directions, (centre + a - origin) / directions
    near, far = np.minimum(first, second), np.maximum(first, second)
    axis = near.argmax(axis=-1)
    distance = near.max(axis=-1)
    normal = np.eye(3, dtype=np.float32)[axis] * -np.sign(directions)
    return np.where(distance < far.min(axis=-1), distance, np.inf), normal


def _sphere(origin: Array, directions: Array) -> tuple[Array, Array]:
    """A sphere of radius .58 on the floor."""
    return _ball(origin, directions, height=0.58, radius=0.58)


def _cylinder(origin: Array, directions: Array) -> tuple[Array, Array]:
    """An upright cylinder of radius .48 and height .98 with a lid."""
    radius, top = 0.48, 0.98
    side, normal = _tube(origin, directions, radius, 0, top)
    lid = (top - origin[1]) / directions[..., 1]
    reach = np.hypot(origin[0] + lid * directions[..., 0], origin[2] + lid * directions[..., 2])
    lid = np.where(reach < radius, lid, np.inf)
    return np.minimum(side, lid), np.where((lid < side)[..., None], np.array([0, 1, 0], dtype=np.float32), normal)


def _capsule(origin: Array, directions: Array) -> tuple[Array, Array]:
    """An upright capsule of radius .43 and height 1.2."""
    radius, height = 0.43, 1.2
    parts = [
        _ball(origin, directions, radius, radius),
        _ball(origin, directions, height - radius, radius),
        _tube(origin, directions, radius, radius, height - radius),
    ]
    nearest = np.argmin([distance for distance, _ in parts], axis=0)
    distance = np.choose(nearest, [distance for distance, _ in parts])
    return distance, np.choose(nearest[..., None], [normal for _, normal in parts])


def _ball(origin: Array, directions: Array, height: float, radius: float) -> tuple[Array, Array]:
    """A sphere around (0, height, 0): the nearer root of |o + t d − c|² = r²."""
    offset = origin - np.array([0, height, 0], dtype=np.float32)
    t = _nearer_root((directions**2).sum(axis=-1), directions @ offset, offset @ offset - radius**2)
    return t, (offset + np.where(np.isfinite(t), t, 0)[..., None] * directions) / radius


def _tube(origin: Array, directions: Array, radius: float, bottom: float, top: float) -> tuple[Array, Array]:
    """The side of an upright cylinder between two heights: the nearer root of (o + t d)_x² + (o + t d)_z² = r²."""
    flat, start = directions * np.array([1, 0, 1], dtype=np.float32), origin * np.array([1, 0, 1], dtype=np.float32)
    t = _nearer_root((flat**2).sum(axis=-1), flat @ start, start @ start - radius**2)
    reached = np.where(np.isfinite(t), t, 0)
    height = origin[1] + reached * directions[..., 1]
    inside = (height > bottom) & (height < top)
    return np.where(inside, t, np.inf), (start + reached[..., None] * flat) / radius


def _nearer_root(a: Array, b: Array, c: Any) -> Array:
    """The smaller t with a t² + 2 b t + c = 0; infinite where there is none."""
    discriminant = b * b - a * c
    return np.where(discriminant > 0, (-b - np.sqrt(np.maximum(discriminant, 0))) / a, np.inf)


SOLIDS = (_cube, _cylinder, _sphere, _capsule)
"""For a ray origin (3,) and directions (..., 3): how far (...) the solid is, infinite past it, and its unit normal there."""

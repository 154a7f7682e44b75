"""Paths between two noises, and how straight and how even a map makes them: RTL, PPL, distances of adjacent frames."""

import math
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import pairwise

import torch
from torch import Tensor

from tts.diffusion import expand_like
from tts.image.geometry.tangent import Map

Distance = Callable[[Tensor, Tensor], Tensor]
"""Two batches (B, ...) -> how far each pair is apart, (B,)."""

_PARALLEL = 1e-4  # sine of an angle below which the arc is a line


class Path(str, Enum):
    """The way from a to b: the arc of the sphere, or the straight line."""

    slerp = "slerp"
    lerp = "lerp"

    def at(self, a: Tensor, b: Tensor, weight: float | Tensor) -> Tensor:
        """The point at `weight`, a number or (B,): a at 0, b at 1."""
        if self is Path.slerp:
            return slerp(a, b, weight)
        w = expand_like(torch.as_tensor(weight).to(a), a)
        return (1 - w) * a + w * b

    def points(self, a: Tensor, b: Tensor, n: int) -> list[Tensor]:
        """The n + 1 points that cut the way into n equal parts, a and b among them."""
        return [self.at(a, b, i / n) for i in range(n + 1)]


def slerp(a: Tensor, b: Tensor, weight: float | Tensor) -> Tensor:
    """Between a and b (B, ...) on the arc: sin((1-w) θ)/sin θ a + sin(w θ)/sin θ b, θ their angle; keeps the norm of noise.

    `weight` is a number or one for each pair, (B,).

    Source: Shoemake 1985; for the noise of diffusion Song, Meng and Ermon 2021, eq. 67.
    """
    flat_a, flat_b = a.flatten(1).double(), b.flatten(1).double()
    w = torch.as_tensor(weight).to(flat_a).reshape(-1, 1)
    angle = angle_between(flat_a, flat_b)[:, None]
    nearly_parallel = angle.sin() < _PARALLEL
    sine = torch.where(nearly_parallel, torch.ones_like(angle), angle.sin())
    arc = (((1 - w) * angle).sin() * flat_a + (w * angle).sin() * flat_b) / sine
    line = (1 - w) * flat_a + w * flat_b
    return torch.where(nearly_parallel, line, arc).to(a.dtype).view_as(a)


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """The angle of each pair, (B,) in [0, pi], float64."""
    cosine = torch.nn.functional.cosine_similarity(a.flatten(1).double(), b.flatten(1).double(), dim=1)
    return cosine.clamp(-1, 1).acos()


def rtl(f: Map, x0: Tensor, x1: Tensor, n: int = 20, *, path: Path = Path.slerp) -> tuple[Tensor, Tensor]:
    """Relative trajectory length of the image of a path, and the value that a linear scaled isometry would have, (B,) each.

        RTL = sum_i |h_{i+1} - h_i| / |h_n - h_0| >= 1 ,       h_i = f(x_i)

    1 is a straight path in h-space. The ideal is the RTL of the path in x itself: 1 for `lerp`; for `slerp`, as no map takes
    great arcs to lines and keeps lengths, theta / (2 sin(theta / 2)) as n grows, pi / (2 sqrt 2) = 1.1107 between independent
    noises. Below the ideal a map straightens arcs at the cost of lengths.

    Args:
        f: x -> h, each sample by itself.
        x0: one end of each path, (B, ...).
        x1: the other end.
        n: parts of the path.
        path: slerp, or lerp.

    Raises:
        ValueError: if n is below 1.

    Source: Hahm et al. 2024 name the metric; no definition was published with the code, this one is ours.
    """
    if n < 1:
        raise ValueError(f"need a path of at least one part, found {n}.")
    points = path.points(x0, x1, n)
    return _relative_length([f(x) for x in points]), _relative_length(points)


def mean_rtl(maps: Sequence[Map], x0: Tensor, x1: Tensor, n: int = 20, *, path: Path = Path.slerp) -> tuple[float, float]:
    """mRTL, the mean of `rtl` over pairs and maps (one for each time), and the mean ideal.

    Raises:
        ValueError: as `rtl`, or without any map.
    """
    if not maps:
        raise ValueError("need at least one map.")
    values, ideals = zip(*(rtl(f, x0, x1, n, path=path) for f in maps), strict=True)
    return torch.stack(values).mean().item(), torch.stack(ideals).mean().item()


def _relative_length(points: Sequence[Tensor]) -> Tensor:
    """Length of a polygon over the distance of its ends, (B,), in float64."""
    flat = [point.flatten(1).double() for point in points]
    length = torch.stack([(b - a).norm(dim=1) for a, b in pairwise(flat)]).sum(0)
    return length / (flat[-1] - flat[0]).norm(dim=1)


def path_lengths(
    generate: Map,
    distance: Distance,
    z0: Tensor,
    z1: Tensor,
    generator: torch.Generator,
    *,
    eps: float = 1e-4,
    ends: bool = False,
) -> Tensor:
    """How much images change at one place on the arc of each pair of noises, (n,) float64: what `ppl` is the mean of.

        d( g(slerp(z0, z1, w)), g(slerp(z0, z1, w + eps)) ) / eps^2 ,    w uniform in [0, 1 - eps]

    Of a diffusion model they are heavy-tailed: a mean of a few dozen is chance. Take a thousand, and look at the median too.

    Args:
        generate: noise (B, ...) -> images, each sample by itself, with no noise of its own; not clipped.
        distance: of images, quadratic in small differences (as `FeatureDistance` is).
        z0: noises, (B, ...).
        z1: as many others.
        generator: of the w, on the CPU.
        eps: step along the arc.
        ends: w is 0 or 1 - eps, each half of the time: the smoothness at the noises themselves.

    Raises:
        ValueError: if eps is outside (0, 1).
    """
    if not 0 < eps < 1:
        raise ValueError(f"need eps in (0, 1), found {eps}.")
    draws = torch.rand(len(z0), generator=generator, dtype=torch.float64).to(z0.device)
    w = (draws.round() if ends else draws) * (1 - eps)
    # d( g(w), g(w + eps) ) / eps^2 of each pair
    return distance(generate(slerp(z0, z1, w)), generate(slerp(z0, z1, w + eps))).double() / eps**2


def ppl(lengths: Tensor, trim: tuple[float, float] = (0.01, 0.99)) -> float:
    """Perceptual path length, the mean of `path_lengths` (n,) between two of their quantiles; smaller is smoother.

    Figures of two distances of images are not comparable.

    Raises:
        ValueError: if trim does not rise within [0, 1].

    Source: Karras et al. 2019 (StyleGAN).
    """
    low, high = trim
    if not 0 <= low < high <= 1:
        raise ValueError(f"need a trim that rises within [0, 1], found {trim}.")
    bounds = lengths.quantile(lengths.new_tensor([low, high]))
    return lengths[(lengths >= bounds[0]) & (lengths <= bounds[1])].mean().item()


def frame_distances(frames: Tensor, distance: Distance) -> Tensor:
    """The distance of each frame to the next, (n - 1,), of frames (n, ...) along a path.

    Raises:
        ValueError: if there are fewer than two frames.
    """
    if len(frames) < 2:
        raise ValueError(f"need at least two frames, found {len(frames)}.")
    return distance(frames[:-1], frames[1:])


def unevenness(distances: Tensor) -> float:
    """Largest step over mean step of `frame_distances`, 1 to n - 1: 1 is an even walk, n - 1 one single jump.

    Not a number where no frame differs from the next.
    """
    mean = distances.mean().item()
    return distances.max().item() / mean if mean > 0 else math.nan

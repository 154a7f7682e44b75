"""The stereographic chart of the sphere on which noise lies, and its metric; dimensionless, from the north pole."""

import torch
from torch import Tensor

from tts.diffusion import Schedule


def stereographic(x: Tensor, radius: float | Tensor) -> Tensor:
    """The chart: z = (x_1, ..., x_{n-1}) / (r - x_n), x (..., n) on the sphere of radius r -> (..., n - 1).

    The north pole x_n = r has no image. `radius` is a number or broadcasts to (..., 1).
    """
    return x[..., :-1] / (radius - x[..., -1:])


def inverse_stereographic(z: Tensor, radius: float | Tensor) -> Tensor:
    """The point of the sphere of radius r above z (..., n - 1): x = r (2 z, |z|^2 - 1) / (1 + |z|^2), (..., n)."""
    square = z.square().sum(-1, keepdim=True)
    return radius / (1 + square) * torch.cat((2 * z, square - 1), dim=-1)


def stereographic_metric(z: Tensor, radius: float | Tensor) -> Tensor:
    """The factor g of the metric G = g I at z (..., n - 1): g = 4 r^2 / (1 + |z|^2)^2, (..., 1).

    Of noise |z| is close to 1, so g is close to r^2: in image dimension the metric is next to constant.
    """
    return 4 * radius**2 / (1 + z.square().sum(-1, keepdim=True)) ** 2


def sphere_radius(schedule: Schedule, t: Tensor, n: int, second_moment: float) -> Tensor:
    """The length of a state x_t of n numbers, r = sqrt(n (alpha^2 m + sigma^2)), the shape of t; m = E|x_0|^2 / n."""
    return (n * (schedule.alpha(t) ** 2 * second_moment + schedule.sigma(t) ** 2)).sqrt()

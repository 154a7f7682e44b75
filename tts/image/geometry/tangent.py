"""Derivatives of maps that treat every sample by itself, and the tangent space of the sphere on which noise lies."""

from collections.abc import Callable
from enum import Enum
from typing import Any

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]
"""x (B, ...) -> h (B, ...), each sample by itself, so that J is one block for each sample."""


class Manifold(str, Enum):
    """What x may move on: the sphere through x around 0 (noise in n dimensions has length sqrt(n)), or all of space."""

    sphere = "sphere"
    flat = "flat"

    def dimension(self, x: Tensor) -> int:
        """Of the tangent space at one sample of x (B, ...): n, or n - 1 on the sphere."""
        return x[0].numel() - (self is Manifold.sphere)

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """v without what leaves the manifold at x, both (B, ...)."""
        return tangent_project(x, v) if self is Manifold.sphere else v


def jvp(f: Map, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """(f(x), J v) in forward mode, differentiable in x, v and the parameters of f; v has the shape of x."""
    result: Any = torch.func.jvp(f, (x.contiguous(),), (v.contiguous(),))  # expanded tensors have no forward derivative
    h, pushed = result
    return h, pushed


def vjp(f: Map, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """(f(x), J^T w), differentiable in x, w and the parameters of f; w has the shape of f(x)."""
    h, pull = transposed(f, x)
    return h, pull(w)


def transposed(f: Map, x: Tensor) -> tuple[Tensor, Map]:
    """f(x), and the map w -> J^T w of its own tape, which may be asked any number of times."""
    result: Any = torch.func.vjp(f, x)
    h, pull = result
    return h, lambda w: pull(w)[0]


def per_sample(values: Tensor) -> Tensor:
    """The sum over all axes of (B, ...) but the first, (B,)."""
    return values.flatten(1).sum(1)


def tangent_project(x: Tensor, v: Tensor) -> Tensor:
    """v without its part along x: P v = v - <v, x> x / |x|^2, both (B, ...).

    The tangent space of the sphere through x around 0, whatever its radius.
    """
    # P v = v - <v, x> x / |x|^2
    along = per_sample(v * x) / per_sample(x * x)
    return v - along.reshape(-1, *[1] * (x.ndim - 1)) * x


def push_all(f: Map, x: Tensor, vs: Tensor) -> Tensor:
    """J v of several directions of each sample: x (B, ...), vs (B, k, ...) -> (B, k, shape of h)."""
    return torch.func.vmap(lambda v: jvp(f, x, v)[1], in_dims=1, out_dims=1)(vs)


def pull_all(f: Map, x: Tensor, ws: Tensor) -> Tensor:
    """J^T w of several covectors of each sample: x (B, ...), ws (B, k, shape of h) -> (B, k, ...)."""
    return torch.func.vmap(transposed(f, x)[1], in_dims=1, out_dims=1)(ws)

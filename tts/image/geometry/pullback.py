"""Pullback directions: the directions of x that move h most, found without ever writing the Jacobian down."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tts.diffusion import expand_like
from tts.diffusion.samplers import Denoiser
from tts.image.geometry.tangent import Manifold, Map, pull_all, push_all

_OVERSAMPLING = 4  # columns beyond those that are asked for: the last of these converges as fast as the first left out


@dataclass(frozen=True, eq=False)
class Pullback:
    """The largest singular triples of J = dh/dx at each x, falling: J x_directions = values h_directions.

    values: (B, k).
    x_directions: (B, k, ...) of the shape of x, orthonormal.
    h_directions: (B, k, ...) of the shape of h, orthonormal.
    change: the sine of the largest angle to the directions of the iteration before, (B,): above the tolerance it did not end.
    """

    values: Tensor
    x_directions: Tensor
    h_directions: Tensor
    change: Tensor


def pullback_directions(
    f: Map,
    x: Tensor,
    k: int,
    generator: torch.Generator,
    *,
    manifold: Manifold = Manifold.flat,
    iterations: int = 50,
    tolerance: float = 1e-4,
) -> Pullback:
    """The k largest singular values and vectors of J P by subspace iteration, V <- span(P J^T J V).

    It ends when the sine of the largest angle between the k directions and those of the iteration before is below `tolerance`
    for every sample, or after `iterations`. The sign of a direction means nothing, and of equal values only the span is
    determined.

    Args:
        f: x -> h, each sample by itself.
        x: points, (B, ...).
        k: how many, 1 to min(m, dim h), m the dimension of the manifold.
        generator: of the first subspace, on the CPU.
        manifold: on the sphere directions along x are left out.
        iterations: at most so many, each one batched JVP and one VJP.
        tolerance: of the angle.

    Raises:
        ValueError: if k or iterations is out of range.

    Source: Park et al. 2023, whose test compares vectors, not subspaces.
    """
    n, largest = x[0].numel(), min(manifold.dimension(x), f(x)[0].numel())
    if not 1 <= k <= largest or iterations < 1:
        raise ValueError(f"need 1 to {largest} directions and at least one iteration, found {k} and {iterations}.")
    columns = min(k + _OVERSAMPLING, largest)
    start = torch.randn(len(x), n, columns, generator=generator).to(x)
    v = _orthonormal(_project(manifold, x, start))
    found = v[..., :k]
    for _ in range(iterations):
        # the singular triples of J V: with V orthonormal they are the best within its span
        pushed = push_all(f, x, _images(v, x))  # (B, columns, shape of h)
        left, values, right = torch.linalg.svd(pushed.flatten(2).mT, full_matrices=False)
        before, found = found, v @ right.mT[..., :k]
        change = _sine(before, found)
        if bool((change < tolerance).all()):
            break
        # V <- orth(P J^T J V)
        v = _orthonormal(_project(manifold, x, pull_all(f, x, pushed).flatten(2).mT))
    h_directions = left[..., :k].mT.reshape(len(x), k, *pushed.shape[2:])
    return Pullback(values[:, :k], _images(found, x), h_directions, change)


def shared_directions(x_directions: Tensor) -> Tensor:
    """The k directions nearest to those of all samples: (B, k, ...) -> (k, ...), orthonormal, best first.

    The mean of the subspaces in the projection metric: the leading eigenvectors of sum_b V_b V_b^T.
    """
    k = x_directions.shape[1]
    stacked = x_directions.flatten(0, 1).flatten(1)
    _, _, right = torch.linalg.svd(stacked, full_matrices=False)
    return right[:k].reshape(x_directions.shape[1:])


def transported(directions: Tensor, source: Pullback, target: Pullback) -> Tensor:
    """Directions v (B, ...) in the span of `source.x_directions`, carried over h-space to the x of `target`, (B, ...).

        v' = V' U'^T U V^T v        V, U the directions of x and of h, of the source; V', U' of the target

    The length shrinks by what the target's directions of h do not hold.

    Source: Park et al. 2023, parallel transport.
    """
    coefficients = torch.einsum("bkn,bn->bk", source.x_directions.flatten(2), directions.flatten(1))
    h = torch.einsum("bk,bkm->bm", coefficients, source.h_directions.flatten(2))
    back = torch.einsum("bkm,bm->bk", target.h_directions.flatten(2), h)
    return torch.einsum("bk,bkn->bn", back, target.x_directions.flatten(2)).view_as(directions)


@torch.no_grad()
def pullback_edit(
    denoiser: Denoiser, x: Tensor, t: Tensor, direction: Tensor, *, delta: float = 1.0, rate: float = 0.1, repeats: int = 16
) -> Tensor:
    """x moved along a direction at one time, `repeats` times x <- x + rate (eps_hat(x + delta v) - eps_hat(x)).

    The noise prediction keeps x where noisy images are, which x + c v would leave. Go on from t with `tts.diffusion.sample`;
    the published edits end with ancestral steps in the last fifth.

    Args:
        denoiser: (U, t (B,)) -> eps_hat.
        x: states at t, (B, ...).
        t: time, (B,) or ().
        direction: v, (B, ...) or one for all, of length 1.
        delta: how far the direction is tried; negative for the other way.
        rate: of each step.
        repeats: steps.

    Source: Park et al. 2023.
    """
    times = t.expand(len(x))
    for _ in range(repeats):
        # x <- x + gamma (eps(x + delta v) - eps(x))
        x = x + rate * (denoiser(x + delta * direction, times) - denoiser(x, times))
    return x


def pullback_length(f: Map, x: Tensor, v: Tensor) -> Tensor:
    """|J v|, (B,): how long v (B, ...) at x is in h."""
    return push_all(f, x, v[:, None]).flatten(1).norm(dim=1)


def _images(v: Tensor, x: Tensor) -> Tensor:
    """Columns (B, n, k) in the shape of x, (B, k, ...)."""
    return v.mT.reshape(len(x), -1, *x.shape[1:])


def _project(manifold: Manifold, x: Tensor, v: Tensor) -> Tensor:
    """Columns v (B, n, k) projected to the tangent space."""
    if manifold is Manifold.flat:
        return v
    axis = x.flatten(1) / expand_like(x.flatten(1).norm(dim=1), x.flatten(1))
    return v - axis[:, :, None] * torch.einsum("bn,bnk->bk", axis, v)[:, None]


def _orthonormal(v: Tensor) -> Tensor:
    """An orthonormal basis of the columns (B, n, k)."""
    return torch.linalg.qr(v).Q


def _sine(a: Tensor, b: Tensor) -> Tensor:
    """The sine of the largest angle between the spans of orthonormal columns (B, n, k), (B,): |b - a a^T b|."""
    return torch.linalg.matrix_norm(b - a @ (a.mT @ b), ord=2)

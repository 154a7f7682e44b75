"""The singular values of the Jacobian, and two numbers made of them: condition (MCN) and variation (VoR)."""

from enum import Enum

import torch
from torch import Tensor

from tts.image.geometry.pullback import pullback_directions
from tts.image.geometry.tangent import Manifold, Map, jvp, tangent_project, transposed

_CHUNK = 64  # derivatives at once


class SpectrumMethod(str, Enum):
    """`exact` writes the Jacobian down; `power` iterates, for the few largest values of a large one."""

    exact = "exact"
    power = "power"


def riemannian_spectrum(
    f: Map,
    x: Tensor,
    k: int | None = None,
    *,
    method: SpectrumMethod = SpectrumMethod.exact,
    manifold: Manifold = Manifold.sphere,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The k largest singular values of J on the tangent space at each x, falling, (B, k); eigenvalues of R are their squares.

    Args:
        f: x -> h, each sample by itself.
        x: points, (B, ...).
        k: 1 to d = min(m, dim h), m the dimension of the manifold; None is d.
        method: exact, or by subspace iteration.
        manifold: on the sphere the radial direction, along which J P is 0, is left out.
        generator: of the iteration's start; required by `power`.

    Raises:
        ValueError: if k is out of range, or `power` has no generator.
    """
    d = min(manifold.dimension(x), f(x)[0].numel())
    k = d if k is None else k
    if not 1 <= k <= d:
        raise ValueError(f"need 1 to {d} values, found {k}.")
    if method is SpectrumMethod.exact:
        return torch.linalg.svdvals(jacobian(f, x, manifold))[:, :k]
    if generator is None:
        raise ValueError("the method power starts from a random subspace: pass a generator.")
    return pullback_directions(f, x, k, generator, manifold=manifold).values


def jacobian(f: Map, x: Tensor, manifold: Manifold = Manifold.flat) -> Tensor:
    """J P at each x, (B, dim h, n), P the projection to the tangent space; from the smaller side of J."""
    n, m = x[0].numel(), f(x)[0].numel()
    if m <= n:
        h, pull = transposed(f, x)
        basis = torch.eye(m).to(x)[:, None].expand(m, len(x), m).reshape(m, *h.shape)
        rows = torch.func.vmap(pull, chunk_size=_CHUNK)(basis)  # (m, B, ...)
        j = rows.flatten(2).transpose(0, 1)
    else:
        basis = torch.eye(n).to(x)[:, None].expand(n, len(x), n).reshape(n, *x.shape)
        columns = torch.func.vmap(lambda v: jvp(f, x, v)[1], chunk_size=_CHUNK)(basis)  # (n, B, ...)
        j = columns.flatten(2).permute(1, 2, 0)
    if manifold is Manifold.flat:
        return j
    # (J P)^T = P J^T
    return torch.stack([tangent_project(point.expand(m, n), rows) for point, rows in zip(x.flatten(1), j, strict=True)])


def mcn(f: Map, x: Tensor, *, manifold: Manifold = Manifold.sphere) -> Tensor:
    """Mean condition number: E_x[s_max / s_min] over the singular values of `riemannian_spectrum`, a scalar >= 1.

    1 for a conformal map; infinite where J loses rank. These are singular values: other sources take the eigenvalues, their
    squares. Give a pooled map (`encoder_half(..., pooled=True)`), as published, where h is large.

    Source: Lee et al. 2022; Hahm et al. 2024.
    """
    values = riemannian_spectrum(f, x, manifold=manifold)
    return (values[:, 0] / values[:, -1]).mean()


def vor(f: Map, x: Tensor, *, manifold: Manifold = Manifold.sphere) -> Tensor:
    """Variance of the metric: E_x[ sum_i ln^2 eig_i( mean(G)^-1 G(x) ) ], a scalar >= 0.

    0 where G is the same at every x. G is J^T J where h has at least as many dimensions as x (flat only), and J P J^T in
    h-space otherwise, whose eigenvalues are the same but for zeros; an invertible linear map of that space changes nothing.

    Raises:
        ValueError: if on the sphere h has as many dimensions as x or more, where the tangent spaces of different x have no
            common basis. Give a pooled map.

    Source: Lee et al. 2022.
    """
    j = jacobian(f, x, manifold)
    m, n = j.shape[1:]
    if manifold is Manifold.sphere and m >= n:
        raise ValueError(f"on the sphere vor needs h of fewer dimensions than x, found {m} and {n}. Give a pooled map.")
    g = j @ j.mT if m < n else j.mT @ j
    # the eigenvalues of L^-1 G L^-T, mean(G) = L L^T, are those of mean(G)^-1 G
    root = torch.linalg.cholesky(g.mean(0)).expand_as(g)
    half = torch.linalg.solve_triangular(root, g, upper=False)
    whitened = torch.linalg.solve_triangular(root, half.mT, upper=False)
    return torch.linalg.eigvalsh(whitened).log().square().sum(1).mean()


def vor_sorted(f: Map, x: Tensor, *, manifold: Manifold = Manifold.sphere) -> Tensor:
    """The variant sum_i Var_x[ln s_i] over singular values sorted at each x, a scalar >= 0; it is blind to rotations of G."""
    return riemannian_spectrum(f, x, manifold=manifold).log().var(dim=0).sum()

"""The isometry loss: how far a map is from preserving lengths up to one scale."""

from enum import Enum

import torch
from torch import Tensor

from tts.image.geometry.tangent import Manifold, Map, jvp, per_sample, transposed


class Probe(str, Enum):
    """Random vectors of Hutchinson's estimate: signs, which are exact for scaled orthogonal maps, or normal numbers."""

    rademacher = "rademacher"
    gaussian = "gaussian"


class IsometryMode(str, Enum):
    """`global` asks for one scale everywhere (the paper); `conformal` lets every x have its own."""

    global_ = "global"
    conformal = "conformal"


def isometry_loss(
    f: Map,
    x: Tensor,
    generator: torch.Generator,
    *,
    probes: int = 1,
    kind: Probe = Probe.rademacher,
    manifold: Manifold = Manifold.sphere,
    mode: IsometryMode = IsometryMode.global_,
    normalise: bool = True,
) -> Tensor:
    """The relaxed distortion of f, in expectation 0 for a scaled isometry and above 0 for anything else.

        global      d E[Tr R^2] / E[Tr R]^2 - 1   ~   (d / m) <b> <s> / <a>^2 - 1         R = P J^T J P ,   s = |u|^2 ,
        conformal   d E[Tr R^2 / (Tr R)^2] - 1    ~   (d / m) <b s / a^2> - 1             a = |J u|^2 ,   b = |P J^T J u|^2

    u is a random vector projected to the tangent space, of dimension m (n, or n - 1 on the sphere), and d = min(m, dim h): of
    a map into fewer dimensions nothing more than d equal eigenvalues can be asked. E s = m is estimated along with the traces,
    which makes the estimate of a scaled isometry exactly 0 and, where d = m, none negative. In the chart of the stereographic
    projection R is G^(-1/2) J^T J G^(-1/2); the tangent space gives the same without a chart. The length of x does not
    matter. One forward-mode and one reverse-mode derivative for each probe; differentiable in the parameters of f.

    Args:
        f: x -> h, each sample by itself.
        x: points, (B, ...); not 0 on the sphere.
        generator: of the probes, on the CPU.
        probes: random vectors for each sample; numerator and denominator are averaged over them before they are divided.
        kind: of the random vectors.
        manifold: what x lies on.
        mode: one scale, or one for each x.
        normalise: give the loss above; otherwise the bare ratio, of least value 1 / d.

    Raises:
        ValueError: if probes is below 1 or x has no sample.

    Source: Hahm et al. 2024 (Isometric Diffusion), after Lee et al. 2022; the form without a chart is derived here.
    """
    if probes < 1 or len(x) == 0:
        raise ValueError(f"need at least one probe and one sample, found {probes} and {len(x)}.")
    h, pull = transposed(f, x)
    lengths, numerators, denominators = [], [], []
    for _ in range(probes):
        # u' = P u
        u = manifold.project(x, draw_probe(x, kind, generator))
        pushed = jvp(f, x, u)[1]
        # w' = P J^T J u'
        pulled = manifold.project(x, pull(pushed))
        lengths.append(per_sample(u**2))
        denominators.append(per_sample(pushed**2))
        numerators.append(per_sample(pulled**2))
    s, a, b = (torch.stack(values).mean(0) for values in (lengths, denominators, numerators))
    m = manifold.dimension(x)
    d = isometry_dimension(x, h, manifold)
    # <b> <s> / (m <a>^2), or <b s / a^2> / m
    ratio = (b.mean() * s.mean() / a.mean() ** 2 if mode is IsometryMode.global_ else (b * s / a**2).mean()) / m
    return d * ratio - 1 if normalise else ratio


def isometry_dimension(x: Tensor, h: Tensor, manifold: Manifold = Manifold.sphere) -> int:
    """d = min(m, dim h) of a map x -> h, both (B, ...): what its `isometry_loss` is to be read against.

    m is n - 1 on the sphere and n in flat space. k equal eigenvalues and no others, the same everywhere, lose d / k - 1: with
    loss L a map is as far from an isometry as one that keeps d / (1 + L) directions.
    """
    return min(manifold.dimension(x), h[0].numel())


def draw_probe(x: Tensor, kind: Probe, generator: torch.Generator) -> Tensor:
    """A random vector of mean 0 and covariance I for each sample, the shape of x."""
    if kind is Probe.gaussian:
        return torch.randn(x.shape, generator=generator).to(x)
    return (2 * torch.randint(2, x.shape, generator=generator) - 1).to(x)

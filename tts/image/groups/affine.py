"""Steps of denoising as affine maps of the state: exact for a realised noise, to first order, and for Gaussian data."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from tts.diffusion import Schedule, expand_like, sample
from tts.diffusion.samplers import Denoiser, times_like
from tts.diffusion.state import Scalar, eps_from_x0


@dataclass(frozen=True, eq=False)
class AffineMap:
    """x -> A x + v of vectors, one map for each sample: in GL(n + 1) as [[A, v], [0, 1]] exactly if det A is not 0.

    With A = a I, a > 0, these are the dilations and translations of R^n. They know no rotation; divided by alpha, all steps of
    denoising are translations, which commute.

    Args:
        linear: a (B,), which stands for a I, or A (B, n, n).
        offset: v (B, n).

    Raises:
        ValueError: if the shapes do not fit.
    """

    linear: Tensor
    offset: Tensor

    def __post_init__(self) -> None:
        batch, n = self.offset.shape if self.offset.ndim == 2 else (-1, -1)
        if tuple(self.linear.shape) not in {(batch,), (batch, n, n)}:
            shapes = tuple(self.linear.shape), tuple(self.offset.shape)
            raise ValueError(f"need a (B,) or A (B, n, n) with v (B, n), found {shapes[0]} with {shapes[1]}.")

    def __call__(self, x: Tensor) -> Tensor:
        """A x + v for states of any shape with n values each, (B, ...)."""
        return (self._times(x.flatten(1)) + self.offset).view_as(x)

    def __matmul__(self, earlier: "AffineMap") -> "AffineMap":
        """The map that does `earlier` first: (A2, v2)(A1, v1) = (A2 A1, A2 v1 + v2)."""
        offset = self._times(earlier.offset) + self.offset
        if self.linear.ndim == earlier.linear.ndim == 1:
            return AffineMap(self.linear * earlier.linear, offset)
        return AffineMap(self._square() @ earlier._square(), offset)

    def inverse(self) -> "AffineMap":
        """(A^-1, -A^-1 v).

        Raises:
            ValueError: if a map of the batch has none, because det A = 0.
        """
        sign, _ = self.slogdet()
        if bool((sign == 0).any()):
            singular = (sign == 0).nonzero().flatten().tolist()
            raise ValueError(f"maps {singular[:5]} of the batch have determinant 0: no inverse.")
        linear = 1 / self.linear if self.linear.ndim == 1 else torch.linalg.inv(self.linear)
        undone = AffineMap(linear, torch.zeros_like(self.offset))
        return AffineMap(linear, -undone._times(self.offset))

    def matrix(self) -> Tensor:
        """The augmented matrices [[A, v], [0, 1]], (B, n + 1, n + 1)."""
        batch, n = self.offset.shape
        matrix = torch.zeros(batch, n + 1, n + 1, dtype=self.offset.dtype, device=self.offset.device)
        matrix[:, :n, :n], matrix[:, :n, n], matrix[:, n, n] = self._square(), self.offset, 1
        return matrix

    def slogdet(self) -> tuple[Tensor, Tensor]:
        """The sign of det A, which is that of the augmented matrix too, and ln |det A|: (B,) each; sign 0 is outside GL."""
        if self.linear.ndim == 1:
            return self.linear.sign(), self.offset.shape[1] * self.linear.abs().log()
        sign, logarithm = torch.linalg.slogdet(self.linear)
        return sign, logarithm

    def _times(self, x: Tensor) -> Tensor:
        return self.linear[:, None] * x if self.linear.ndim == 1 else torch.einsum("bij,bj->bi", self.linear, x)

    def _square(self) -> Tensor:
        if self.linear.ndim == 3:
            return self.linear
        n = self.offset.shape[1]
        return self.linear[:, None, None] * torch.eye(n, dtype=self.linear.dtype, device=self.linear.device)


def compose(maps: Sequence[AffineMap]) -> AffineMap:
    """The map that does them all, the first of the sequence first.

    Raises:
        ValueError: if there are none.
    """
    if not maps:
        raise ValueError("compose needs at least one map, found none.")
    return reduce(lambda whole, later: later @ whole, maps)


def ddim_affine(
    schedule: Schedule, t: Scalar, s: Scalar, eps: Tensor, *, eta: float = 0.0, noise: Tensor | None = None
) -> AffineMap:
    """The step from t to s < t for one realised noise prediction.

        x_s = a x_t + (sqrt(sigma_s^2 - eta^2 st^2) - a sigma_t) eps + eta st z
        a = alpha_s / alpha_t ,   st^2 = (sigma_s / sigma_t)^2 (1 - alpha_t^2 / alpha_s^2)

    Exact for that trajectory and no other: eps depends on x_t. Divided by alpha, the steps add up, x_0 = x_T / alpha_T +
    sum eps (sigma_s / alpha_s - sigma_t / alpha_t).

    Args:
        schedule: gives alpha and sigma.
        t: time at the start, a number or (B,).
        s: time at the end, the same.
        eps: eps_hat at (x_t, t), (B, ...).
        eta: 0 is DDIM, 1 the ancestral step.
        noise: z, the shape of eps; needed for eta > 0.

    Raises:
        ValueError: if eta is outside [0, 1], or above 0 without noise.
    """
    if not 0 <= eta <= 1 or (eta > 0 and noise is None):
        raise ValueError(f"eta must be within 0 and 1, and needs noise above 0; found {eta} with noise {noise is not None}.")
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (_levels(schedule, time, eps) for time in (t, s))
    variance = (eta * sigma_s / sigma_t) ** 2 * (1 - (alpha_t / alpha_s) ** 2)
    a = alpha_s / alpha_t
    offset = ((sigma_s**2 - variance).sqrt() - a * sigma_t)[:, None] * eps.flatten(1)
    if noise is not None:
        offset = offset + variance.sqrt()[:, None] * noise.flatten(1)
    return AffineMap(a, offset)


def ddim_maps(denoiser: Denoiser, u: Tensor, schedule: Schedule, times: Tensor) -> list[AffineMap]:
    """The map of each step of the `ddim` run from u (B, ...) at times[0] down to times[-1]; `compose` of them is the run.

    Raises:
        ValueError: as `sample`.
    """
    grid, maps, state = times.tolist(), [], u

    def record(i: int, t: float, x0: Tensor) -> None:
        nonlocal state
        eps = eps_from_x0(state, x0, *(expand_like(level, u) for level in _levels(schedule, t, u)))
        maps.append(ddim_affine(schedule, t, grid[i + 1], eps))
        state = maps[-1](state)

    sample(denoiser, u, schedule, times, sampler="ddim", hook=record)
    return maps


def jacobian_affine(denoiser: Denoiser, u: Tensor, schedule: Schedule, t: float, s: float) -> AffineMap:
    """The DDIM step from t to s < t, linearised around u (B, ...); products along a run are the Jacobian of the sampler.

        A = a I + (sigma_s - a sigma_t) d eps_hat / dx ,   v = x_s - A u ,   a = alpha_s / alpha_t

    The exact denoiser of any data has d x0_hat / dx = alpha / sigma^2 Cov(x0 | x), so A is then positive definite for s > 0; at
    s = 0 it is singular where the data are known. A network's need not be. It takes n gradients of the whole batch.

    Args:
        denoiser: (U, t (B,)) -> eps_hat, differentiable; no sample may see its neighbours.
        u: where to linearise.
        schedule: gives alpha and sigma.
        t: time of u, in (0, 1].
        s: time at the end, in [0, t).
    """
    with torch.enable_grad():
        leaf = u.detach().clone().requires_grad_()
        eps = denoiser(leaf, times_like(u, t)).flatten(1)
        rows = [torch.autograd.grad(column.sum(), leaf, retain_graph=True)[0].flatten(1) for column in eps.unbind(1)]
    jacobian, step = torch.stack(rows, dim=1), ddim_affine(schedule, t, s, eps.detach())
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (_levels(schedule, time, u) for time in (t, s))
    span = sigma_s - alpha_s / alpha_t * sigma_t
    linear = step._square() + span[:, None, None] * jacobian
    x = u.flatten(1)
    return AffineMap(linear, step(x) - torch.einsum("bij,bj->bi", linear, x))


def gaussian_affine(schedule: Schedule, t: float, s: float, mean: Tensor, variance: Tensor) -> AffineMap:
    """The DDIM step from t to s < t of data N(mean, diag(variance)), the one case in which it is affine in the state; B = 1.

        A = diag(f) ,   f = (alpha_s alpha_t variance + sigma_s sigma_t) / (alpha_t^2 variance + sigma_t^2)
        v = alpha_s mean - f alpha_t mean

    All these steps commute: an abelian group of n blocks of one dimension.

    Args:
        schedule: gives alpha and sigma.
        t: time at the start, in (0, 1].
        s: time at the end, in [0, t).
        mean: (n,), in the basis of the principal components.
        variance: (n,), at least 0.
    """
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (_levels(schedule, time, mean[None]) for time in (t, s))
    factor = (alpha_s * alpha_t * variance + sigma_s * sigma_t) / (alpha_t**2 * variance + sigma_t**2)
    return AffineMap(torch.diag(factor)[None], ((alpha_s - factor * alpha_t) * mean)[None])


def _levels(schedule: Schedule, t: Scalar, like: Tensor) -> tuple[Tensor, Tensor]:
    """alpha and sigma of every sample, (B,) each."""
    times = torch.as_tensor(t, dtype=torch.float64, device="cpu").expand(len(like))
    return schedule.alpha(times).to(like), schedule.sigma(times).to(like)

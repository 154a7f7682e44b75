import math

import numpy as np
import pytest
import torch

from tts.errors import DataError
from tts.metrics.images import frechet, mse, psnr, ssim

GENERATOR = torch.Generator().manual_seed(0)
A = torch.rand(2, 3, 14, 16, generator=GENERATOR, dtype=torch.float64) * 2 - 1
B = (A + 0.3 * torch.randn(A.shape, generator=GENERATOR, dtype=torch.float64)).clamp(-1, 1)
RNG = np.random.default_rng(0)


def whitened(n, width):
    """Features with mean exactly 0 and covariance exactly 1."""
    x = RNG.normal(size=(n, width))
    x -= x.mean(axis=0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T


def test_errors_are_on_0_to_1():
    one, other = torch.full((1, 3, 4, 4), -1.0), torch.full((1, 3, 4, 4), -0.8)
    assert mse(one, other).item() == pytest.approx(0.01)
    assert psnr(one, other).item() == pytest.approx(20.0)
    assert math.isinf(psnr(one, one).item())


def test_ssim_is_that_of_loops_over_windows():
    """A second implementation: weighted moments of every window, one by one."""
    offsets = np.arange(11) - 5
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    for image, (x, y) in enumerate(zip((A.numpy() + 1) / 2, (B.numpy() + 1) / 2, strict=True)):
        found = []
        for channel in range(3):
            for row in range(14 - 10):
                for column in range(16 - 10):
                    p, q = (z[channel, row : row + 11, column : column + 11] for z in (x, y))
                    mp, mq = (weights * p).sum(), (weights * q).sum()
                    vp, vq = (weights * (p - mp) ** 2).sum(), (weights * (q - mq) ** 2).sum()
                    cov = (weights * (p - mp) * (q - mq)).sum()
                    found.append((2 * mp * mq + 1e-4) * (2 * cov + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
        assert ssim(A, B)[image].item() == pytest.approx(np.mean(found), abs=1e-10)


def test_ssim_of_equal_of_flat_and_of_opposite_images():
    """Flat images of brightness p and q: (2 p q + c) / (p² + q² + c). Opposite signs about grey: close to -1."""
    assert ssim(A, A) == pytest.approx(torch.ones(2), abs=1e-9)
    flat = [torch.full((1, 1, 11, 11), 2 * level - 1, dtype=torch.float64) for level in (0.2, 0.6)]
    assert ssim(*flat).item() == pytest.approx((2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4), abs=1e-9)
    checker = torch.ones(1, 1, 12, 12)
    checker[..., ::2, 1::2] = checker[..., 1::2, ::2] = -1
    assert ssim(checker, -checker).item() == pytest.approx(-1.0, abs=0.02)


def test_a_batch_equals_its_singles():
    for score in (mse, psnr, ssim):
        assert score(A, B) == pytest.approx(torch.cat([score(A[i : i + 1], B[i : i + 1]) for i in range(2)]), abs=1e-12)


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="of one shape"):
        mse(A, B[:1])
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(A[..., :10, :], B[..., :10, :])


def test_the_distance_of_gaussians_with_commuting_covariances_is_known():
    """N(0, diag s²) and N(m, diag r²): |m|² + Σ (s − r)², rotated alike."""
    s, r, m = np.array([1.0, 2.0, 0.5]), np.array([1.5, 0.1, 3.0]), np.array([3.0, -1.0, 0.2])
    rotation = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    found = frechet(whitened(50, 3) * s @ rotation, (whitened(40, 3) * r + m) @ rotation)
    assert found.means == pytest.approx((m**2).sum()) and found.covariances == pytest.approx(((s - r) ** 2).sum())
    assert (found.n_a, found.n_b, found.width) == (50, 40, 3) and found.value == pytest.approx(found.means + found.covariances)


def test_the_distance_of_any_two_covariances_is_that_of_the_square_root_of_their_product():
    a, b = RNG.normal(size=(60, 5)) @ RNG.normal(size=(5, 5)), RNG.normal(size=(60, 5)) @ RNG.normal(size=(5, 5)) + 1
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    overlap = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real).sum()
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * overlap
    assert frechet(a, b).value == pytest.approx(expected)
    assert frechet(b, a).value == pytest.approx(frechet(a, b).value)


def test_fewer_images_than_numbers_give_a_finite_distance_and_0_of_a_set_to_itself():
    """Covariances of rank 4 in 30 dimensions, where the square root of the product has complex entries and NaN."""
    a, b = RNG.normal(size=(5, 30)), RNG.normal(size=(5, 30))
    assert frechet(a, a).value == pytest.approx(0.0, abs=1e-6)
    assert 0 < frechet(a, b).value < np.trace(np.cov(a, rowvar=False)) + np.trace(np.cov(b, rowvar=False)) + 30


def test_features_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"\(m, D\)"):
        frechet(RNG.normal(size=(5, 3)), RNG.normal(size=(5, 4)))
    with pytest.raises(ValueError, match="at least 2 images"):
        frechet(RNG.normal(size=(5, 3)), RNG.normal(size=(1, 3)))
    with pytest.raises(DataError, match="not finite"):
        frechet(RNG.normal(size=(5, 3)), np.full((5, 3), np.nan))

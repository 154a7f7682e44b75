"""Divergences of samples: closed forms, gradients that move codes to the prior, arguments that cannot be."""

import pytest
import torch

from tts.image.divergence import DivergenceKind, divergence, imq, mmd, rbf, sliced_wasserstein


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_mmd_of_small_samples_by_hand():
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]])
    # k = 1 - r^2 / 10: within 0.9 and 0.6, across the mean of 1, .6, .9, .9
    found = mmd(x, y, lambda r2, dim: 1 - r2 / 10)
    assert found.item() == pytest.approx(0.9 + 0.6 - 2 * 0.85)


def test_the_kernels_are_the_means_over_five_scales_of_twice_the_dimension():
    r2 = torch.tensor([0.0, 3.0])
    scales = torch.tensor([0.25, 0.5, 1, 2, 4])[:, None] * 2 * 7
    torch.testing.assert_close(rbf(r2, 7), (-r2 / scales).exp().mean(0))
    torch.testing.assert_close(imq(r2, 7), (scales / (scales + r2)).mean(0))


def test_sliced_transport_of_a_shift_is_its_mean_square_along_random_directions():
    x = normal(50, 8)
    shift = torch.zeros(8)
    shift[0] = 3.0
    # a direction sees the part 3 u_0 of the shift, and E u_0^2 = 1 / 8
    found = sliced_wasserstein(x, (x + shift)[torch.randperm(50)], torch.Generator().manual_seed(0), n_projections=4000)
    assert found.item() == pytest.approx(9 / 8, rel=0.05)
    assert sliced_wasserstein(x, x.flip(0), torch.Generator().manual_seed(0)).item() == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("kind", DivergenceKind)
@pytest.mark.parametrize("dim", [2, 64])
def test_descending_the_divergence_gives_codes_the_moments_of_the_prior(kind, dim):
    generator = torch.Generator().manual_seed(0)
    z = (0.2 * normal(64, dim, 1) + 1).requires_grad_()
    optimizer = torch.optim.Adam([z], lr=0.05)
    for _ in range(120):
        loss = divergence(kind, z, torch.randn(64, dim, 1, generator=generator), generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert z.mean().abs() < 0.15
    assert z.std(0).mean().item() == pytest.approx(1, abs=0.25)


def test_equal_codes_have_finite_gradients():
    z = torch.ones(4, 3, requires_grad=True)
    mmd(z, normal(4, 3)).backward()
    assert z.grad.isfinite().all()


def test_samples_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="at least 2 vectors of one width"):
        mmd(normal(1, 3), normal(4, 3))
    with pytest.raises(ValueError, match="at least 2 vectors of one width"):
        mmd(normal(4, 3), normal(4, 2))
    with pytest.raises(ValueError, match="samples of one size, found 4 and 5"):
        sliced_wasserstein(normal(4, 3), normal(5, 3), torch.Generator())

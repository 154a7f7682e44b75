"""Factor providers on frozen features, and DisDiff guided by an image-text encoder."""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tts.errors import ConfigError, ModelError
from tts.image.clip_guided import ClipGuided, ClipGuidedConfig, FactorSource, OpenClipConfig
from tts.image.config import UNetConfig
from tts.image.contrastive import ContrastiveConfig, ContrastiveModel
from tts.image.factor_provider import FeatureExtractor, FeatureHeads, LearnedFactors, TextBank
from tts.image.open_clip_features import OpenClipFeatures
from tts.image.registry import build_model, config_from_dict
from tts.testing import seeded

UNET = UNetConfig(base=16, multipliers=(1,), attention=(False,), unshuffle=2)
TOWER = ContrastiveConfig(size=8, n_units=12, encoder_width=8, text_width=8, factor_names=("shape", "x"), factor_sizes=(3, 4))


class Projection(FeatureExtractor):
    """Random features of 2 x 2 averages."""

    def __init__(self, features=12):
        super().__init__()
        self.features = features
        self.map = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(12, features), nn.Dropout(0.5))

    def forward(self, x):
        return self.map(x)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=4, size=8):
    return torch.rand(n, 3, size, size, generator=generator()) * 2 - 1


def clip_guided(source=FactorSource.heads):
    config = ClipGuidedConfig(size=8, n_units=3, unit_dim=4, unet=UNET, source=source, contrastive=TOWER)
    return seeded(lambda: ClipGuided(config), spread=0.05)


def bank_of(features):
    """The directions of a bank of texts: features of each factor, less their mean, of length 1."""
    return nn.functional.normalize(torch.cat([f - f.mean(0) for f in features]), dim=1)


def providers():
    return [
        seeded(lambda: LearnedFactors(channels=3, width=8, size=8, n_units=3, unit_dim=4)),
        seeded(lambda: FeatureHeads(Projection(), 3, 4)),
        seeded(lambda: TextBank(Projection(4), [2, 3, 2])),
    ]


def test_every_provider_gives_units_the_same_in_training_and_alone():
    for provider in providers():
        x = images()
        z = provider.train()(x)
        assert z.shape == (4, 3, 4) == (4, provider.n_units, provider.unit_dim)
        torch.testing.assert_close(z, provider.eval()(x))
        torch.testing.assert_close(z[1], provider(x[1:2])[0])


def test_a_frozen_reading_is_the_same_and_its_gradient_goes_to_the_image_alone():
    for provider in providers():
        x = images().requires_grad_()
        z = provider.frozen(x)
        torch.testing.assert_close(z, provider(x))
        z.square().sum().backward()
        assert x.grad.abs().max() > 0
        assert all(parameter.grad is None for parameter in provider.parameters())


def test_the_rows_of_all_heads_are_orthonormal_also_after_a_step_and_need_enough_features():
    heads = seeded(lambda: FeatureHeads(Projection(), 3, 4))
    optimizer = torch.optim.SGD([p for p in heads.parameters() if p.requires_grad], lr=1.0)
    before = heads.heads.detach().clone()
    heads(images())[:, 0].square().sum().backward()
    optimizer.step()
    assert (heads.heads - before).abs().max() > 1e-3
    torch.testing.assert_close(heads.heads @ heads.heads.T, torch.eye(12), rtol=0, atol=1e-5)
    torch.testing.assert_close(heads(images()).square().mean(dim=(1, 2)), torch.ones(4))  # 12 numbers of 12 features
    assert [name for name, p in heads.named_parameters() if p.requires_grad] == ["weight"]
    with pytest.raises(ValueError, match="need as many features, found 12"):
        FeatureHeads(Projection(), 4, 4)


def test_a_bank_of_texts_gives_the_text_that_the_image_is_nearest_to_when_it_is_sharp_and_their_mean_when_not():
    extractor, x = seeded(lambda: Projection(4)), images(1)
    feature = extractor(x)[0].detach()
    texts = torch.stack([-feature, 3 * feature])
    other = torch.eye(4)[:3] + 5  # what its texts have in common is not of its values
    sharp, flat = (TextBank(extractor, [2, 3], sharpness) for sharpness in (1e4, 1e-6))
    for bank in (sharp, flat):
        bank.fill([texts, other])
    torch.testing.assert_close(sharp(x)[0, 0], 2 * feature / feature.norm())
    torch.testing.assert_close(flat(x)[0], torch.zeros(2, 4), rtol=0, atol=1e-5)
    centred = nn.functional.normalize(torch.eye(4)[:3] - torch.eye(4)[:3].mean(0), dim=1)
    torch.testing.assert_close(sharp(x)[0, 1], 2 * centred[(centred @ feature).argmax()])
    with pytest.raises(ValueError, match="this bank takes features"):
        sharp.fill([texts])
    with pytest.raises(ValueError, match="need texts of each factor"):
        TextBank(extractor, [2, 0])


@pytest.mark.parametrize("source", list(FactorSource))
def test_only_the_gradients_and_the_heads_learn_and_the_image_text_encoder_stays(source):
    model, x = clip_guided(source).train(), images()
    before = {name: value.clone() for name, value in model.factors.state_dict().items() if "extractor" in name}
    optimizer = torch.optim.Adam(model.parameters_of("main"), lr=0.01)
    losses = model.losses(x, None, generator())
    sum(losses.values()).backward()
    optimizer.step()
    assert set(losses) == {"denoising", "invariant", "variant"}
    assert model.encode(x).shape == {FactorSource.heads: (4, 3, 4), FactorSource.texts: (4, 2, 12)}[source]
    assert model.encode(x).shape[1:] == (model.config.n_units, model.config.unit_dim)
    after = model.factors.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    learned = {name for name, p in model.factors.named_parameters() if p.requires_grad}
    assert learned == ({"weight"} if source is FactorSource.heads else set())


@pytest.mark.parametrize("source", list(FactorSource))
def test_a_trained_image_text_encoder_is_taken_over_with_its_texts_and_another_refused(source):
    trained, model, x = seeded(lambda: ContrastiveModel(TOWER), seed=5, spread=0.1), clip_guided(source), images()
    model.take_image_text(trained)
    torch.testing.assert_close(model.factors.extractor(x), trained.encode(x).flatten(1))
    if source is FactorSource.texts:
        torch.testing.assert_close(model.factors.get_buffer("directions"), bank_of(trained.phrases()))
    other = ContrastiveModel(ContrastiveConfig(size=8, n_units=12, factor_names=("x",), factor_sizes=(4,)))
    with pytest.raises(ModelError, match="this model expects"):
        model.take_image_text(other)
    with pytest.raises(ModelError, match=r"has model\.contrastive"):
        model.take_open_clip()


def test_configurations_that_do_not_fit_are_refused_and_a_plain_one_is_built():
    with pytest.raises(ConfigError, match="expected 3 and 32"):
        ClipGuidedConfig(contrastive=TOWER)
    with pytest.raises(ConfigError, match="two sentences or more for each factor"):
        ClipGuided(ClipGuidedConfig(source=FactorSource.texts))
    tower = {"size": 8, "n_units": 12, "factor_names": ["x"], "factor_sizes": [4]}
    unet = {"base": 8, "multipliers": [1], "attention": [False], "unshuffle": 2}
    values = {"kind": "clip_guided", "size": 8, "n_units": 3, "unit_dim": 4, "unet": unet, "contrastive": tower}
    assert isinstance(build_model(config_from_dict(values)), ClipGuided)


class FakeClip(nn.Module):
    """What the adapter asks of a network of open_clip."""

    def __init__(self, weight):
        super().__init__()
        self.visual = SimpleNamespace(image_size=16, image_mean=(0.5, 0.4, 0.3), image_std=(0.1, 0.2, 0.3))
        self.weight = nn.Parameter(torch.full((3,), weight))

    def encode_image(self, x):
        assert x.shape[1:] == (3, 16, 16)
        return x.mean((2, 3)) * self.weight

    def encode_text(self, tokens):
        return tokens.float() * self.weight


def fake_open_clip():
    def create_model(name, pretrained=None):
        if name != "tiny":
            raise RuntimeError(f"Model config for {name!r} not found in built-ins")
        return FakeClip(1.0 if pretrained is None else 2.0)

    tokenize = lambda texts: torch.tensor([[len(text), 1, 0] for text in texts])  # noqa: E731
    return SimpleNamespace(create_model=create_model, get_tokenizer=lambda name: tokenize)


def test_open_clip_sees_images_at_its_size_normalised_its_way(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", fake_open_clip())
    clip = OpenClipFeatures("tiny", "published")
    assert clip.features == 3
    grey = torch.zeros(2, 1, 8, 8, requires_grad=True)  # .5 in [0, 1]
    wanted = torch.tensor([0.0, 0.1 / 0.2, 0.2 / 0.3])
    features = clip(grey)
    torch.testing.assert_close(features, (wanted / wanted.norm()).expand(2, 3), rtol=0, atol=1e-5)
    features[:, 1].sum().backward()
    assert grey.grad is not None
    torch.testing.assert_close(clip.encode_text(["abc"]), torch.tensor([[3.0, 1.0, 0.0]]) / 10**0.5)
    with pytest.raises(ModelError, match="no network could be loaded"):
        OpenClipFeatures("huge", "")


def test_published_weights_and_texts_are_loaded_only_when_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", fake_open_clip())
    settings = OpenClipConfig(name="tiny", pretrained="published", texts=(("a cube", "a sphere"), ("red", "green")))
    model = ClipGuided(ClipGuidedConfig(size=8, unet=UNET, source=FactorSource.texts, open_clip=settings))
    assert model.factors.extractor.model.weight[0] == 1
    model.take_open_clip()
    assert model.factors.extractor.model.weight[0] == 2
    texts = nn.functional.normalize(torch.tensor([[[6.0, 1, 0], [8, 1, 0]], [[3, 1, 0], [5, 1, 0]]]), dim=2)
    torch.testing.assert_close(model.factors.get_buffer("directions"), bank_of(texts))
    assert model.encode(images()).shape == (4, 2, 3)


def test_without_open_clip_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ModelError, match=r"glottis\[clip\]"):
        OpenClipFeatures("ViT-B-32", "")

"""Evaluation of image models: what is measured of which kind of model and data, baselines beside it, the table."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tts.errors import ModelError
from tts.image.config import UNetConfig
from tts.image.datasets import open_images
from tts.image.diffae import DiffAeConfig
from tts.image.disdiff import DisDiffConfig
from tts.image.registry import build_model
from tts.image.vae_config import BetaVaeConfig
from tts.inference import image_baselines, image_evaluation
from tts.inference.image_baselines import FrechetFeatures, random_features
from tts.inference.image_codes import CodeStatistics
from tts.inference.image_evaluation import EvaluationSettings, evaluate_baselines, evaluate_image_model, score_codes
from tts.inference.image_folder import LoadedImageModel, TrainedOn
from tts.inference.image_model import ImageModel
from tts.inference.image_report import image_table
from tts.inference.image_split import unseen
from tts.metrics.images import frechet
from tts.metrics.learners import Trees
from tts.metrics.partition import Split

SETTINGS = EvaluationSettings(codes=60, images=4, samples=8, trees=Trees.HISTOGRAM)


@pytest.fixture(scope="module")
def images():
    return open_images("shapes", size=16)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    network = build_model(BetaVaeConfig(size=16, n_units=3, width=4, hidden=8)).eval().requires_grad_(False)
    trained = TrainedOn(data="shapes", size=16, steps=1, images=4, seed=0, cpu_seconds=0.5)
    loaded = LoadedImageModel(model=network, trained=trained, codes=CodeStatistics.of(torch.randn(20, 3, 1)))
    return ImageModel(loaded, torch.device("cpu"))


def test_a_model_is_scored_beside_a_random_encoder_and_pca_and_its_images_measured(model, images, monkeypatch):
    monkeypatch.setattr(image_evaluation, "score_codes", lambda codes, *rest: ({"mig": float(codes.shape[1])}, ["60 codes"]))
    monkeypatch.setattr(image_evaluation, "perceptual_distance", lambda: None)
    found = evaluate_image_model(model, images, SETTINGS)
    real = found["systems"].pop("real images")
    assert found["systems"].keys() == {"betavae", "random encoder", "PCA of pixels"}
    assert [figures["mig"] for figures in found["systems"].values()] == [3, 10, 10]
    assert real == evaluate_baselines(images, SETTINGS)["real images"] and real.keys() == {"frechet"}
    assert 0 < real["frechet"] < found["systems"]["betavae"]["frechet"]
    own = found["systems"]["betavae"]
    truth = images.images(np.random.default_rng(0).permutation(len(images))[:1])
    prior = {"prior_mmd", "prior_mean", "prior_std"}
    assert own.keys() == {"mig", "mse", "ssim", "frechet", "frechet_own"} | prior
    assert own["frechet"] == own["frechet_own"] > 0
    assert 0 < own["mse"] < 1 and truth.shape == (1, 3, 16, 16)
    assert found["conditions"] == [
        "60 codes",
        "4 images reconstructed and 8 drawn",
        "no perceptual distance: efficientnet-lite0 is not installed (extra features)",
        "Fréchet distance on features of a random network, of codes by the latent prior where one was trained",
    ]
    assert found["protocol"] == "; ".join(found["conditions"])
    assert evaluate_image_model(model, images, SETTINGS, baselines=False)["systems"].keys() == {"betavae"}


def test_the_factor_accuracy_of_a_guided_model_is_that_of_all_its_batches(images, monkeypatch):
    unet = UNetConfig(base=8, multipliers=(1,), attention=(False,), unshuffle=4)
    network = (
        build_model(DisDiffConfig(size=16, n_units=2, unit_dim=2, encoder_width=4, unet=unet)).eval().requires_grad_(False)
    )
    trained = TrainedOn(data="shapes", size=16, steps=1, images=4, seed=0, cpu_seconds=0.5)
    guided = ImageModel(
        LoadedImageModel(model=network, trained=trained, codes=CodeStatistics.of(torch.randn(9, 2, 2))),
        torch.device("cpu"),
        batch_size=40,
    )
    sizes = []
    monkeypatch.setattr(network, "factor_accuracy", lambda x, generator: sizes.append(len(x)) or 1 / len(x))
    monkeypatch.setattr(image_evaluation, "score_codes", lambda *rest: ({}, []))
    monkeypatch.setattr(image_evaluation, "reconstructions", lambda *rest, **options: {})
    found = evaluate_image_model(guided, images, SETTINGS, baselines=False, steps=1)["systems"]["disdiff"]
    assert sum(sizes) == SETTINGS.codes and len(sizes) > 1
    assert found["factor_accuracy"] == pytest.approx(len(sizes) / sum(sizes))


def test_codes_that_are_the_factors_have_perfect_scores(images):
    index = np.random.default_rng(0).integers(len(images), size=600)
    codes = images.labels(index).astype(np.float32)
    figures, (condition,) = score_codes(codes, images, index, dataclasses.replace(SETTINGS, codes=600))
    assert figures["factor_vae"] == 1.0
    assert figures["mig"] > 0.8 and figures["dci_d"] > 0.95
    assert figures["active_units"] == 6 and "iid split" in condition and "histogram trees" in condition


def test_colours_and_the_rest_are_scored_apart(images):
    index = np.random.default_rng(0).integers(len(images), size=600)
    codes = images.labels(index).astype(np.float32)
    codes[:, 3:] = np.random.default_rng(1).normal(size=(600, 3))  # only the three hues are coded
    figures, _ = score_codes(codes, images, index, dataclasses.replace(SETTINGS, codes=600))
    each = [figures[f"dci_i/{name}"] for name in images.factors.names]
    assert figures["dci_i_colour"] == pytest.approx(np.mean(each[:3])) and figures["dci_i_colour"] > 0.9
    assert figures["dci_i_rest"] == pytest.approx(np.mean(each[3:])) and figures["dci_i_rest"] < 0.35
    assert figures["dci_i"] == pytest.approx(np.mean(each))
    assert figures["mig_colour"] > 0.8 and figures["mig_rest"] < 0.1
    sprites = open_images("sprites", size=16)
    figures, _ = score_codes(codes, sprites, index, dataclasses.replace(SETTINGS, codes=600))
    assert "dci_i/scale" in figures and "dci_i_colour" not in figures


def test_held_out_scores_are_read_on_images_the_model_was_trained_without(images, model):
    index = np.random.default_rng(0).permutation(len(images))[:900]
    codes, out = images.labels(index).astype(np.float32), unseen(index, 0.2)
    codes[out] = np.random.default_rng(1).normal(size=(out.sum(), 6))  # what was not seen is not understood
    settings = dataclasses.replace(SETTINGS, codes=900, split=Split.HELD_OUT)
    figures, (condition,) = score_codes(codes, images, index, settings, 0.2)
    assert figures["dci_i"] < 0.4 and figures["mig"] < 0.3
    assert f"held_out split, 600 rows fitted and {out.sum()} scored" in condition
    with pytest.raises(ModelError, match="trained on all images"):
        evaluate_image_model(model, images, settings)


def test_with_one_unit_there_is_nothing_to_score(images):
    index = np.arange(10)
    assert score_codes(np.zeros((10, 1)), images, index, SETTINGS) == ({}, [])


class Photos:
    """Images of which some attributes are known, or nothing."""

    factors = None

    def __init__(self, labels):
        self._labels = labels

    def labels(self, index):
        return None if self._labels is None else self._labels[index]


def test_without_factors_units_are_judged_by_each_other_and_by_attributes_where_there_are_any():
    rng = np.random.default_rng(0)
    attributes = np.stack([rng.integers(2, size=300), rng.integers(2, size=300), np.ones(300, dtype=np.int64)], axis=1)
    codes = np.stack([attributes[:, 0] + 0.01 * rng.normal(size=300), rng.normal(size=300), np.zeros(300)], axis=1)
    figures, conditions = score_codes(codes, Photos(None), np.arange(300), SETTINGS)
    assert figures.keys() == {"active_units", "self_mig"} and figures["active_units"] == 2
    assert 0.4 < figures["self_mig"] < 0.65 and conditions == [
        "300 codes"
    ]  # two units of three that know nothing of each other
    known, _ = score_codes(codes, Photos(attributes), np.arange(300), SETTINGS)
    assert known["attributes"] == 1 and known["tad"] == pytest.approx(0.5, abs=0.06)
    assert known["probe_auroc"] == pytest.approx(0.75, abs=0.08)  # one attribute known, one by chance, one that never varies
    assert {name: known[name] for name in figures} == figures
    few, _ = score_codes(codes[:4], Photos(attributes), np.arange(4), SETTINGS)
    assert np.isfinite([few["active_units"], few["self_mig"], few["tad"]]).all()


def test_random_features_are_the_same_every_time_and_leave_the_global_state(images):
    pixels = images.images(np.arange(4))
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = random_features(pixels)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(first, random_features(pixels)) and first.shape == (4, 64)


def test_the_table_has_a_column_for_what_is_known():
    table = image_table({"a": {"mig": 0.25, "parameters": 12345}, "b": {"mse": 0.01234}})
    assert table.splitlines() == [
        "| system | MIG | MSE | parameters |",
        "|---|---|---|---|",
        "| a | 0.250 | – | 12,345 |",
        "| b | – | 0.0123 | – |",
    ]


def test_options_that_change_what_codes_do_are_told_to_the_reader():
    model, options = SimpleNamespace(draws=True, is_diffusion=True), {"steps": 10, "strength": 2.0, "factors": (0, 1)}
    plain = "4 images reconstructed and 8 drawn by 10 steps of dpmpp_2m on the quadratic grid"
    assert image_evaluation._sizes(model, SETTINGS, {"steps": 10, "strength": 1.0}) == plain
    assert image_evaluation._sizes(model, SETTINGS, options) == f"{plain}, strength 2.0, factors (0, 1)"
    assert image_evaluation._sizes(model, SETTINGS, {"steps": 10, "code_from": 0.3}) == f"{plain}, code_from 0.3"


def test_what_is_not_installed_or_not_of_the_model_is_missed_before_anything_is_scored(model, images, monkeypatch):
    def missing():
        raise ModelError("efficientnet-lite0 is not installed")

    scored, unet = [], UNetConfig(base=8, multipliers=(1,), attention=(False,), unshuffle=4)
    monkeypatch.setattr(image_evaluation, "score_codes", lambda *rest: scored.append(rest) or ({}, []))
    network = build_model(DiffAeConfig(size=16, n_units=3, encoder_width=4, unet=unet)).eval()
    diffusion = ImageModel(dataclasses.replace(model.loaded, model=network), torch.device("cpu"))
    for options, said in (({"strength": 2.0}, "of kind diffae"), ({"steps": 0}, "steps"), ({"grid": "x"}, "grid: found")):
        with pytest.raises(ValueError, match=said):
            evaluate_image_model(diffusion, images, SETTINGS, **options)
    monkeypatch.setattr(image_baselines, "imagenet_features", missing)
    with pytest.raises(ModelError, match="not installed"):
        evaluate_image_model(model, images, dataclasses.replace(SETTINGS, features=FrechetFeatures.lite0))
    assert not scored


def test_the_frechet_distance_is_on_the_features_that_were_asked_for_and_says_so(model, images, monkeypatch):
    class Sizes:
        def vectors(self, x):
            return torch.stack([x.mean(dim=(1, 2, 3)), x.flatten(1).std(dim=1)], dim=1)

    monkeypatch.setattr(image_evaluation, "score_codes", lambda codes, *rest: ({}, []))
    monkeypatch.setattr(image_evaluation, "perceptual_distance", lambda: None)
    monkeypatch.setattr(image_baselines, "imagenet_features", Sizes)
    settings = dataclasses.replace(SETTINGS, features=FrechetFeatures.lite0)
    found = evaluate_image_model(model, images, settings, baselines=False)
    assert found["conditions"][-1].startswith("Fréchet distance on features of efficientnet-lite0, which is no FID, of codes")
    rng = np.random.default_rng(0)
    rng.permutation(len(images)), rng.integers(len(images), size=4)
    pixels = [images.images(rng.integers(len(images), size=8)), model.sample(8, seed=0)]
    expected = frechet(*(Sizes().vectors(torch.from_numpy(x).float() / 127.5 - 1).numpy() for x in pixels)).value
    assert found["systems"]["betavae"]["frechet"] == pytest.approx(expected, rel=1e-4)

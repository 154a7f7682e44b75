"""Image models in use: statistics of codes, noise on the arc, swaps and traversals, folders and what is wrong with them."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from tts.errors import DataError, ModelError
from tts.image.base import BaseConfig
from tts.image.config import UNetConfig
from tts.image.datasets import open_images, to_uint8
from tts.image.disdiff import DisDiffConfig
from tts.image.encdiff import EncDiffConfig
from tts.image.infodiffusion import InfoDiffusionConfig
from tts.image.latent_prior import LatentPrior, LatentPriorConfig
from tts.image.pdae import PdaeConfig
from tts.image.registry import build_model
from tts.image.vae_config import BetaVaeConfig
from tts.inference.image_codes import CodeStatistics
from tts.inference.image_diffusion import ImageSampling
from tts.inference.image_folder import LoadedImageModel, TrainedOn, load_image_folder, pack_image_model, save_image_folder
from tts.inference.image_grids import grid
from tts.inference.image_model import ImageModel
from tts.inference.image_probe import fit_probe

UNET = UNetConfig(base=8, multipliers=(1,), attention=(True,), heads=2, unshuffle=4)
TRAINED = TrainedOn(data="shapes", size=16, steps=1, images=4, seed=0, cpu_seconds=0.5)
CONFIGS = {
    "encdiff": EncDiffConfig(size=16, n_units=3, encoder_width=4, unet=UNET, token_hidden=(4,), token_dim=4),
    "infodiffusion": InfoDiffusionConfig(size=16, n_units=3, encoder_width=4, unet=UNET),
    "betavae": BetaVaeConfig(size=16, n_units=3, width=4, hidden=8),
    "ddpm": BaseConfig(size=16, unet=UNET),
}


def loaded(kind, prior=None):
    torch.manual_seed(0)
    model = build_model(CONFIGS[kind]).eval().requires_grad_(False)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "head" in name or "out" in name:  # those that begin at zero, so that codes and noise are felt
                parameter.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
    codes = CodeStatistics.of(torch.randn(50, 3, 1)) if kind != "ddpm" else None
    return LoadedImageModel(model=model, trained=TRAINED, codes=codes, prior=prior)


@pytest.fixture(scope="module")
def images():
    return open_images("shapes", size=16).images(np.array([5, 70000, 300000]))


@pytest.fixture(scope="module")
def encdiff():
    return ImageModel(loaded("encdiff"), torch.device("cpu"), batch_size=2)


def test_statistics_of_codes_find_the_axis_of_a_unit_and_its_quantiles():
    generator = torch.Generator().manual_seed(0)
    along = torch.randn(20000, generator=generator)
    direction = torch.tensor([0.6, -0.8])
    unit = 2.0 + 3 * along[:, None] * direction + 0.1 * torch.randn(20000, 2, generator=generator)
    codes = torch.stack((unit, torch.full_like(unit, 7.0)), dim=1)
    found = CodeStatistics.of(codes)
    assert torch.allclose(found.axis[0], -direction, atol=0.01)  # the largest number is positive
    assert found.low[0].item() == pytest.approx(-1.645 * 3, rel=0.05)
    assert found.high[0].item() == pytest.approx(1.645 * 3, rel=0.05)
    assert found.active.tolist() == [True, False]
    assert torch.allclose(found.denormalize(found.normalize(codes)), codes, atol=1e-5)
    moved = found.along(codes[0], 0, [-1.0, 4.0])
    assert torch.allclose((moved[:, 0] - found.mean[0]) @ found.axis[0], torch.tensor([-1.0, 4.0]), atol=1e-4)
    assert torch.equal(moved[:, 1], codes[:2, 1])


def test_decoding_is_a_function_of_codes_and_seed_and_a_batch_equals_its_singles(encdiff, images):
    codes = encdiff.encode(images)
    assert codes.shape == (3, 3, 1)
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    first = encdiff.decode(codes, seed=5, steps=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(first, encdiff.decode(codes, seed=5, steps=3))
    assert not np.array_equal(first, encdiff.decode(codes, seed=6, steps=3))
    assert np.abs(first[:1].astype(int) - encdiff.decode(codes[:1], seed=5, steps=3)).max() <= 1


def test_inverted_noise_leads_back_to_the_image(encdiff, images):
    again = encdiff.reconstruct(images, inverted=True, steps=40)
    drawn = encdiff.reconstruct(images, steps=40)
    error, other = (np.abs(found.astype(float) - images).mean() for found in (again, drawn))
    assert error < 0.01 and other > 50  # of 255; with x0_hat held in [-1, 1] on the way back the error is 2.7


def test_a_swap_takes_the_unit_and_nothing_else(encdiff, images, monkeypatch):
    a, b = images[:1], images[1:2]
    seen = []
    monkeypatch.setattr(encdiff, "decode", lambda codes, noise, **options: seen.append(codes.copy()))
    encdiff.swap(a, b, [1], steps=2)
    codes = np.concatenate((encdiff.encode(a), encdiff.encode(b)))
    assert np.array_equal(seen[0][0, [0, 2]], codes[0, [0, 2]])
    assert np.array_equal(seen[0][0, 1], codes[1, 1])
    with pytest.raises(ValueError, match="unit must be 0 to 2, found 3"):
        encdiff.swap(a, b, [3])


def test_a_traversal_spans_the_quantiles_on_one_noise(encdiff, images, monkeypatch):
    seen = {}
    monkeypatch.setattr(encdiff, "decode", lambda codes, noise, **options: seen.update(codes=codes, **options))
    encdiff.traverse(images[:1], 2, count=3, steps=2)
    statistics = encdiff.codes
    along = (seen["codes"][:, 2] - statistics.mean[2]) @ statistics.axis[2]
    low, high = statistics.low[2].item(), statistics.high[2].item()
    assert along.tolist() == pytest.approx([low, (low + high) / 2, high], abs=1e-5)
    assert seen["one_noise"]
    monkeypatch.undo()
    same = encdiff.decode(encdiff.encode(images[[0, 0]]), one_noise=True, steps=2)
    assert np.array_equal(same[0], same[1])


def test_interpolation_begins_and_ends_at_the_reconstructions(encdiff, images):
    found = encdiff.interpolate(images[:1], images[1:2], count=3, steps=3)
    ends = encdiff.reconstruct(images[:2], inverted=True, steps=3)
    assert np.abs(found[[0, 2]].astype(int) - ends).max() <= 1
    vae = ImageModel(loaded("betavae"), torch.device("cpu"))
    assert vae.interpolate(images[:1], images[1:2], count=4).shape == (4, 3, 16, 16)


def test_an_edit_moves_normalised_codes_along_the_direction_by_s_times_the_root_of_their_number(encdiff, images, monkeypatch):
    seen = []
    monkeypatch.setattr(encdiff, "decode", lambda codes, noise, **options: seen.append(codes))
    encdiff.edit(images[:2], np.array([[3.0], [0.0], [0.0]]), (0.0, 0.5), inverted=False, steps=2)
    before = encdiff.normalized(images[:2])
    after = encdiff.codes.normalize(seen[0]).numpy().reshape(2, 2, 3, 1)
    assert np.allclose(after[:, 0], before, atol=1e-5)
    assert np.allclose(after[:, 1] - before, [[[0.5 * 3**0.5], [0], [0]]] * 2, atol=1e-5)


def test_the_code_can_be_left_out_at_some_times_where_there_is_an_unconditional_denoiser(encdiff, images):
    model = ImageModel(loaded("infodiffusion"), torch.device("cpu"))
    codes = model.encode(images)
    whole, part = model.decode(codes, steps=4), model.decode(codes, steps=4, code_to=0.5)
    assert whole.shape == part.shape
    with pytest.raises(ValueError, match="no unconditional denoiser"):
        encdiff.decode(encdiff.encode(images), steps=2, code_from=0.3)


def test_one_step_of_denoising_is_the_networks_estimate_of_the_hidden_image(encdiff, images):
    network, x, eps = encdiff.model, encdiff.tensor(images), encdiff._noise(len(images), 5)
    t = torch.full((len(images),), 0.4)
    with torch.no_grad():
        alpha, sigma = (c(t)[:, None, None, None] for c in (network.schedule.alpha, network.schedule.sigma))
        expected = network.composite(network.encode(x)).x0(alpha * x + sigma * eps, t)
    found = encdiff.denoise(images, 0.4, seed=5)
    assert np.abs(found.astype(int) - to_uint8(expected).astype(int)).max() <= 1
    assert np.array_equal(found[:1], encdiff.denoise(images[:1], 0.4, seed=5))
    assert np.abs(encdiff.denoise(images, 1e-3).astype(int) - images).mean() < 3  # hardly any noise
    with pytest.raises(ValueError, match="no unconditional denoiser"):
        encdiff.denoise(images, 0.4, coded=False)
    with pytest.raises(ValueError, match=r"at most 1, found 1\.5"):
        encdiff.denoise(images, 1.5)


@pytest.mark.parametrize("split", [0.5, 0.2])
def test_samples_have_the_codes_of_the_prior_in_the_second_phase_of_the_model_alone(split, monkeypatch):
    monkeypatch.setitem(CONFIGS, "infodiffusion", dataclasses.replace(CONFIGS["infodiffusion"], two_phase=split))
    model = ImageModel(loaded("infodiffusion"), torch.device("cpu"))
    codes = model.model.prior.sample(2, torch.Generator().manual_seed(4)).numpy()
    assert np.array_equal(model.sample_codes(2, seed=4), codes)
    samples = model.sample(2, seed=4, steps=3)
    assert np.array_equal(samples, model.decode(codes, seed=4, steps=3, code_to=split))
    assert np.array_equal(model.sample(2, seed=4, steps=3, code_to=1.0), model.decode(codes, seed=4, steps=3))


def test_codes_of_a_latent_prior_are_used_throughout_and_those_of_the_own_prior_as_without_it(encdiff, monkeypatch):
    monkeypatch.setitem(CONFIGS, "infodiffusion", dataclasses.replace(CONFIGS["infodiffusion"], two_phase=0.2))
    prior = LatentPrior(LatentPriorConfig(n_units=3, width=8, layers=2)).eval()
    prior.measure(torch.randn(10, 3, 1, generator=torch.Generator().manual_seed(1)))
    learned, own = (ImageModel(loaded("infodiffusion", p), torch.device("cpu")) for p in (prior, None))
    codes = learned.sample_codes(2, seed=4)
    assert not np.array_equal(codes, learned.sample_codes(2, seed=4, own_prior=True))
    assert np.array_equal(learned.sample(2, seed=4, steps=3), learned.decode(codes, seed=4, steps=3))
    assert np.array_equal(learned.sample(2, seed=4, steps=3, own_prior=True), own.sample(2, seed=4, steps=3))
    with pytest.raises(ModelError, match="kind encdiff follow no prior"):
        encdiff.sample(2, own_prior=True)


def test_pdae_leaves_drawn_codes_out_of_the_tail_and_others_use_them_throughout(encdiff):
    assert build_model(PdaeConfig(size=16, n_units=3, encoder_width=4, unet=UNET)).drawn_code_times == (0.3, 1.0)
    assert build_model(DisDiffConfig(size=16, n_units=3, encoder_width=4, unet=UNET)).drawn_code_times == (0.0, 1.0)
    assert encdiff.model.drawn_code_times == (0.0, 1.0)


@pytest.mark.parametrize("options", [{"sampler": "x"}, {"grid": "x"}, {"code_from": 1.0}, {"code_to": 2.0}])
def test_sampling_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="found"):
        ImageSampling(**options)


def test_what_a_model_cannot_do_is_said(encdiff, images):
    vae, base = (ImageModel(loaded(kind), torch.device("cpu")) for kind in ("betavae", "ddpm"))
    with pytest.raises(ModelError, match="betavae has no noise to invert"):
        vae.invert(images)
    with pytest.raises(ValueError, match="neither noise nor sampling options"):
        vae.reconstruct(images, steps=3)
    with pytest.raises(ModelError, match="ddpm has no codes"):
        base.encode(images)
    assert base.sample(2, steps=2).shape == (2, 3, 16, 16)
    for nothing in (lambda: base.sample(0), lambda: vae.sample(0), lambda: encdiff.traverse(images[:1], 0, count=0, steps=2)):
        with pytest.raises(ValueError, match="need 1 image or more to draw, found 0"):
            nothing()
    with pytest.raises(ValueError, match=r"need a direction of shape \(3, 1\), not 0, found \(1, 3\)"):
        encdiff.edit(images, np.ones((1, 3)), steps=2)
    with pytest.raises(ValueError, match=r"not 0, found \(3, 1\), 0 long"):
        encdiff.edit(images, np.zeros((3, 1)), steps=2)
    with pytest.raises(ValueError, match="need 1 strength or more"):
        encdiff.edit(images, np.ones((3, 1)), (), steps=2)
    with pytest.raises(ModelError, match="the model takes uint8"):
        encdiff.encode(images[:, :, :8])
    with pytest.raises(ValueError, match="codes must be"):
        encdiff.decode(np.zeros((1, 2, 1)))
    with pytest.raises(ValueError, match="noise must be"):
        encdiff.decode(np.zeros((1, 3, 1)), np.zeros((1, 3, 8, 8)))


def test_a_probe_finds_the_direction_of_a_label():
    codes = np.random.default_rng(0).standard_normal((500, 2, 2)).astype(np.float32)
    labels = (codes[:, 1, 0] > 0).astype(np.int64)
    direction = fit_probe(codes, labels, 1)
    assert direction[1, 0] > 10 * np.abs(np.delete(direction.ravel(), 2)).max()
    with pytest.raises(DataError, match="needs images with it and without"):
        fit_probe(codes, labels, 2)


def test_a_grid_has_its_images_in_their_places():
    row = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 64, 64), np.uint8)
    picture = grid([row, row[:1]])
    assert picture.shape == (2 * 66 + 2, 3 * 66 + 2, 3)
    assert [picture[2 + 10, 2 + 66 * j + 10, 0] for j in range(3)] == [0, 1, 2]
    assert picture[66 + 2 + 10, 66 + 2 + 10, 0] == 96


def test_a_folder_comes_back_whole_and_takes_the_place_of_an_older_one(tmp_path, images):
    prior = LatentPrior(LatentPriorConfig(n_units=3, width=8, layers=2)).eval()
    prior.measure(torch.randn(10, 3, 1))
    first = loaded("encdiff", prior)
    for _ in range(2):
        save_image_folder(tmp_path / "model", first, "card")
    found = load_image_folder(tmp_path)
    assert found.model.config == first.model.config
    for name, value in first.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], value)
    assert torch.equal(found.codes.axis, first.codes.axis)
    assert ImageModel(found, torch.device("cpu")).sample(2, steps=2).shape == (2, 3, 16, 16)
    archive = pack_image_model(tmp_path, tmp_path / "packed", "another card")
    assert archive.name == "packed.zip" and (tmp_path / "packed" / "README.md").read_text() == "another card"
    (tmp_path / "model" / "mine.txt").write_text("x")
    with pytest.raises(ModelError, match=r"mine\.txt, no part of a model"):
        save_image_folder(tmp_path / "model", first, "card")


def changed(values, path, value):
    *keys, last = path
    inner = values
    for key in keys:
        inner = inner[key]
    inner[last] = value
    return values


HOSTILE = {
    "another kind": (["model", "kind"], "os.system"),
    "code to run": (["model", "_target_"], "os.system"),
    "unknown key": (["run"], "rm"),
    "huge": (["model", "unet", "base"], 10**9),
    "no sizes": (["model", "unet", "multipliers"], []),
    "odd heads": (["model", "unet", "heads"], 7),
    "other weights": (["model", "n_units"], 4),
    "prior of others": (["prior"], {"n_units": 4}),
    "prior that is not there": (["prior"], {"n_units": 3}),
    "version": (["version"], 1),
    "not a table": (["model"], "x"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_folder_whose_config_lies_is_refused(tmp_path, name):
    save_image_folder(tmp_path / "model", loaded("encdiff"), "card")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(changed(json.loads(path.read_text()), *HOSTILE[name])))
    with pytest.raises(ModelError):
        load_image_folder(tmp_path / "model")


def test_a_pickle_or_damaged_or_missing_file_is_refused(tmp_path):
    save_image_folder(tmp_path / "model", loaded("encdiff"), "card")
    weights, codes = tmp_path / "model" / "model.safetensors", tmp_path / "model" / "codes.safetensors"
    good = weights.read_bytes()
    torch.save({}, weights)
    with pytest.raises(ModelError, match="pickle"):
        load_image_folder(tmp_path)
    weights.write_bytes(good)
    codes.write_bytes(b"x")
    with pytest.raises(ModelError, match="cannot be read"):
        load_image_folder(tmp_path)
    codes.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load_image_folder(tmp_path)
    with pytest.raises(ModelError, match="no model folder"):
        load_image_folder(tmp_path / "nowhere")

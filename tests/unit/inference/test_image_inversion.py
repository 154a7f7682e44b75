"""Images as noise: exact where it is promised, the same alone and in a batch, in a file that is not believed blindly."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tts.diffusion import sample, time_grid
from tts.errors import ModelError
from tts.image.asyrp import Average
from tts.image.base import BaseConfig
from tts.image.config import UNetConfig
from tts.image.delta_h import DeltaBlock, DeltaBlockConfig
from tts.image.edit_steps import Attribute
from tts.image.registry import build_model
from tts.inference.image_folder import LoadedImageModel, TrainedOn
from tts.inference.image_inversion import InversionKind, read_inversion, save_inversion
from tts.inference.image_model import ImageModel
from tts.nets.image_taps import tapped
from tts.testing import seeded

CONFIG = BaseConfig(size=8, channels=1, unet=UNetConfig(base=8, multipliers=(1,), attention=(False,), unshuffle=2))
TRAINED = TrainedOn(data="shapes", size=8, steps=1, images=4, seed=0, cpu_seconds=0.5)


@pytest.fixture(scope="module")
def model():
    network = seeded(lambda: build_model(CONFIG), spread=0.1).eval().requires_grad_(False)
    return ImageModel(LoadedImageModel(model=network, trained=TRAINED, codes=None), torch.device("cpu"), batch_size=2)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)


def test_edit_friendly_noise_leads_back_to_the_byte_and_an_edit_of_strength_0_changes_nothing(model, images):
    found = model.inversion(images, kind=InversionKind.edit_friendly, steps=5)
    assert found.path.shape == (3, 6, 1, 8, 8)
    assert np.array_equal(model.restore(found), images)
    edit = model.pca_edits(1, n=4, steps=5)[0]
    edited = model.edit_h(found, [edit], (0.0, 3.0)).reshape(3, 2, 1, 8, 8)
    assert np.array_equal(edited[:, 0], images)
    assert not np.array_equal(edited[:, 1], images)


def test_a_batch_is_its_singles_and_noise_of_an_image_is_its_own(model, images):
    for kind in InversionKind:
        whole = model.inversion(images, kind=kind, steps=3, seed=4)
        first = model.inversion(images[:1], kind=kind, steps=3, seed=4)
        assert torch.allclose(whole.path[:1], first.path, atol=1e-4)


def test_more_steps_and_fixed_points_bring_ddim_nearer_to_the_image(model, images):
    def error(steps, fixed_points):
        again = model.restore(model.inversion(images, steps=steps, fixed_points=fixed_points))
        return np.abs(again.astype(float) - images).mean()

    assert error(10, 3) <= error(10, 0)
    assert error(40, 3) < 2


def test_a_file_brings_back_what_was_saved(model, images, tmp_path):
    found = model.inversion(images, kind=InversionKind.edit_friendly, steps=3)
    save_inversion(tmp_path / "noise.safetensors", found)
    again = read_inversion(tmp_path / "noise.safetensors")
    assert again.config == found.config
    assert torch.equal(again.path, found.path) and again.codes is None


def test_a_file_that_is_no_noise_or_lies_is_refused(model, images, tmp_path):
    file = tmp_path / "noise.safetensors"
    save_file({"codes": torch.zeros(2, 3)}, file)
    with pytest.raises(ModelError, match="no noise of images"):
        read_inversion(file)
    file.write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelError, match="no noise of images"):
        read_inversion(file)
    found = model.inversion(images, steps=3)
    object.__setattr__(found, "path", found.path.repeat(1, 2, 1, 1, 1))
    save_inversion(file, found)
    with pytest.raises(ModelError, match="a finite path of 1 states"):
        read_inversion(file)


def test_edit_friendly_noise_is_not_boosted(model, images):
    found = model.inversion(images, kind=InversionKind.edit_friendly, steps=3)
    with pytest.raises(ValueError, match="t_boost must be 0"):
        model.edit_h(found, model.pca_edits(1, n=3, steps=3), t_boost=0.3)


def trained_edit(steps):
    block = seeded(lambda: DeltaBlock(DeltaBlockConfig(channels=8, time_dim=32)), spread=0.5).eval().requires_grad_(False)
    return Attribute(delta=block, steps=steps, t_edit=0.3, strength=4.0)


def test_an_averaged_edit_is_the_same_for_all_images_and_that_of_each_where_nothing_is_averaged(model, images):
    edit, found = trained_edit(6), model.inversion(images[:2], steps=6)
    own = model.edit_h(found, [edit], (1.0,))
    assert np.abs(own.astype(int) - model.edit_h(found, [edit], (0.0,))).max() > 1
    kept = model.averaged(found, edit, Average.none)
    assert np.abs(own.astype(int) - model.edit_h(found, [kept], (1.0,))).max() <= 1
    twice = model.inversion(np.repeat(images[:1], 2, axis=0), steps=6)
    for average, times in ((Average.images, 5), (Average.all, 1)):
        mean = model.averaged(found, edit, average)
        assert mean.delta.values.shape == (times, *kept.delta.values.shape[-3:])  # on at 1, 5/6 … 2/6
        assert (mean.t_edit, mean.strength) == (0.3, 4.0)
    same = model.averaged(twice, edit, Average.images)
    assert np.abs(model.edit_h(twice, [same], (1.0,)).astype(int)[0] - own[0]).max() <= 1
    each = kept.delta.values
    torch.testing.assert_close(model.averaged(found, edit).delta.values[0], each.mean((0, 1)))
    with pytest.raises(ValueError, match="averaged along DDIM"):
        model.averaged(model.inversion(images, kind=InversionKind.edit_friendly, steps=3), edit)


@pytest.mark.parametrize("tap", ["down.0", "up.0"])
def test_directions_are_those_of_the_tap_that_was_asked_for(model, images, tap):
    edit, network, made = model.pca_edits(1, n=4, steps=3, tap=tap, seed=2)[0], model.diffusion, []
    handle = tapped(network.unet, tap).register_forward_hook(lambda module, arguments, h: made.append(h.flatten(1)))
    times, u = time_grid(network.schedule, 3), torch.from_numpy(model.noises(4, seed=2))
    sample(network.composite(None), u, network.schedule, times, sampler="ddim")
    handle.remove()
    assert edit.tap == tap and len(made) == 3
    for h, shift in zip(made, edit.delta.values.flatten(1).flip(0), strict=True):
        _, size, rows = np.linalg.svd((h - h.mean(0)).double().numpy(), full_matrices=False)
        # one deviation along the first axis, whose sign is free
        assert abs(rows[0] @ shift.double().numpy()) == pytest.approx(size[0] / 3**0.5, rel=1e-3)
        assert shift.norm().item() == pytest.approx(size[0] / 3**0.5, rel=1e-3)
    middle, other = (model.edit_pullback(images[:1], 0, (30.0,), steps=4, **at) for at in ({}, {"tap": tap}))
    assert not np.array_equal(middle, other)

"""Unsupervised Guided-VAE: the warps of its light decoder, its orthogonality, and where gradients go."""

import math

import pytest
import torch

from tts.image.deformable_vae import DeformablePca, DeformableVae
from tts.image.vae_config import DeformableVaeConfig


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make_light(image):
    """A light decoder that shows one image (C, H, W), by its bias, for whatever content."""
    light = DeformablePca(DeformableVaeConfig(size=image.shape[-1], channels=image.shape[0], n_units=4))
    with torch.no_grad():
        light.linear.weight.zero_()
        light.linear.bias.copy_(image.flatten())
    return light


def code(light, scale=1.0, angle=0.0):
    """The code (1, 4) that enlarges by `scale` and turns by `angle` radians."""
    return torch.tensor([[math.log(scale) / light.scale_rate[0].item(), angle / light.angle_rate.item(), 0.3, -0.2]])


def test_the_zero_code_leaves_the_linear_image():
    image = torch.randn(3, 16, 16, generator=generator())
    light = make_light(image)
    torch.testing.assert_close(light(code(light))[0], image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_those_of_the_array_clockwise(quarters):
    image = torch.randn(1, 16, 16, generator=generator())
    light = make_light(image)
    turned = light(code(light, angle=quarters * math.pi / 2))[0]
    torch.testing.assert_close(turned, torch.rot90(image, -quarters, dims=(1, 2)), atol=1e-4, rtol=0)


def test_a_scale_of_two_makes_an_area_four_times_as_large():
    across = torch.arange(32) - 15.5
    disc = ((across[:, None] ** 2 + across**2) < 36).float()[None]
    light = make_light(disc)
    area = light(code(light, scale=2.0)).detach().sum() / disc.sum()
    assert area.item() == pytest.approx(4, rel=0.02)


def test_the_overlap_is_the_sum_of_inner_products_worked_out_by_hand():
    light = DeformablePca(DeformableVaeConfig(size=8, channels=1, n_units=5))
    with torch.no_grad():
        light.linear.weight.zero_()
        light.linear.weight[0] = torch.tensor([1.0, 2.0, 0.0])
        light.linear.weight[1] = torch.tensor([0.0, -1.0, 3.0])
    assert light.overlap().item() == pytest.approx(2 * (2 + 0 + 3))
    with torch.no_grad():
        light.linear.weight.copy_(torch.linalg.qr(torch.randn(64, 3, generator=generator()))[0])
    assert light.overlap().item() == pytest.approx(0, abs=1e-4)


def test_each_term_reaches_only_its_networks():
    torch.manual_seed(0)
    model = DeformableVae(DeformableVaeConfig(size=8, width=4, hidden=16, n_units=5))
    x = torch.rand(6, 3, 8, 8, generator=generator()) * 2 - 1
    expected = {
        "reconstruction": {"encoder", "decoder"},
        "kl": {"encoder"},
        "light_reconstruction": {"encoder", "light"},
        "orthogonality": {"light"},
    }
    losses = model.losses(x, None, generator())
    assert set(losses) == set(expected)
    for name, networks in expected.items():
        model.zero_grad()
        losses[name].backward(retain_graph=True)
        reached = {key.split(".")[0] for key, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
        assert reached == networks, name
    model.zero_grad()
    losses["orthogonality"].backward(retain_graph=True)
    assert [name for name, p in model.light.named_parameters() if p.grad is not None] == ["linear.weight"]

"""The homomorphism autoencoder with formulas for networks (T12), its losses by hand, and what is refused."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import nn

from tts.errors import ConfigError
from tts.image.groups.config import HaeConfig, TransitionKind
from tts.image.groups.hae import HomomorphismAutoencoder, normalise_blocks, relative_errors
from tts.image.vae_config import Likelihood
from tts.testing import seeded

N, B = 4, 6


def on_the_sphere(rotations, reversed_order=False):
    """A world of points o in R^3 that rotations move, with the true h, d and rho; and sequences in it, made by SciPy."""
    config = HaeConfig(size=1, channels=3, action_dim=3, blocks=(3,), likelihood=Likelihood.gaussian, width=4, layers=1)
    hae = HomomorphismAutoencoder(config).double()
    hae.encoder, hae.decoder, hae.transition = nn.Identity(), nn.Identity(), rotations  # an observation is its code
    rng = np.random.default_rng(0)
    g, start = rng.normal(size=(B, N, 3)), 0.4 * rng.uniform(-1, 1, size=(B, 3))
    points = [start]
    for j in range(N):
        turn = Rotation.identity(B)
        for i in range(j + 1):  # the newest action leftmost, or the oldest
            step = Rotation.from_rotvec(g[:, i])
            turn = turn * step if reversed_order else step * turn
        points.append(turn.apply(start))
    return hae, torch.from_numpy(np.stack(points, axis=1))[..., None, None], torch.from_numpy(g)


def test_with_the_true_encoder_decoder_and_rotations_both_losses_are_0(rotations):
    hae, observations, g = on_the_sphere(rotations)
    losses = hae.losses(observations, g, gamma=10.0)
    assert losses["reconstruction"] < 1e-9 and losses["prediction"] < 1e-9


def test_rotations_applied_in_the_reversed_order_are_an_error(rotations):
    hae, observations, g = on_the_sphere(rotations, reversed_order=True)
    losses = hae.losses(observations, g, gamma=1.0)
    assert losses["prediction"] > 0.1 and losses["reconstruction"] > 0.01


def test_the_roll_out_is_the_product_of_the_matrices_and_begins_where_it_starts(rotations):
    hae, observations, g = on_the_sphere(rotations)
    z = observations[:, 0, :, 0, 0]
    codes = hae.rollout(z, g)
    assert torch.equal(codes[:, 0], z) and codes.shape == (B, N + 1, 3)
    torch.testing.assert_close(codes, observations[..., 0, 0])
    torch.testing.assert_close(hae.rollout(codes[:, 2], g[:, 2:]), codes[:, 2:])


def small(**changes):
    return seeded(
        lambda: HomomorphismAutoencoder(HaeConfig(size=4, width=8, phi_width=8, normalise=True, **changes)), spread=0.1
    )


def sequences(n=5, length=2):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, length + 1, 1, 4, 4, generator=generator) * 2 - 1, torch.randn(n, length, 2, generator=generator)


def test_the_losses_are_those_of_a_loop_over_samples_and_steps():
    hae = small(free_units=1, soft_weight=0.5)
    observations, g = sequences()
    z = torch.stack([hae.encode(sequence) for sequence in observations])
    variance = z.flatten(0, 1).var(0, correction=0).sum()
    reconstruction = prediction = 0.0
    for b in range(5):
        code = z[b, :1]
        for j in range(3):
            if j:
                code = hae.transition.rho(g[b, j - 1 : j])[0] @ code[0]
                code = code[None]
                prediction = prediction + (code[0] - z[b, j]).square().sum() / variance / 5
            p, y = torch.sigmoid(hae.decode(code))[0], (observations[b, j] + 1) / 2
            reconstruction = reconstruction - (y * p.log() + (1 - y) * (1 - p).log()).sum() / 5
    losses = hae.losses(observations, g, gamma=3.0)
    torch.testing.assert_close(losses["prediction"], 3 * prediction, rtol=1e-4, atol=0)
    torch.testing.assert_close(losses["reconstruction"], reconstruction, rtol=1e-4, atol=0)
    assert losses["soft_blocks"] > 0


def test_gaussian_pixels_are_the_means_themselves_held_in_range_in_images_alone():
    config = HaeConfig(size=4, width=8, likelihood=Likelihood.gaussian, pixel_std=0.5)
    hae = seeded(lambda: HomomorphismAutoencoder(config), spread=0.5)
    z, x = hae.encode(sequences()[0][:, 0]), sequences()[0][:, :1]
    means = hae.decode(z)
    assert means.abs().max() > 1
    torch.testing.assert_close(hae.reconstruction(z[:, None], x), 2 * (means[:, None] - x).square().flatten(2).sum(2))
    assert torch.equal(hae.images(z), means.clamp(-1, 1))


def test_variety_is_1_for_what_is_painted_as_it_is_and_0_for_one_image():
    hae, observations, _ = on_the_sphere(nn.Identity())
    assert hae.variety(observations[:, 0]) == pytest.approx(1)
    hae.decoder = nn.Threshold(9.0, 0.5)
    assert hae.variety(observations[:, 0]) == 0


def test_held_targets_get_no_gradient():
    observations, g = sequences()
    hae = small()
    z = hae.encode(observations.flatten(0, 1)).detach().requires_grad_()
    hae.encode = lambda x: z
    for held in (True, False):
        z.grad = None
        hae.losses(observations, g, 1.0, hold_targets=held)["prediction"].backward()
        assert z.grad.view(5, 3, -1)[:, 0].abs().min() > 0
        assert bool((z.grad.view(5, 3, -1)[:, 1:] == 0).all()) is held


def test_without_actions_it_is_an_autoencoder():
    observations, g = sequences(length=0)
    assert small().losses(observations, g, 40.0).keys() == {"reconstruction"}


def test_blocks_have_norm_1_free_units_stay_and_a_batch_is_its_singles():
    z = torch.tensor([[3.0, 4.0, 0.0, -2.0, 7.0]])
    torch.testing.assert_close(normalise_blocks(z, (2, 2)), torch.tensor([[0.6, 0.8, 0.0, -1.0, 7.0]]))
    hae = small(free_units=1)
    x = sequences()[0][:, 0]
    torch.testing.assert_close(hae.encode(x), torch.cat([hae.encode(single[None]) for single in x]))
    assert hae.images(hae.encode(x)).abs().max() <= 1


def test_the_relative_error_of_the_mean_code_is_1():
    codes = torch.randn(7, 3, 4, generator=torch.Generator().manual_seed(0))
    mean = codes.flatten(0, 1).mean(0).expand_as(codes)
    assert relative_errors(mean, codes).mean().item() == pytest.approx(1, abs=1e-5)
    assert relative_errors(codes, codes).max() == 0


def test_what_does_not_fit_is_refused():
    observations, g = sequences()
    with pytest.raises(ValueError, match="between them, found"):
        small().losses(observations, g[:, :1], 1.0)
    with pytest.raises(ValueError, match=r"images must be \(B, 1, 4, 4\)"):
        small().encode(torch.zeros(2, 1, 4, 5))
    for changes, key in (
        ({"blocks": ()}, "blocks"),
        ({"blocks": (0, 2)}, "blocks"),
        ({"soft_weight": math.nan}, "soft_weight"),
    ):
        with pytest.raises(ConfigError, match=rf"hae\.{key}"):
            HaeConfig(size=4, **changes)
    with pytest.raises(ConfigError, match=r"hae\.action_dim: found 4, expected 1 to 3"):
        HaeConfig(size=4, transition=TransitionKind.steps, action_dim=4)

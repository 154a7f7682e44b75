"""The gradient decoder on a frozen U-Net, and the encoder of images."""

import pytest
import torch

from tts.nets.gradient_decoder import GradientDecoder
from tts.nets.image_encoder import ImageEncoder
from tts.nets.image_unet import ImageUNet
from tts.testing import seeded

SIZES = {"channels": 3, "base": 8, "multipliers": (1, 2), "attention": (False, True), "unshuffle": 2}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def unet():
    return seeded(lambda: ImageUNet(**SIZES), spread=0.2)


def encode(unet, n=2):
    return unet.encode(normal(n, 3, 16, 16), torch.linspace(0.2, 0.9, n))


def test_an_untrained_decoder_adds_nothing(unet):
    out = GradientDecoder(**SIZES, condition_dim=4)(encode(unet), normal(2, 4))
    assert out.shape == (2, 3, 16, 16) and out.abs().max() == 0


def test_a_detached_encoding_sends_no_gradient_into_the_frozen_network_and_an_attached_one_does(unet):
    decoder, z = (
        seeded(lambda: GradientDecoder(**SIZES, condition_dim=4, factors=3), 1, spread=0.2),
        normal(2, 4).requires_grad_(),
    )
    factor = torch.tensor([0, 2])
    decoder(encode(unet).detach(), z, factor).square().mean().backward()
    assert all(p.grad is None for p in unet.parameters())
    assert z.grad.abs().max() > 0
    assert all(p.grad is not None for p in decoder.parameters())
    decoder(encode(unet), z, factor).square().mean().backward()
    assert unet.stem.weight.grad.abs().max() > 0


def test_it_sees_h_the_skips_time_and_the_code(unet):
    decoder, encoded, z = seeded(lambda: GradientDecoder(**SIZES, condition_dim=4), 1, spread=0.2), encode(unet), normal(2, 4)
    out = decoder(encoded, z)
    moved = [encoded._replace(h=encoded.h + 1), encoded._replace(time=encoded.time + 1)]
    moved += [encoded._replace(skips=tuple(s + 1 if i == j else s for j, s in enumerate(encoded.skips))) for i in range(3)]
    for other in moved:
        assert (decoder(other, z) - out).abs().max() > 1e-3
    assert (decoder(encoded, z + 1) - out).abs().max() > 1e-3


def test_factors_batched_along_the_first_axis_are_those_taken_one_by_one(unet):
    decoder = seeded(lambda: GradientDecoder(**SIZES, condition_dim=4, factors=3), 1, spread=0.2)
    encoded, z = encode(unet), normal(2, 3, 4)
    factor = torch.arange(3).repeat(2)
    together = decoder(encoded.repeat_interleave(3), z.flatten(0, 1), factor).unflatten(0, (2, 3))
    for c in range(3):
        alone = decoder(encoded, z[:, c], torch.full((2,), c))
        torch.testing.assert_close(together[:, c], alone, rtol=0, atol=1e-5)
    assert (decoder(encoded, z[:, 0], torch.tensor([1, 1])) - together[:, 0]).abs().max() > 1e-3


def test_factor_embeddings_are_orthonormal_and_unit_vectors_at_the_start():
    decoder = GradientDecoder(**SIZES, condition_dim=4, factors=5)
    assert torch.equal(decoder.factor_rows(), torch.eye(8)[:5])
    rows = seeded(lambda: GradientDecoder(**SIZES, condition_dim=4, factors=5), spread=0.2).double().factor_rows()
    torch.testing.assert_close(rows @ rows.T, torch.eye(5, dtype=torch.float64), rtol=0, atol=1e-12)
    assert (rows - torch.eye(8, dtype=torch.float64)[:5]).abs().max() > 0.1


def test_its_sizes_are_the_up_path_and_the_middle_of_the_network():
    unet = ImageUNet(**SIZES, condition="scale_shift", condition_dim=4)
    decoder = GradientDecoder(**SIZES, condition_dim=4)
    parts = (unet.condition, unet.middle, unet.up)
    assert sum(p.numel() for p in decoder.parameters()) == sum(p.numel() for part in parts for p in part.parameters())


def test_what_a_gradient_decoder_cannot_do_is_refused(unet):
    with pytest.raises(ValueError, match="0 to 8 factors"):
        GradientDecoder(**SIZES, condition_dim=4, factors=9)
    with pytest.raises(ValueError, match="condition_dim of at least 1"):
        GradientDecoder(**SIZES, condition_dim=0)
    whole, of_factors = (GradientDecoder(**SIZES, condition_dim=4, factors=n) for n in (0, 2))
    with pytest.raises(ValueError, match="without factors"):
        whole.factor_rows()
    with pytest.raises(ValueError, match="0 factors"):
        whole(encode(unet), normal(2, 4), torch.tensor([0, 0]))
    with pytest.raises(ValueError, match="2 factors"):
        of_factors(encode(unet), normal(2, 4))


@pytest.mark.parametrize(("channels", "size"), [(3, 32), (1, 64), (4, 8)])
def test_an_image_becomes_a_code_that_does_not_depend_on_its_neighbours(channels, size):
    encoder = seeded(lambda: ImageEncoder(channels, 8, size, 10), spread=0.2)
    x = normal(3, channels, size, size)
    z = encoder(x)
    assert z.shape == (3, 10)
    for i in range(3):
        torch.testing.assert_close(encoder(x[i : i + 1])[0], z[i], rtol=0, atol=1e-5)


def test_an_untrained_encoder_tells_plain_colours_and_their_levels_apart():
    encoder = seeded(lambda: ImageEncoder(3, 8, 16, 10))
    levels = torch.tensor([[0.2, 0.2, 0.2], [0.8, 0.8, 0.8], [0.8, 0.2, 0.2]])
    z = encoder(levels[:, :, None, None].expand(-1, -1, 16, 16))
    assert torch.pdist(z).min() > 1e-3


@pytest.mark.parametrize(
    ("width", "size", "message"), [(8, 24, "power of two"), (8, 4, "at least 8"), (6, 32, "multiple of 4")]
)
def test_an_encoder_of_impossible_sizes_is_refused(width, size, message):
    with pytest.raises(ValueError, match=message):
        ImageEncoder(3, width, size, 10)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"must be \(B, 3, 16, 16\), found \(2, 3, 32, 32\)"):
        ImageEncoder(3, 8, 16, 10)(torch.zeros(2, 3, 32, 32))

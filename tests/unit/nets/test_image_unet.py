"""The U-Net of images: its halves, its conditions, its derivatives; the blocks by their formulas."""

import pytest
import torch
import torch.nn.functional as F

from tts.nets.image_blocks import AdaptiveGroupNorm, BlockSizes, attend
from tts.nets.image_unet import ImageUNet
from tts.testing import seeded

SIZES = {"base": 8, "multipliers": (1, 2), "attention": (False, True)}
CONDITIONS = {"none": None, "scale": (5,), "scale_shift": (5,), "tokens": (3, 6)}
every_condition = pytest.mark.parametrize("condition", CONDITIONS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def unet(condition="none", channels=3, **sizes):
    shape = CONDITIONS[condition]
    width = 0 if shape is None else shape[-1]
    return ImageUNet(channels=channels, condition=condition, condition_dim=width, **{**SIZES, **sizes})


def inputs(condition="none", shape=(3, 3, 16, 24), seed=1):
    draw = generator(seed)
    x, t = torch.randn(shape, generator=draw), torch.rand(shape[0], generator=draw)
    code = CONDITIONS[condition]
    return x, t, None if code is None else torch.randn(shape[0], *code, generator=draw)


@every_condition
@pytest.mark.parametrize(
    ("shape", "unshuffle"), [((2, 3, 32, 32), 4), ((2, 1, 80, 16), 1), ((1, 3, 16, 16), 2), ((2, 3, 8, 12), 1)]
)
def test_it_gives_the_shape_of_the_image_whether_it_is_a_picture_or_a_mel(condition, shape, unshuffle):
    network = seeded(lambda: unet(condition, channels=shape[1], unshuffle=unshuffle), spread=0.2)
    x, t, z = inputs(condition, shape)
    out = network(x, t, z)
    assert out.shape == shape and out.std() > 0.01
    encoded = network.encode(x, t, z)
    assert encoded.h.shape == (shape[0], 16, shape[2] // (2 * unshuffle), shape[3] // (2 * unshuffle))
    assert len(encoded.skips) == 3 and encoded.time.shape == (shape[0], 32)
    assert torch.equal(F.pixel_shuffle(encoded.skips[0], unshuffle), x)


@every_condition
def test_forward_is_decode_of_encode_and_an_untrained_network_gives_zero(condition):
    x, t, z = inputs(condition)
    assert unet(condition)(x, t, z).abs().max() == 0
    network = seeded(lambda: unet(condition), spread=0.2)
    assert torch.equal(network(x, t, z), network.decode(network.encode(x, t, z), z))


@every_condition
def test_an_h_of_ones_own_takes_the_place_of_the_encoded_one_and_the_same_h_changes_nothing(condition):
    network = seeded(lambda: unet(condition), spread=0.2)
    x, t, z = inputs(condition)
    encoded = network.encode(x, t, z)
    out = network.decode(encoded, z)
    assert torch.equal(network.decode(encoded, z, h=encoded.h), out)
    assert torch.equal(network.decode(encoded, z, h=encoded.h.clone()), out)
    assert (network.decode(encoded, z, h=encoded.h + 1) - out).abs().max() > 1e-3


def test_the_head_filters_every_block_of_pixels_by_its_gains_and_the_shift():
    network, (x, t, _) = unet(unshuffle=4), inputs()
    planes = network.up.analysis.in_channels
    with torch.no_grad():
        network.up.head.bias[planes:] = 0.5
        torch.testing.assert_close(network(x, t), 0.5 * x)  # the basis is orthogonal, and one way the inverse of the other
        network.up.head.bias[:planes] = torch.arange(planes)
        shift = F.pixel_shuffle(
            torch.arange(float(planes))[None, :, None, None].expand(*network.encode(x, t).skips[0].shape), 4
        )
        torch.testing.assert_close(network(x, t), 0.5 * x + shift)


def test_skips_are_no_part_of_h():
    network = seeded(lambda: unet(), spread=0.2)
    x, t, _ = inputs()
    encoded = network.encode(x, t)
    for i, skip in enumerate(encoded.skips):
        skips = [*encoded.skips]
        skips[i] = skip + 1
        other = encoded._replace(skips=tuple(skips))
        assert torch.equal(other.h, encoded.h)
        assert (network.decode(other) - network.decode(encoded)).abs().max() > 1e-3
    assert all(skip.data_ptr() != encoded.h.data_ptr() for skip in encoded.skips)


@every_condition
def test_a_batch_equals_its_singles(condition):
    network = seeded(lambda: unet(condition, unshuffle=2), spread=0.2)
    x, t, z = inputs(condition)
    together = network(x, t, z)
    for i in range(len(x)):
        alone = network(x[i : i + 1], t[i : i + 1], None if z is None else z[i : i + 1])
        torch.testing.assert_close(alone[0], together[i])  # float32, whose values reach 6 here


def test_the_order_of_the_tokens_does_not_matter_but_their_values_do():
    network = seeded(lambda: unet("tokens"), spread=0.2)
    x, t, z = inputs("tokens")
    out = network(x, t, z)
    torch.testing.assert_close(network(x, t, z[:, [2, 0, 1]]), out, rtol=0, atol=1e-5)
    assert (network(x, t, z.flip(0)) - out).abs().max() > 1e-3


@every_condition
def test_every_condition_and_time_reach_both_halves(condition):
    network = seeded(lambda: unet(condition), spread=0.2)
    x, t, z = inputs(condition)
    encoded = network.encode(x, t, z)
    assert not torch.allclose(network.encode(x, 1 - t, z).h, encoded.h)
    if z is not None:
        assert not torch.allclose(network.encode(x, t, z + 1).h, encoded.h)
        assert not torch.allclose(network.decode(encoded, z + 1), network.decode(encoded, z))


@pytest.mark.parametrize("condition", ["scale", "scale_shift"])
def test_the_adaptive_norm_is_its_formula(condition):
    norm = seeded(lambda: AdaptiveGroupNorm(8, BlockSizes(time_dim=6, condition=condition, condition_dim=5)), spread=0.2)
    draw = generator(3)
    x, time, z = (torch.randn(s, generator=draw) for s in ((2, 8, 3, 4), (2, 6), (2, 5)))
    groups = x.view(2, 2, -1)  # 8 channels are 2 groups of 4
    normed = (groups - groups.mean(2, keepdim=True)) / (groups.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
    normed = normed.view_as(x) * norm.norm.weight[:, None, None] + norm.norm.bias[:, None, None]
    t_s, t_b = (F.silu(time) @ norm.time.weight.T + norm.time.bias)[:, :, None, None].split(8, dim=1)
    of_z = (F.silu(z) @ norm.condition.weight.T + norm.condition.bias)[:, :, None, None]
    expected = (1 + of_z[:, :8]) * ((1 + t_s) * normed + t_b)
    if condition == "scale_shift":
        expected = expected + of_z[:, 8:]
    assert of_z.shape[1] == (16 if condition == "scale_shift" else 8)
    torch.testing.assert_close(norm(x, time, z), expected, rtol=0, atol=1e-5)


def test_attention_is_that_of_torch():
    draw = generator(4)
    q, k, v = (torch.randn(2, n, 12, generator=draw) for n in (7, 5, 5))
    heads = [x.view(2, -1, 3, 4).transpose(1, 2) for x in (q, k, v)]
    expected = F.scaled_dot_product_attention(*heads).transpose(1, 2).reshape(2, 7, 12)
    torch.testing.assert_close(attend(q, k, v, 3), expected, rtol=0, atol=1e-6)


@every_condition
def test_forward_and_reverse_derivatives_pass_the_encoder_alone(condition):
    network = seeded(lambda: unet(condition, unshuffle=2), spread=0.2).double()
    x, t, z = (None if a is None else a.double() for a in inputs(condition))
    direction = torch.randn(x.shape, generator=generator(5), dtype=torch.float64)

    def encoder(x):
        return network.encode(x, t, z).h

    h, along = torch.func.jvp(encoder, (x,), (direction,))
    step = 1e-5
    difference = (encoder(x + step * direction) - encoder(x - step * direction)) / (2 * step)
    torch.testing.assert_close(along, difference, rtol=1e-6, atol=1e-7)
    # <w, J v> = <J^T w, v>
    w = torch.randn(h.shape, generator=generator(6), dtype=torch.float64)
    _, pull = torch.func.vjp(encoder, x)
    assert (w * along).sum().item() == pytest.approx((pull(w)[0] * direction).sum().item(), rel=1e-9)


def test_a_loss_of_the_encoders_jacobian_reaches_its_parameters():
    network = seeded(lambda: unet(), spread=0.2)
    x, t, _ = inputs(shape=(1, 3, 8, 8))
    _, along = torch.func.jvp(lambda x: network.encode(x, t).h, (x,), (torch.ones_like(x),))
    along.square().mean().backward()
    assert network.stem.weight.grad.abs().max() > 0
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in network.parameters())
    assert all(p.grad is None for p in network.up.parameters())


def test_the_tokens_get_a_gradient_as_soon_as_the_head_is_not_zero():
    network = seeded(lambda: unet("tokens"))
    x, t, z = inputs("tokens")
    torch.nn.init.normal_(network.up.head.weight, generator=generator())
    z.requires_grad_()
    network(x, t, z).square().mean().backward()
    assert z.grad.abs().max() > 0


def test_parameter_counts_are_those_of_the_sizes():
    def conv(i, o, k=3):
        return i * o * k * k + o

    def norm(c, time, z=0):
        return 2 * c + (time + 1) * 2 * c + ((z + 1) * c if z else 0)

    def block(i, o, time, z=0):
        return 2 * i + conv(i, o) + norm(o, time, z) + conv(o, o) + (conv(i, o, 1) if i != o else 0)

    def attention(c, tokens=0):
        pixels = 2 * c + conv(c, 3 * c, 1) + conv(c, c, 1)
        return pixels + (2 * c + 2 * conv(c, c, 1) + (tokens + 1) * 2 * c if tokens else 0)

    def total(z=0, tokens=0):
        time, planes = 32, 12  # 4 base, 3 channels unshuffled by 2
        inner = time if z else 0
        count = (8 + 1) * time + (time + 1) * time + ((z + 1) * time if z else 0) + conv(planes, 8)
        count += block(8, 8, time, inner) + conv(8, 8) + block(8, 16, time, inner) + attention(16, tokens)  # down
        count += 2 * block(16, 16, time, inner) + attention(16, tokens)  # middle
        count += block(32, 16, time, inner) + attention(16, tokens) + conv(16, 16) + block(24, 8, time, inner)  # up
        return count + 2 * 8 + conv(8, 2 * planes) + 2 * planes**2

    def found(condition):
        return sum(p.numel() for p in unet(condition, unshuffle=2).parameters())

    assert found("none") == total()
    assert found("scale") == total(z=5)
    assert found("tokens") == total(tokens=6)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"base": 6}, "multiple of 4, found 6"),
        ({"multipliers": ()}, "one per level"),
        ({"attention": (True,)}, "found 1 for 2 levels"),
        ({"blocks": 0}, "at least 1"),
        ({"unshuffle": 0}, "at least 1"),
        ({"heads": 3}, "multiple of heads, found 3"),
        ({"dropout": 1.0}, r"\[0, 1\)"),
        ({"condition": "crosswise"}, "none, scale, scale_shift, tokens"),
        ({"condition": "tokens"}, "at least 1, found 0"),
        ({"condition": "none", "condition_dim": 4}, "of 0, found 4"),
    ],
)
def test_sizes_that_make_no_network_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        ImageUNet(channels=3, **{**SIZES, **sizes})


def test_images_and_conditions_that_do_not_fit_are_refused():
    network = unet("tokens", unshuffle=2)
    x, t, z = inputs("tokens")
    for shape in ((3, 3, 16, 18), (3, 3, 10, 16), (3, 1, 16, 16), (3, 16, 16)):
        with pytest.raises(ValueError, match="multiples of 4, found"):
            network(torch.zeros(shape), t, z)
    for bad in (None, z[:, 0], z[..., :5]):
        with pytest.raises(ValueError, match=r"must be \(B, N, 6\), found"):
            network(x, t, bad)
    with pytest.raises(ValueError, match=r"must be \(B, 5\), found"):
        unet("scale")(x, t, z)
    with pytest.raises(ValueError, match="has no condition"):
        unet()(x, t, z)

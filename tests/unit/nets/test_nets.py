"""The networks: a batch equals its singles, padding has no say, sizes match the papers."""

import pytest
import torch

from tts.nets.blocks import MaskedGroupNorm, SelfAttention, lengths_to_mask, rotate
from tts.nets.unet1d import UNet1d, halve
from tts.nets.unet2d import LinearAttention, UNet2d
from tts.nets.wavenet import WaveNet
from tts.speech.config import PriorConfig
from tts.speech.source import PriorDecoder
from tts.speech.style import StyleEncoder
from tts.testing import seeded


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_lengths_become_a_mask_of_ones():
    assert lengths_to_mask(torch.tensor([1, 3])).tolist() == [[[1, 0, 0]], [[1, 1, 1]]]


def test_parameter_counts_are_the_papers():
    assert count(StyleEncoder(80, 256, 256)) == 1_727_232
    assert count(UNet2d(2, 128, 256)) == 30_016_007
    assert count(UNet2d(2, 64, 256, condition_planes=64)) == 7_774_471
    decoder = PriorDecoder(128, 80, 256, PriorConfig())
    weight_norm_gains = sum(p.numel() for n, p in decoder.named_parameters() if n.endswith("original0"))
    published_norm_gains = 8 * 256 + 7 * 256 + 128 + 2048  # one gain an output channel of every weight-normed layer
    assert weight_norm_gains == published_norm_gains
    assert count(decoder) == 2_119_632


NETWORKS = {
    "unet1d": lambda: UNet1d(8, 8, (16, 16, 32), 12),
    "unet2d": lambda: UNet2d(2, 16, 12, condition_planes=4),
    "wavenet": lambda: WaveNet(8, 3, 5, 12),
    "style": lambda: StyleEncoder(8, 16, 12),
    "attention": lambda: SelfAttention(8, 2),
}


def run(name, net, x, condition, t, mask):
    if name == "unet2d":
        return net(torch.stack((x, x.flip(1)), 1), t, condition, mask)
    if name in ("unet1d", "wavenet"):
        return net(x, condition, mask)
    return net(x, mask)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("lengths", [[13, 5], [8, 1], [16, 12]])
def test_a_batch_equals_its_singles_and_padding_stays_zero(name, lengths):
    net = seeded(NETWORKS[name], spread=0.05).double()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 8, max(lengths) + 3, generator=generator, dtype=torch.float64)
    condition, t = torch.randn(2, 12, generator=generator, dtype=torch.float64), torch.tensor([0.3, 0.8], dtype=torch.float64)
    mask = lengths_to_mask(torch.tensor(lengths), x.shape[-1]).double()
    if name == "unet2d":
        net, x, condition, t, mask = net.float(), x.float(), condition.float(), t.float(), mask.float()
    with torch.no_grad():
        batch = run(name, net, x * mask, condition, t, mask)
        for i, n in enumerate(lengths):
            single = run(name, net, x[i : i + 1, :, :n], condition[i : i + 1], t[i : i + 1], mask[i : i + 1, :, :n])
            mine = batch[i : i + 1] if name == "style" else batch[i : i + 1, :, :n]
            torch.testing.assert_close(mine, single, atol=1e-5, rtol=1e-4)
    assert batch.abs().max() > 1e-3
    if name != "style":
        assert (batch * (1 - mask)).abs().max() == 0


@pytest.mark.parametrize("net", [lambda: SelfAttention(8, 2), lambda: LinearAttention(8)], ids=["self", "linear"])
def test_attention_stays_finite_and_right_under_bf16_where_a_softmax_in_half_precision_overflows(net):
    net = seeded(net, spread=0.05)
    if isinstance(net, LinearAttention):
        net.gain.data.fill_(1.0)
    x = 300 * torch.randn(2, 8, 12, generator=torch.Generator().manual_seed(0))
    mask = lengths_to_mask(torch.tensor([12, 7]))
    if isinstance(net, LinearAttention):
        x, mask = x.unsqueeze(2).expand(-1, -1, 4, -1), mask.unsqueeze(1)
    with torch.no_grad():
        exact = net(x * mask, mask)
        with torch.autocast("cpu", torch.bfloat16):
            found = net(x * mask, mask)
    assert found.isfinite().all()
    assert (found.float() - exact).abs().mean() < 0.1 * exact.abs().mean()


def test_masked_group_norm_is_torchs_where_nothing_is_masked():
    x = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.GroupNorm(4, 8)(x)
    torch.testing.assert_close(MaskedGroupNorm(4, 8)(x, torch.ones(2, 1, 1, 7)), expected)


def test_rotary_products_depend_on_the_distance_only():
    q = torch.randn(1, 1, 1, 8, generator=torch.Generator().manual_seed(0)).expand(1, 1, 6, 8)
    k = torch.randn(1, 1, 1, 8, generator=torch.Generator().manual_seed(1)).expand(1, 1, 6, 8)
    products = rotate(q)[0, 0] @ rotate(k)[0, 0].T
    for distance in range(-3, 4):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))


def test_halving_averages_the_valid_frames_of_a_pair():
    x, mask = torch.tensor([[[1.0, 3.0, 5.0, 0.0]]]), torch.tensor([[[1.0, 1.0, 1.0, 0.0]]])
    assert halve(x, mask).tolist() == [[[2.0, 5.0]]]


def test_an_untrained_unet_gives_zero():
    mask = torch.ones(1, 1, 9)
    assert seeded(NETWORKS["unet1d"])(torch.ones(1, 8, 9), torch.ones(1, 12), mask).abs().max() == 0
    planes = torch.ones(1, 2, 8, 9)
    assert seeded(NETWORKS["unet2d"])(planes, torch.tensor([0.5]), torch.ones(1, 12), mask).abs().max() == 0

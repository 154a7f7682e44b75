"""Taps of the image U-Net: the network cut anywhere is the network, and what goes on from a changed h is what a hook makes."""

import pytest
import torch

from tts.nets.image_taps import CutUNet, tapped, taps
from tts.nets.image_unet import ImageUNet
from tts.testing import seeded

NAMES = ("down.0", "down.1", "down.2", "down.3", "middle", "up.0", "up.1", "up.2", "up.3")
CONDITIONS = {"none": None, "scale": (5,), "tokens": (3, 5)}


def network(condition="none"):
    sizes = {"base": 8, "multipliers": (1, 2), "attention": (False, True), "blocks": 2, "unshuffle": 2}
    width = 0 if condition == "none" else 5
    return seeded(lambda: ImageUNet(channels=3, condition=condition, condition_dim=width, **sizes), spread=0.2).eval()


def inputs(condition="none"):
    draw = torch.Generator().manual_seed(1)
    code = CONDITIONS[condition]
    z = None if code is None else torch.randn(2, *code, generator=draw)
    return torch.randn(2, 3, 16, 8, generator=draw), torch.tensor([0.3, 0.8]), z


def through(unet, tap, hook, *arguments):
    handle = tapped(unet, tap).register_forward_hook(lambda module, given, out: hook(out))
    with torch.no_grad():
        out = unet(*arguments)
    handle.remove()
    return out


def test_the_taps_are_the_stages_in_their_order():
    assert tuple(taps(network())) == NAMES


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("tap", NAMES)
@torch.no_grad()
def test_a_network_cut_at_a_tap_is_the_network_and_goes_on_from_a_changed_h(tap, condition):
    unet, (x, t, z) = network(condition), inputs(condition)
    cut, seen = CutUNet(unet, tap), []
    whole = through(unet, tap, lambda out: seen.append(out), x, t, z)
    encoded = cut.encode(x, t, z)
    assert torch.equal(encoded.h, seen[0])
    assert torch.equal(cut.decode(encoded, z), whole)
    shift = torch.randn(encoded.h.shape, generator=torch.Generator().manual_seed(2))
    moved = through(unet, tap, lambda out: out + shift, x, t, z)
    assert torch.equal(cut.decode(encoded, z, h=encoded.h + shift), moved)
    assert (moved - whole).abs().max() > 1e-3
    assert torch.equal(cut.decode(encoded, z), whole)  # nothing was changed in place


def test_a_batch_equals_its_singles_and_the_half_has_derivatives():
    unet, (x, t, _) = network(), inputs()
    for tap in ("down.1", "up.2"):
        cut = CutUNet(unet, tap)
        torch.testing.assert_close(cut.encode(x[1:], t[1:]).h[0], cut.encode(x, t).h[1], rtol=0, atol=1e-4)
        h, slope = torch.func.jvp(lambda x, cut=cut: cut.encode(x, t).h, (x,), (torch.ones_like(x),))
        assert slope.shape == h.shape and slope.abs().max() > 1e-3


def test_a_tap_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match=r"no tap 'up\.4'. Taps of this network: down\.0, .*, middle, up\.0"):
        CutUNet(network(), "up.4")

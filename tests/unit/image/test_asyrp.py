"""Edits of h on every image model with a U-Net: nothing, something, several at once, on inverted noise, kept for others."""

import pytest
import torch

from tts.diffusion import Composite, Term, invert, invert_noises, sample, time_grid
from tts.errors import ConfigError, ModelError
from tts.image.asyrp import Average, edited, fixed_delta, sample_edited, together
from tts.image.base import BaseConfig
from tts.image.config import UNetConfig
from tts.image.delta_h import DeltaBlock, DeltaBlockConfig, FixedDelta, FixedDeltaConfig
from tts.image.diffae import DiffAeConfig
from tts.image.edit_steps import Attribute
from tts.image.encdiff import EncDiffConfig
from tts.image.h_space import h_space
from tts.image.infodiffusion import InfoDiffusionConfig
from tts.image.pdae import PdaeConfig
from tts.image.registry import build_model
from tts.image.vae import VaeConfig
from tts.nets.image_taps import tapped
from tts.nets.image_unet import Encoded
from tts.testing import seeded

UNET = UNetConfig(base=16, multipliers=(1,), attention=(False,), unshuffle=2)
CONFIGS = {
    "ddpm": BaseConfig(size=8, unet=UNET),
    "diffae": DiffAeConfig(size=8, n_units=3, encoder_width=8, unet=UNET),
    "encdiff": EncDiffConfig(size=8, n_units=3, encoder_width=8, token_dim=8, unet=UNET),
    "infodiffusion": InfoDiffusionConfig(size=8, n_units=3, encoder_width=8, unet=UNET),
    "pdae": PdaeConfig(size=8, n_units=3, encoder_width=8, unet=UNET),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed))


def model_of(kind="ddpm"):
    return seeded(lambda: build_model(CONFIGS[kind]), spread=0.05).requires_grad_(False)


def block(zero_init=False, seed=1):
    return seeded(lambda: DeltaBlock(DeltaBlockConfig(channels=16, time_dim=64, zero_init=zero_init)), seed).requires_grad_(
        False
    )


def attribute(delta=None, **options):
    return Attribute(delta=delta or block(), **{"steps": 6, "t_edit": 0.5, **options})


def codes(kind, n=2):
    return None if kind == "ddpm" else normal(n, 3, 1, seed=3)


@pytest.mark.parametrize("kind", CONFIGS)
def test_on_every_model_a_new_block_changes_no_bit_and_another_does(kind):
    model, u, z = model_of(kind), normal(2, 3, 8, 8), codes(kind)
    times, space = time_grid(model.schedule, 6), h_space(model, z)
    plain = sample(model.composite(z), u, model.schedule, times, sampler="ddim")
    assert torch.equal(sample_edited(space, [attribute(block(zero_init=True))], u, times), plain)
    assert (sample_edited(space, [attribute()], u, times) - plain).abs().max() > 1e-3
    assert torch.equal(sample_edited(space, [attribute(strength=0.0)], u, times), plain)


def test_infodiffusion_is_edited_without_codes_too_and_what_has_no_unet_is_refused():
    model = model_of("infodiffusion")
    times = time_grid(model.schedule, 4)
    plain = sample(model.composite(None), normal(2, 3, 8, 8), model.schedule, times, sampler="ddim")
    assert torch.equal(sample(h_space(model).composite, normal(2, 3, 8, 8), model.schedule, times, sampler="ddim"), plain)
    with pytest.raises(ValueError, match="no unconditional denoiser"):
        h_space(model_of("diffae"))
    with pytest.raises(ValueError, match="no codes"):
        h_space(model_of("ddpm"), codes("diffae"))
    with pytest.raises(ModelError, match="kind vae has no h-space"):
        h_space(build_model(VaeConfig(size=32, n_units=2)))


@pytest.mark.parametrize("kind", ["ddpm", "encdiff"])
def test_the_changes_of_noise_and_data_are_those_of_the_decoder_given_another_h(kind):
    model, u, t, z = model_of(kind).double(), normal(2, 3, 8, 8).double(), torch.tensor([0.9, 0.2]).double(), codes(kind)
    z = None if z is None else z.double()
    space = h_space(model, z)
    h = space.path.encoded(u, t).h + 0.3
    condition = None if z is None else model.condition(z)
    encoded = model.unet.encode(u, t, condition)
    output = model.unet.decode(encoded, condition, h=h)
    alpha, sigma = (c(t)[:, None, None, None] for c in (model.schedule.alpha, model.schedule.sigma))
    eps = model.parametrization.eps(output, u, alpha, sigma)
    torch.testing.assert_close(space.eps_change(u, t, h), eps - model.composite(z)(u, t))
    x0 = model.parametrization.x0(output, u, alpha, sigma)
    torch.testing.assert_close(space.x0_change(u, t, h), x0 - model.composite(z).x0(u, t))


def test_a_batch_with_strengths_and_gates_of_its_own_equals_its_singles():
    model, u = model_of(), normal(3, 3, 8, 8)
    times, strength, t_edit = time_grid(model.schedule, 6), torch.tensor([-1.0, 0.0, 2.0]), torch.tensor([0.3, 0.5, 0.9])
    together_ = sample_edited(h_space(model), [attribute(strength=strength, t_edit=t_edit)], u, times)
    for i in range(3):
        alone = [attribute(strength=strength[i].item(), t_edit=t_edit[i].item())]
        torch.testing.assert_close(
            sample_edited(h_space(model), alone, u[i : i + 1], times)[0], together_[i], rtol=1e-4, atol=1e-5
        )


def test_several_attributes_add_their_changes_of_h_each_at_its_own_times():
    model, u = model_of(), normal(2, 3, 8, 8)
    times, space = time_grid(model.schedule, 6), h_space(model)
    first, second = attribute(block(seed=1), t_edit=0.8), attribute(block(seed=2), t_edit=0.3, strength=-0.5)
    found = sample_edited(space, [first, second], u, times)

    def both(encoded, t):
        return (t >= 0.79)[:, None, None, None] * first.delta(encoded, t) - 0.5 * second.delta(encoded, t)

    torch.testing.assert_close(found, sample_edited(space, [attribute(both, t_edit=0.3)], u, times))
    assert [a.strength for a in together([first, second])] == pytest.approx([2**-0.5, -0.5 * 2**-0.5])


def test_an_edit_on_inverted_noise_of_strength_0_is_the_image_by_both_inversions():
    model, x0 = model_of(), normal(2, 3, 8, 8).clamp(-1, 1)
    times, space, off = time_grid(model.schedule, 20), h_space(model), [attribute(strength=0.0)]
    u = invert(space.composite, x0, model.schedule, times, 20)
    torch.testing.assert_close(sample_edited(space, off, u, times), x0, rtol=0, atol=1e-2)
    draw = generator()
    path = invert_noises(space.composite, x0, model.schedule, times, lambda x: torch.randn(x.shape, generator=draw))
    back = path.replay(edited(space, off, times, eta=path.eta), model.schedule, times)
    torch.testing.assert_close(back, x0, rtol=0, atol=1e-5)
    moved = path.replay(edited(space, [attribute()], times, eta=path.eta), model.schedule, times)
    assert (moved - x0).abs().max() > 1e-3


def test_boosting_draws_noise_only_below_its_time_and_needs_it():
    model, u = model_of(), normal(2, 3, 8, 8)
    times, space, drawn = time_grid(model.schedule, 10), h_space(model), []

    def noise(mean):
        drawn.append(mean)
        return torch.zeros_like(mean)

    sample_edited(space, [attribute()], u, times, t_boost=0.45, noise=noise)
    assert len(drawn) == 3  # steps that begin at .4, .3, .2; that from .1 ends at the data
    with pytest.raises(ValueError, match="pass noise"):
        sample_edited(space, [attribute()], u, times, t_boost=0.45)


def test_recorded_changes_repeat_the_edit_for_their_images_and_average_for_others():
    model, u = model_of(), normal(3, 3, 8, 8)
    times, space, own = time_grid(model.schedule, 6), h_space(model), attribute()
    edit = sample_edited(space, [own], u, times)
    kept = {average: fixed_delta(space, own, u, times, average) for average in Average}
    assert [kept[a].values.shape for a in Average] == [(4, 3, 16, 4, 4), (4, 16, 4, 4), (1, 16, 4, 4)]
    torch.testing.assert_close(sample_edited(space, [attribute(kept[Average.none])], u, times), edit)
    torch.testing.assert_close(kept[Average.images].values, kept[Average.none].values.mean(1))
    torch.testing.assert_close(kept[Average.all].values[0], kept[Average.none].values.mean((0, 1)))
    plain = sample(space.composite, u, model.schedule, times, sampler="ddim")
    mean_edit = sample_edited(space, [attribute(kept[Average.images])], u, times)
    assert (mean_edit - edit).norm() < (plain - edit).norm()
    with pytest.raises(ValueError, match="no step begins at t_edit"):
        fixed_delta(space, attribute(t_edit=1.5), u, times, Average.all)


def test_a_fixed_delta_is_linear_in_between_and_constant_beyond_its_times():
    delta = FixedDelta.of(torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)]), torch.tensor([0.4, 0.8]))
    t = torch.tensor([0.1, 0.4, 0.5, 0.8, 1.0])
    encoded = Encoded(torch.zeros(5, 1, 2, 2), (), torch.zeros(5, 4))
    torch.testing.assert_close(delta(encoded, t)[:, 0, 0, 0], torch.tensor([0.0, 0.0, 0.25, 1.0, 1.0]))


def test_the_block_is_its_formula_and_the_papers_size_has_the_released_number_of_parameters():
    delta = DeltaBlock(DeltaBlockConfig(channels=512, time_dim=512))
    assert sum(p.numel() for p in delta.parameters()) == 788_992
    small, h, time = block(), normal(2, 16, 4, 4), normal(2, 64, seed=1)
    mix = lambda conv, x: torch.einsum("oi,bihw->bohw", conv.weight[:, :, 0, 0], x) + conv.bias[:, None, None]  # noqa: E731
    silu = lambda x: x * torch.sigmoid(x)  # noqa: E731
    hidden = mix(small.conv1, h) + (silu(time) @ small.time.weight.T + small.time.bias)[:, :, None, None]
    grouped = hidden.reshape(2, 4, -1)
    hidden = ((grouped - grouped.mean(2, keepdim=True)) / (grouped.var(2, keepdim=True, unbiased=False) + 1e-5).sqrt()).view_as(
        h
    )
    torch.testing.assert_close(small(Encoded(h, (), time), torch.ones(2)), mix(small.conv2, silu(hidden)), rtol=1e-4, atol=1e-5)


def test_the_encoders_jacobian_in_float32_is_that_of_differences():
    model, x, v = model_of(), normal(1, 3, 8, 8), normal(1, 3, 8, 8, seed=1)
    t = torch.tensor([0.7])
    _, found = torch.func.jvp(lambda x: model.unet.encode(x, t).h, (x,), (v,))
    step = 1e-2
    difference = (model.unet.encode(x + step * v, t).h - model.unet.encode(x - step * v, t).h) / (2 * step)
    assert (found - difference).norm() < 1e-3 * found.norm()


def test_edits_that_do_not_fit_are_refused():
    model, u = model_of(), normal(2, 3, 8, 8)
    times, space = time_grid(model.schedule, 6), h_space(model)
    with pytest.raises(ValueError, match="at least one attribute"):
        edited(space, [], times)
    denoiser = edited(space, [attribute()], times)
    with pytest.raises(ValueError, match="no step of this edit begins at"):
        sample(denoiser, u, model.schedule, time_grid(model.schedule, 7), sampler="ddim")
    per_image = FixedDelta(FixedDeltaConfig(channels=16, height=4, width=4, images=3))
    with pytest.raises(ValueError, match="does not fit h"):
        sample_edited(space, [attribute(per_image)], u, times)
    with pytest.raises(ValueError, match="rise strictly"):
        FixedDelta.of(torch.zeros(2, 1, 2, 2), torch.tensor([0.8, 0.4]))
    with pytest.raises(ValueError, match=r"need values \(T, C, H, W\)"):
        FixedDelta.of(torch.zeros(1, 2, 2), torch.tensor([0.8]))
    with pytest.raises(ConfigError, match="multiple of 4"):
        DeltaBlockConfig(channels=6, time_dim=8)


@pytest.mark.parametrize("kind", ["ddpm", "diffae", "pdae"])
@pytest.mark.parametrize("tap", ["down.0", "up.0"])
def test_an_edit_at_another_tap_is_the_network_with_that_output_moved(kind, tap):
    model, z, t = model_of(kind), codes(kind), torch.tensor([0.4, 0.8])
    space, u = h_space(model, z, tap), normal(2, 3, 8, 8)
    encoded = space.path.encoded(u, t)
    shift = normal(*encoded.h.shape, seed=4)
    assert torch.equal(space.composite(u, t), model.composite(z)(u, t))
    network = Composite(model.schedule, [Term(lambda u, t: model.unet(u, t, space.path.condition))], model.parametrization)
    own = network.x0(u, t)
    handle = tapped(model.unet, tap).register_forward_hook(lambda module, arguments, out: out + shift)
    moved = network.x0(u, t)
    handle.remove()
    torch.testing.assert_close(space.x0_change(u, t, encoded.h + shift), moved - own, rtol=1e-3, atol=1e-4)
    assert (moved - own).abs().max() > 1e-2


def test_edits_at_once_are_of_one_tap_which_is_that_of_their_space():
    model = model_of()
    times, u = time_grid(model.schedule, 6), normal(2, 3, 8, 8)
    above = attribute(tap="up.0")
    changed = sample_edited(h_space(model, tap="up.0"), [above], u, times)
    assert (changed - sample_edited(h_space(model), [attribute()], u, times)).abs().max() > 1e-3
    with pytest.raises(ValueError, match="of h at up"):
        sample_edited(h_space(model), [above], u, times)
    with pytest.raises(ValueError, match="must be of one tap, found middle, up"):
        sample_edited(h_space(model), [above, attribute()], u, times)
    with pytest.raises(ValueError, match="no tap 'up'"):
        h_space(model, tap="up")

"""PDAE and DisDiff with small networks: the frozen half runs once and never changes, the codes steer, the tail is off."""

import math

import pytest
import torch
from torch import nn

from tts.diffusion import add_noise, denoising_loss, expand_like, initial_state, invert, sample, time_grid
from tts.diffusion.parametrization import LEAST_SIGNAL
from tts.errors import ModelError
from tts.image.base import BaseConfig, BaseModel
from tts.image.config import DiffusionConfig, ParametrizationKind, UNetConfig, Weighting
from tts.image.disdiff import ChangeSpace, DisDiff, DisDiffConfig, FactorLossConfig
from tts.image.first_stage import VqStage
from tts.image.frozen_path import FrozenPath, Once
from tts.image.guided import before_tail, tail_time
from tts.image.pdae import Pdae, PdaeConfig
from tts.image.registry import build_model, config_from_dict
from tts.image.stage_config import VqConfig
from tts.testing import seeded

UNET = UNetConfig(base=8, multipliers=(1, 2), attention=(False, True), heads=2, unshuffle=2, dropout=0.5)
SIZES = {"size": 16, "encoder_width": 8, "unet": UNET}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=4, seed=0):
    return torch.rand(n, 3, 16, 16, generator=generator(seed)) * 2 - 1


def pdae(weighting=Weighting.pdae, spread=0.1):
    config = PdaeConfig(**SIZES, n_units=4, diffusion=DiffusionConfig(shift=1.0, weighting=weighting))
    return seeded(lambda: Pdae(config), spread=spread)


def disdiff(weighting=Weighting.unit, spread=0.1, **factor_loss):
    diffusion = DiffusionConfig(shift=1.0, weighting=weighting)
    config = DisDiffConfig(**SIZES, n_units=3, unit_dim=2, diffusion=diffusion, factor_loss=FactorLossConfig(**factor_loss))
    return seeded(lambda: DisDiff(config), spread=spread)


class Count:
    """How often a function of a module was called."""

    def __init__(self, module, name, monkeypatch):
        self.n, self.function = 0, getattr(module, name)
        monkeypatch.setattr(module, name, self)

    def __call__(self, *arguments, **options):
        self.n += 1
        return self.function(*arguments, **options)


@pytest.mark.parametrize("make", [pdae, disdiff])
def test_the_frozen_network_runs_once_for_each_step_of_a_sampler_and_once_for_a_loss(make, monkeypatch):
    model, x = make(), images()
    encode, decode = Count(model.unet, "encode", monkeypatch), Count(model.unet, "decode", monkeypatch)
    heads = Count(model.gradients, "forward", monkeypatch)
    with torch.no_grad():
        sample(model.composite(model.encode(x)), images(seed=1), model.schedule, time_grid(model.schedule, 7), sampler="ddim")
    assert (encode.n, decode.n, heads.n) == (7, 7, 7)
    encode.n = decode.n = 0
    model.losses(x, None, generator())
    assert (encode.n, decode.n) == (1, 1)


@pytest.mark.parametrize("make", [pdae, disdiff])
def test_gradients_in_units_of_noise_are_sampled_from_where_their_errors_do_not_drown_the_image(make):
    model = make(Weighting.unit)
    assert model.schedule.alpha(model.grid(10)[:1]).item() == pytest.approx(LEAST_SIGNAL)
    assert make(Weighting.v).grid(10)[0] == 1  # errors of a velocity are not multiplied


def test_what_is_remembered_is_of_the_very_same_tensors_and_has_a_history_where_one_is_wanted():
    calls = []
    once = Once(lambda u, t: calls.append(u) or 2 * u, trained=False)
    with pytest.raises(RuntimeError, match="nothing was asked"):
        once.asked  # noqa: B018
    u, t = torch.ones(2, requires_grad=True), torch.ones(2)
    with torch.no_grad():
        assert once(u, t) is once(u, t)
    assert once(u, t).requires_grad
    assert once(u, t) is once(u, t)
    once(u.clone(), t)
    once(u, t.clone())
    assert len(calls) == 4


@pytest.mark.parametrize("weighting", [Weighting.pdae, Weighting.v, Weighting.unit])
@pytest.mark.parametrize("make", [pdae, disdiff])
def test_untrained_heads_add_nothing_so_the_loss_is_the_weighted_loss_of_the_base(make, weighting):
    model, x = make(weighting, spread=0.0), images()
    nn.init.normal_(model.unet.up.head.weight, std=0.1, generator=generator())
    found = model.losses(x, None, generator(3))["denoising"]
    draws = generator(3)
    t, eps = model.draw(x, draws)
    alpha, sigma = expand_like(model.schedule.alpha(t), x), expand_like(model.schedule.sigma(t), x)
    u = add_noise(x, eps, alpha, sigma)
    weight = {Weighting.pdae: sigma**1.8 * alpha**0.2, Weighting.v: alpha**-2, Weighting.unit: torch.ones_like(alpha)}[
        weighting
    ]
    s, q = 0.5, (alpha**2 * 0.25 + sigma**2).sqrt()
    base = sigma * u / q**2 - alpha * s / q * model.unet(u, t)  # preconditioned, the data's deviation .5
    torch.testing.assert_close(found, (weight * (eps - base) ** 2).mean(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [pdae, disdiff])
def test_the_frozen_network_gets_no_gradient_and_no_step_changes_it_even_in_training_mode(make):
    model, x = make().train(), images()
    before = {name: value.clone() for name, value in model.unet.state_dict().items()}
    moving = model.parameters_of("main")
    optimizer = torch.optim.Adam(moving, lr=0.1)
    for i in range(2):
        optimizer.zero_grad()
        sum(model.losses(x, None, generator(i)).values()).backward()
        optimizer.step()
    assert all(parameter.grad is None for parameter in model.unet.parameters())
    assert not {id(parameter) for parameter in model.unet.parameters()} & {id(parameter) for parameter in moving}
    assert all(torch.equal(value, before[name]) for name, value in model.unet.state_dict().items())
    t = torch.full((4,), 0.5)
    assert torch.equal(model.unet(x, t), model.unet(x, t))  # no dropout
    assert all(parameter.grad is not None for parameter in model.factors.parameters())


@pytest.mark.parametrize("kind", ["uniform", "quadratic", "log_snr"])
@pytest.mark.parametrize("n_steps", [10, 30, 1000])
def test_the_gradients_are_off_in_the_last_30_percent_of_the_steps_which_end_at_the_data(kind, n_steps, monkeypatch):
    model = pdae()
    times = time_grid(model.schedule, n_steps, kind)
    weight = before_tail(1.0, tail_time(times, 0.3))
    on = [weight(torch.full((2,), t, dtype=torch.float32)).tolist() for t in times[:-1].tolist()]
    assert on == [[1.0, 1.0]] * round(0.7 * n_steps) + [[0.0, 0.0]] * round(0.3 * n_steps)


def test_on_a_uniform_grid_the_tail_of_30_percent_of_the_steps_is_all_times_up_to_three_tenths(monkeypatch):
    model, x = pdae(), images()
    times = time_grid(model.schedule, 10)
    assert tail_time(times, 0.3) == pytest.approx(0.3)
    assert tail_time(times, 0.0) == 0
    heads = Count(model.gradients, "forward", monkeypatch)
    with torch.no_grad():
        z, noise = model.encode(x), images(seed=1)
        out = sample(model.composite(z, tail=0.3), noise, model.schedule, times, sampler="ddim")
        assert heads.n == 7
        middle = sample(model.composite(z), noise, model.schedule, times[:8], sampler="ddim")
        torch.testing.assert_close(out, sample(model.composite(None), middle, model.schedule, times[7:], sampler="ddim"))
    with pytest.raises(ValueError, match="tail must be"):
        model.composite(z, tail=1.0)
    with pytest.raises(ValueError, match="share must be"):
        tail_time(times, 1.0)


def test_velocity_weighting_takes_the_heads_output_for_an_increment_of_the_velocity():
    x, t = images(), torch.tensor([0.1, 0.5, 0.9, 1.0])
    noise, velocity = disdiff(Weighting.unit), disdiff(Weighting.v)
    path, factor = FrozenPath(noise.unet), torch.arange(3).expand(4, -1)
    arguments = (path.encoded(x, t), noise.encode(x), factor, t)
    alpha = noise.schedule.alpha(t)[:, None, None, None, None]
    torch.testing.assert_close(velocity.increments(*arguments), alpha * noise.increments(*arguments))


def test_swapping_every_factor_gives_the_targets_code_and_its_denoiser():
    model, x = disdiff(), images()
    z = model.encode(x)
    source, target, u, t = z[:2], z[2:], images(2, seed=5), torch.tensor([0.3, 0.8])
    swapped = source.clone()
    for c in range(3):
        assert not torch.equal(swapped, target)
        swapped[:, c] = target[:, c]
    assert torch.equal(swapped, target)
    torch.testing.assert_close(model.composite(swapped)(u, t), model.composite(target)(u, t))
    one = source.clone()
    one[:, 1] = target[:, 1]
    increments = [model.composite(one, factors=[c])(u, t) - model.composite(None)(u, t) for c in range(3)]
    expected = [
        model.composite(z, factors=[c])(u, t) - model.composite(None)(u, t) for c, z in enumerate((source, target, source))
    ]
    torch.testing.assert_close(increments, expected)
    torch.testing.assert_close(model.composite(one)(u, t), model.composite(None)(u, t) + sum(expected), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="factors must be in 0 to 2"):
        model.composite(one, factors=[3])


def test_a_batch_equals_its_singles():
    for model in (pdae(), disdiff()):
        x, t = images(), torch.tensor([0.1, 0.4, 0.7, 1.0])
        together = model.composite(model.encode(x))(images(seed=1), t)
        for i in range(4):
            alone = model.composite(model.encode(x[i : i + 1]))(images(seed=1)[i : i + 1], t[i : i + 1])
            torch.testing.assert_close(alone[0], together[i], rtol=1e-4, atol=1e-5)


def test_inversion_and_sampling_lead_back_to_the_image():
    model, x = pdae(spread=0.01), images()
    times = time_grid(model.schedule, 6, start=0.9)
    composite = model.composite(model.encode(x))
    with torch.no_grad():
        noise = invert(composite, x, model.schedule, times, fixed_point_iterations=30)
        torch.testing.assert_close(sample(composite, noise, model.schedule, times, sampler="ddim"), x, rtol=0, atol=5e-3)


def test_the_factor_loss_is_ln_n_before_anything_moves_and_weighs_nothing_then():
    model, x = disdiff(spread=0.0), images(8)
    t, eps = model.draw(x, generator())
    path = FrozenPath(model.unet)
    path.encoded(x + eps, t)
    found, change = model.factor_change(path, model.encode(x), generator())
    torch.testing.assert_close(found.invariant, torch.full((8,), math.log(3)))
    torch.testing.assert_close(found.variant, torch.full((8,), math.log(3)))
    assert change.abs().max() == 0


@pytest.mark.parametrize("change", list(ChangeSpace))
@pytest.mark.parametrize("detach", [True, False])
def test_the_factor_loss_trains_the_gradients_and_reaches_the_encoder_only_where_codes_are_not_detached(detach, change):
    model, x = disdiff(detach_codes=detach, change=change), images()
    losses = model.losses(x, None, generator())
    (losses["invariant"] + losses["variant"]).backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in model.gradients.parameters())
    reached = [p.grad is not None and bool(p.grad.abs().max() > 0) for p in model.factors.parameters()]
    assert any(reached) is not detach


class LatentDisDiff(DisDiff):
    """DisDiff in the latents of a small VQ stage, 8 x 8 for images of 16 x 16."""

    def __init__(self, config):
        super().__init__(config)
        self.stage = VqStage(VqConfig(width=4, multipliers=(1,), n_codes=8)).requires_grad_(False)

    def state(self, x):
        return self.stage.encode(x)

    def estimate(self, y):
        return self.stage.decode(y)


def test_in_latents_the_codes_are_read_off_decoded_estimates_and_the_first_stage_stays_as_it_is(monkeypatch):
    config = DisDiffConfig(**SIZES, n_units=3, unit_dim=2, diffusion=DiffusionConfig(shift=1.0))
    model, x = seeded(lambda: LatentDisDiff(config), spread=0.1), images()
    decode, read = Count(model.stage, "decode", monkeypatch), Count(model.factors, "forward", monkeypatch)
    losses = model.losses(x, None, generator())
    assert (decode.n, read.n) == (2, 3)  # both estimates; their codes and the image's own
    sum(losses.values()).backward()
    assert all(parameter.grad is None for parameter in model.stage.parameters())
    assert any(parameter.grad.abs().max() > 0 for parameter in model.gradients.parameters() if parameter.grad is not None)
    u = torch.randn(4, 3, 8, 8, generator=generator())
    with torch.no_grad():
        y = sample(model.composite(model.encode(x)), u, model.schedule, time_grid(model.schedule, 3))
    assert model.estimate(y).shape == x.shape


def test_the_share_of_batches_with_the_factor_loss_changes_its_cost_and_not_its_mean():
    always, seldom, never, x = disdiff(), disdiff(share=0.25), disdiff(weight=0.0), images()
    full = always.losses(x, None, generator(1))["invariant"].item()
    found = [seldom.losses(x, None, generator(seed)) for seed in range(40)]
    measured = [losses["invariant"].item() for losses in found if "invariant" in losses]
    assert 4 <= len(measured) <= 16  # 10 expected, deviation 2.7
    one = next(seed for seed, losses in enumerate(found) if "invariant" in losses)
    assert found[one]["invariant"].item() == pytest.approx(4 * always.losses(x, None, generator(one))["invariant"].item())
    assert full > 0
    assert list(never.losses(x, None, generator())) == ["denoising"]


def test_a_relative_factor_loss_weighs_lambda_in_the_mean_however_far_gradients_move(monkeypatch):
    x = images()
    plain, relative, still = disdiff(weight=0.3), disdiff(weight=0.3, relative=True), disdiff(relative=True, spread=0.0)
    changes, factor_change = [], DisDiff.factor_change

    def spy(self, *arguments):
        found = factor_change(self, *arguments)
        changes.append(found[1])
        return found

    monkeypatch.setattr(DisDiff, "factor_change", spy)
    a, b = (model.losses(x, None, generator(2)) for model in (plain, relative))
    assert torch.equal(*changes) and len(set(changes[0].tolist())) == 4
    for name in ("invariant", "variant"):
        torch.testing.assert_close(b[name], a[name] / changes[0].mean())
    assert still.losses(x, None, generator())["invariant"] == 0


def test_a_trained_base_is_taken_over_and_another_kind_of_base_refused():
    config = BaseConfig(size=16, unet=UNET, diffusion=DiffusionConfig(shift=1.0, weighting=Weighting.v))
    base = seeded(lambda: BaseModel(config), spread=0.1)
    base.measure(images(seed=7))
    model, u, t = pdae(), images(seed=3), torch.tensor([0.1, 0.4, 0.7, 1.0])
    model.take_base(base)
    torch.testing.assert_close(model.composite(None)(u, t), base.composite(None)(u, t))
    spread = model.data_std.clone()
    model.measure(0.1 * images())
    assert torch.equal(model.data_std, spread)  # it is the base's
    for other in ({"parametrization": ParametrizationKind.v}, {"shift": 4.0}):
        wrong = BaseModel(BaseConfig(size=16, unet=UNET, diffusion=DiffusionConfig(**{"shift": 1.0, **other})))
        with pytest.raises(ModelError, match=r"diffusion: .* here "):
            model.take_base(wrong)


@pytest.mark.parametrize("kind", ["pdae", "disdiff"])
def test_the_registry_builds_the_models_and_the_unknown_phase_is_refused(kind):
    unet = {"base": 8, "multipliers": [1], "attention": [False], "unshuffle": 2}
    model = build_model(config_from_dict({"kind": kind, "size": 16, "encoder_width": 8, "unet": unet}))
    assert model.encode(images()).shape == (4, *{"pdae": (32, 1), "disdiff": (6, 32)}[kind])
    with pytest.raises(ValueError, match="unknown phase"):
        model.losses(images(), None, generator(), phase="other")


def test_the_loss_of_a_head_falls_and_other_images_codes_cost_more():
    model = seeded(lambda: Pdae(PdaeConfig(**SIZES, n_units=4, diffusion=DiffusionConfig(shift=4.0, weighting=Weighting.v))))
    x = torch.tensor([[1.0, -1, 1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1]])[:, :, None, None].expand(-1, -1, 16, 16).contiguous()
    optimizer = torch.optim.Adam(model.parameters_of("main"), lr=3e-3)
    for i in range(60):
        optimizer.zero_grad()
        model.losses(x, None, generator(i))["denoising"].backward()
        optimizer.step()
    with torch.no_grad():
        t, eps = model.draw(x.repeat(8, 1, 1, 1), generator(99))
        many, z = x.repeat(8, 1, 1, 1), model.encode(x).repeat(8, 1, 1)
        own, others, none = (
            denoising_loss(model.composite(codes), many, t, eps, weighting="v").mean() for codes in (z, z.roll(1, 0), None)
        )
        assert own < others
        u = initial_state(model.schedule, 1.0, torch.randn(4, 3, 16, 16, generator=generator()))
        guided = sample(model.composite(model.encode(x)), u, model.schedule, time_grid(model.schedule, 10), sampler="ddim")
    assert (guided.mean((2, 3)).sign() == x[:, :, 0, 0]).float().mean() > 0.8
    assert own < none

"""The isometry term of the base model's training: when it is there, on which states, with what weight, and what it does."""

import dataclasses

import pytest
import torch

from tts.config import to_dict
from tts.errors import ConfigError
from tts.image.base import BaseConfig, BaseModel
from tts.image.config import DiffusionConfig, TimesKind, UNetConfig
from tts.image.encdiff import EncDiffConfig
from tts.image.geometry.hspace import encoder_half
from tts.image.geometry.isometry import isometry_loss
from tts.image.geometry.scores import h_map, mean_scores, time_scores
from tts.image.infodiffusion import InfoDiffusionConfig
from tts.image.isometric import IsometryConfig, isometry_term
from tts.image.pdae import PdaeConfig
from tts.image.registry import build_model, config_from_dict
from tts.testing import seeded
from tts.training.isometry import balanced_weight

TINY = UNetConfig(base=8, multipliers=(1,), attention=(True,), heads=1, unshuffle=2)
SHAPE = (1, 8, 8)
EVERY_BATCH = IsometryConfig(weight=2.0, lazy=1, share=1.0, t_from=0.0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tiny(isometry=EVERY_BATCH):
    return seeded(lambda: BaseModel(BaseConfig(channels=1, size=8, unet=TINY, isometry=isometry)), spread=0.2)


def images(n=8):
    return torch.rand(n, *SHAPE, generator=generator()) * 2 - 1


def states(n=8):
    return torch.randn(n, *SHAPE, generator=generator(3))


def test_the_term_is_the_weighted_loss_of_the_first_states_of_late_times():
    unet, u = tiny().unet, states(8)
    t = torch.tensor([0.2, 0.9, 0.5, 0.1, 0.7, 0.8, 0.3, 1.0])
    config = dataclasses.replace(EVERY_BATCH, t_from=0.5, share=0.3)
    found = isometry_term(unet, u, t, config, generator())
    draws = generator()
    torch.rand((), generator=draws)  # the coin
    late = [1, 2, 4]  # ceil(.3 * 8) of those from .5 on
    assert found.item() == pytest.approx(2 * isometry_loss(encoder_half(unet, t[late]), u[late], draws).item(), rel=1e-5)
    assert isometry_term(unet, u, torch.full((8,), 0.4), config, generator()) is None


def test_one_batch_in_four_has_it_four_times_as_heavy():
    unet, u, t = tiny().unet, states(2), torch.tensor([0.6, 0.9])
    lazy, draw = dataclasses.replace(EVERY_BATCH, lazy=4), generator(1)
    made = [isometry_term(unet, u, t, lazy, draw) for _ in range(80)]
    assert 10 <= sum(term is not None for term in made) <= 30
    seed = next(s for s in range(50) if torch.rand((), generator=generator(s)) < 0.25)
    heavy, plain = (isometry_term(unet, u, t, config, generator(seed)) for config in (lazy, EVERY_BATCH))
    assert heavy.item() == pytest.approx(4 * plain.item())


def test_without_a_weight_nothing_changes_and_with_one_the_denoising_loss_is_still_the_same():
    x = images()
    plain = tiny(IsometryConfig()).losses(x, None, generator())
    both = tiny().losses(x, None, generator())
    assert list(plain) == ["denoising"] and list(both) == ["denoising", "isometry"]
    assert torch.equal(plain["denoising"], both["denoising"])


def test_the_term_moves_the_encoder_half_alone_and_lowers_its_own_loss():
    model, x = tiny(), images()
    model.losses(x, None, generator())["isometry"].backward()
    assert model.unet.stem.weight.grad.norm() > 1e-4
    assert all(p.grad is None for p in model.unet.up.parameters())
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    before = model.losses(x, None, generator())["isometry"].item()
    for step in range(20):
        optimizer.zero_grad()
        model.losses(x, None, generator(step))["isometry"].backward()
        optimizer.step()
    assert model.losses(x, None, generator())["isometry"].item() < 0.8 * before


def test_the_balanced_weight_makes_the_two_gradients_of_the_encoder_half_as_long_as_asked():
    model, x = tiny(), images()
    weight = balanced_weight(model, x, 0.1, generator())
    config = dataclasses.replace(EVERY_BATCH, weight=weight)
    model.config = dataclasses.replace(model.config, isometry=config)
    losses = model.losses(x, None, generator())
    norms = []
    for loss in losses.values():
        model.zero_grad()
        loss.backward(retain_graph=True)
        encoder = [p.grad for name, p in model.unet.named_parameters() if not name.startswith("up.") and p.grad is not None]
        norms.append(torch.cat([g.flatten() for g in encoder]).norm().item())
    assert norms[1] / norms[0] == pytest.approx(0.1, rel=1e-3)
    for ratio in (0.0, float("nan")):
        with pytest.raises(ValueError, match="ratio must be above 0"):
            balanced_weight(model, x, ratio, generator())
    model.config = dataclasses.replace(model.config, isometry=IsometryConfig(t_from=0.999))
    with pytest.raises(ValueError, match="none of 8 times drawn"):
        balanced_weight(model, x, 0.1, generator())


def test_times_that_follow_the_loss_learn_nothing_of_the_balancing_so_that_a_control_sees_the_same_times():
    gap = DiffusionConfig(times=TimesKind.gap)
    model, x = seeded(lambda: BaseModel(BaseConfig(channels=1, size=8, unet=TINY, diffusion=gap)), spread=0.2).train(), images()
    balanced_weight(model, x, 0.1, generator())
    assert model.times.mean_loss.isnan().all()
    model.losses(x, None, generator())
    assert not model.times.mean_loss.isnan().all()


def test_it_is_part_of_the_configuration_and_an_old_one_has_none_of_it():
    config = BaseConfig(isometry=EVERY_BATCH)
    values = to_dict(config)
    assert config_from_dict(values) == config
    del values["isometry"]
    assert config_from_dict(values).isometry.weight == 0
    for changes, key in (
        ({"weight": -1.0}, "weight"),
        ({"t_from": 1.0}, "t_from"),
        ({"lazy": 0}, "lazy"),
        ({"share": 0.0}, "share"),
    ):
        with pytest.raises(ConfigError, match=rf"model\.isometry\.{key}"):
            IsometryConfig(**changes)
    with pytest.raises(ConfigError, match=r"model\.unet\.dropout: found 0.1"):
        BaseConfig(unet=dataclasses.replace(TINY, dropout=0.1), isometry=EVERY_BATCH)


@pytest.mark.parametrize(
    ("config", "codes"),
    [
        (BaseConfig(channels=1, size=8, unet=TINY), 0),
        (EncDiffConfig(channels=1, size=8, unet=TINY, n_units=3, encoder_width=4, token_hidden=(4,), token_dim=4), 3),
        (InfoDiffusionConfig(channels=1, size=8, unet=TINY, n_units=3, encoder_width=4), 3),
        (PdaeConfig(channels=1, size=8, unet=TINY, n_units=3, encoder_width=4), 3),
    ],
    ids=["ddpm", "encdiff", "infodiffusion", "pdae"],
)
def test_the_encoder_half_of_every_kind_of_model_is_the_one_its_denoiser_runs(config, codes):
    model = seeded(lambda: build_model(config), spread=0.2).eval()
    u, z = states(2), torch.randn(2, codes, config.unit_dim, generator=generator()) if codes else None
    h = h_map(model, torch.tensor([0.4, 0.8]), z)(u)
    seen = []
    handle = model.unet.middle.register_forward_hook(lambda module, arguments, out: seen.append(out))
    model.composite(z)(u, torch.tensor([0.4, 0.8]))
    handle.remove()
    assert torch.equal(seen[0], h)


def test_a_model_that_is_always_told_a_code_needs_one_and_infodiffusion_has_an_encoder_half_without():
    encdiff = EncDiffConfig(channels=1, size=8, unet=TINY, n_units=3, encoder_width=4, token_hidden=(4,), token_dim=4)
    with pytest.raises(ValueError, match=r"of encdiff is told a code\. Give z"):
        h_map(build_model(encdiff), 0.5)
    info = build_model(InfoDiffusionConfig(channels=1, size=8, unet=TINY, n_units=3, encoder_width=4))
    assert h_map(info, 0.5)(states(2)).shape == (2, 8, 4, 4)


def test_the_scores_of_a_model_are_repeatable_and_within_their_ranges():
    model, (a, b) = tiny().eval(), (states(3), torch.randn(3, *SHAPE, generator=generator(4)))
    found, again = (
        mean_scores([time_scores(model, (a, b), generator(), t, steps=3, parts=4) for t in (1.0, 0.5)]) for _ in range(2)
    )
    assert found == again
    assert found.mrtl >= 1 and found.mcn >= 1 and found.vor > 0 and found.vor_sorted > 0
    assert found.dimension == 63 and 0 < found.isometry < 62  # 8 x 8 pixels on a sphere; h has 8 channels of 4 x 4
    assert 1.05 < found.mrtl_ideal < 1.15

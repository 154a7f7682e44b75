"""First stages: shapes, scale, straight-through gradients, losses worked out by hand, the two phases of the game."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from tts.config import from_dict, to_dict
from tts.errors import ConfigError
from tts.image.first_stage import IdentityStage, KlStage, VqStage, build_stage
from tts.image.stage_config import STAGE_CONFIGS, AutoencoderConfig, IdentityConfig, KlConfig, StageKind, VqConfig
from tts.image.stage_losses import adaptive_weight, frozen_scores, hinge_discriminator_loss
from tts.nets.autoencoder import PatchDiscriminator
from tts.nets.perceptual import FeatureDistance
from tts.testing import seeded

TINY = {"width": 4, "multipliers": (1, 2), "blocks": 1, "latent_channels": 3}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=2, size=16, seed=1):
    return torch.rand(n, 3, size, size, generator=generator(seed)) * 2 - 1


def vq(**options):
    return seeded(lambda: VqStage(VqConfig(**{**TINY, "n_codes": 8, **options})))


def kl(**options):
    return seeded(lambda: KlStage(KlConfig(**{**TINY, **options})))


@pytest.mark.parametrize("stage", [IdentityStage(IdentityConfig()), vq(), kl(), vq(multipliers=(1,)), kl(latent_channels=2)])
def test_a_stage_goes_to_its_latents_and_back_and_a_batch_equals_its_singles(stage):
    x = images(3)
    y = stage.encode(x)
    assert y.shape == (3, stage.latent_channels, 16 // stage.factor, 16 // stage.factor)
    assert stage.decode(y).shape == x.shape
    assert torch.equal(stage.encode(x), y)
    for i in range(3):
        torch.testing.assert_close(stage.decode(stage.encode(x[i : i + 1]))[0], stage.decode(y)[i], rtol=0, atol=1e-5)


def test_the_identity_is_the_identity():
    stage = IdentityStage(IdentityConfig())
    assert torch.equal(stage.decode(stage.encode(images())), images()) and stage.scale == 1


@pytest.mark.parametrize("make", [vq, kl])
def test_the_scale_makes_the_latents_of_unit_spread_changes_no_image_and_is_saved(make):
    stage = make()
    before = stage.decode(stage.encode(images(8)))
    stage.measure(images(8))
    assert stage.encode(images(8)).std(correction=0).item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(stage.decode(stage.encode(images(8))), before, rtol=0, atol=1e-5)
    other = make()
    other.load_state_dict(stage.state_dict())
    assert other.scale == stage.scale != 1


def test_latents_are_quantised_where_images_are_finished_alone():
    stage = vq()
    stage.codebook.start(torch.randn(64, 3, generator=generator()), generator())
    y = stage.encode(images())
    assert torch.equal(y, stage.encoder(images()))
    torch.testing.assert_close(stage.decode(y), stage.decoder(y))
    quantized = stage.quantize(y).movedim(1, -1).flatten(0, -2)
    assert (quantized[:, None] - stage.codebook.vectors).abs().sum(-1).min(1).values.max() < 1e-5
    torch.testing.assert_close(stage.finish(y), stage.decoder(stage.quantize(y)))
    assert (stage.finish(y) - stage.decode(y)).abs().max() > 1e-4


def test_the_gradient_of_the_quantiser_is_the_identity():
    stage = vq()
    stage.codebook.start(torch.randn(64, 3, generator=generator()), generator())
    latents = torch.randn(2, 3, 4, 4, generator=generator(2)).requires_grad_()
    weight = torch.randn(2, 3, 4, 4, generator=generator(3))
    (stage.quantize(latents) * weight).sum().backward()
    assert torch.equal(latents.grad, weight)


def test_the_commitment_is_the_mean_squared_distance_to_the_nearest_code_and_pulls_the_latents_there():
    stage = vq(commitment=0.5)
    stage.codebook.vectors.zero_()
    stage.codebook.vectors[0] = torch.tensor([1.0, 2.0, 3.0])
    stage.codebook.vectors[1:] = 100.0
    encoded = torch.zeros(1, 3, 2, 2, requires_grad=True)
    _, losses = stage._through(encoded, generator())
    assert losses["commitment"].item() == pytest.approx(0.5 * 14 / 3)  # (1 + 4 + 9) / 3
    losses["commitment"].backward()
    # d/dl of .5 mean (l - c)^2 over 12 numbers = -c / 12
    torch.testing.assert_close(encoded.grad[0, :, 0, 0], -torch.tensor([1.0, 2.0, 3.0]) / 12)


def test_the_codebook_learns_in_training_alone():
    stage = vq()
    stage.eval().losses(images(), None, generator())
    assert stage.codebook.is_empty
    stage.train().losses(images(), None, generator())
    assert not stage.codebook.is_empty
    learned = stage.codebook.vectors.clone()
    stage.eval().losses(images(seed=5), None, generator())
    assert torch.equal(stage.codebook.vectors, learned)
    stage.train().losses(images(seed=5), None, generator())
    assert not torch.equal(stage.codebook.vectors, learned)


def test_the_divergence_is_that_of_torch_and_counts_per_number_of_the_image():
    draw = generator(4)
    mean, log_variance = torch.randn(2, 3, 4, 4, generator=draw), torch.randn(2, 3, 4, 4, generator=draw)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
    stage = kl(kl=1.0)
    _, losses = stage._through(torch.cat((mean, log_variance), 1), generator())
    assert losses["kl"].item() == pytest.approx(expected.sum().item() / (2 * 3 * 16 * 16), rel=1e-5)


def test_a_kl_stage_decodes_a_draw_in_training_and_the_mean_in_use():
    stage = kl()
    encoded = torch.cat((torch.full((1, 3, 50, 50), 2.0), torch.full((1, 3, 50, 50), math.log(0.25))), 1)
    drawn, _ = stage._through(encoded, generator())
    assert drawn.mean().item() == pytest.approx(2, abs=0.02) and drawn.std().item() == pytest.approx(0.5, abs=0.02)
    assert torch.equal(stage.encode(images()), stage.encoder(images())[:, :3])
    one, other = (stage.losses(images(), None, generator(seed))["reconstruction"] for seed in (0, 1))
    assert one != other and one == stage.losses(images(), None, generator(0))["reconstruction"]


def test_the_reconstruction_is_the_mean_absolute_difference():
    stage = vq()
    x = images()
    expected = (stage.decoder(stage.quantize(stage.encoder(x))) - x).abs().mean()
    losses = stage.losses(x, None, generator())
    assert set(losses) == {"reconstruction", "commitment"}
    torch.testing.assert_close(losses["reconstruction"], expected)


def test_the_perceptual_term_is_weighted_and_its_network_is_no_part_of_the_stage():
    network = seeded(lambda: torch.nn.Conv2d(3, 4, 3))
    config = VqConfig(**TINY, n_codes=8, perceptual=2.0)
    stage = seeded(lambda: VqStage(config))
    x = images()
    with pytest.raises(ValueError, match="no features were given"):
        stage.losses(x, None, generator())
    stage.take_features(lambda x: [network(x)])
    decoded = stage.decoder(stage.quantize(stage.encoder(x)))
    expected = 2 * FeatureDistance(lambda a: [network(a)])(decoded, x).mean()
    torch.testing.assert_close(stage.losses(x, None, generator())["perceptual"], expected)
    stage.take_features(network)
    assert set(stage.state_dict()) == set(vq().state_dict())
    assert len(list(copy.deepcopy(stage).modules())) == len(list(vq().modules()))


def test_the_hinge_losses_by_hand():
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-2.0, 0.0])
    # of the real ones 0, .5 and 2 are missing to 1, of the made ones 0 and 1 to -1
    assert hinge_discriminator_loss(real, fake).item() == pytest.approx((2.5 / 3 + 0.5) / 2)


def test_the_adaptive_weight_is_the_ratio_of_the_gradients_at_the_last_layer():
    last = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
    weight = adaptive_weight((last * torch.tensor([3.0, 4.0])).sum(), (last * torch.tensor([0.0, 0.5])).sum(), last)
    assert weight.item() == pytest.approx(10, rel=1e-5) and not weight.requires_grad
    assert adaptive_weight(torch.tensor(2.0), torch.tensor(3.0), last) == 1
    assert adaptive_weight(last.sum(), 0 * last.sum(), last) == 1e4


def test_in_the_main_phase_the_discriminator_gets_no_gradient_and_both_losses_pull_equally_at_the_head():
    stage = kl(adversarial=0.75).train()
    assert stage.phases == ("main", "discriminator")
    losses = stage.losses(images(), None, generator())
    head = stage.decoder.head.weight
    pull = {name: torch.autograd.grad(losses[name], head, retain_graph=True)[0].norm() for name in losses if name != "kl"}
    assert (pull["adversarial"] / pull["reconstruction"]).item() == pytest.approx(0.75, rel=1e-3)
    sum(losses.values()).backward()
    assert all(p.grad is None for p in stage.parameters_of("discriminator"))
    assert all(p.grad is not None for p in stage.parameters_of("main"))


def test_in_the_phase_of_the_discriminator_it_alone_learns_to_tell():
    stage = vq(adversarial=0.75).train()
    losses = stage.losses(images(), None, generator(), phase="discriminator")
    assert set(losses) == {"discriminator"} and stage.codebook.is_empty
    losses["discriminator"].backward()
    assert all(p.grad is None for p in stage.parameters_of("main"))
    optimizer = torch.optim.Adam(stage.parameters_of("discriminator"), 1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        loss = stage.losses(images(), None, generator(), phase="discriminator")["discriminator"]
        loss.backward()
        optimizer.step()
    assert loss < losses["discriminator"] - 0.1


def test_the_phases_share_out_all_parameters():
    stage = kl(adversarial=1.0)
    parts = [id(p) for phase in stage.phases for p in stage.parameters_of(phase)]
    assert sorted(parts) == sorted(id(p) for p in stage.parameters())
    assert kl().phases == ("main",)
    for call in (kl().parameters_of, lambda phase: kl().losses(images(), None, generator(), phase=phase)):
        with pytest.raises(ValueError, match="Phases of this stage: main"):
            call("discriminator")


def test_scores_with_a_frozen_discriminator_are_its_scores_and_send_the_gradient_to_the_image():
    discriminator, x = seeded(lambda: PatchDiscriminator(3, 4)), images().requires_grad_()
    scores = frozen_scores(discriminator, x)
    assert scores.shape == (2, 1, 4, 4) and torch.equal(scores, discriminator(x))
    scores.sum().backward()
    assert x.grad.abs().max() > 0 and all(p.grad is None for p in discriminator.parameters())


@pytest.mark.parametrize("make", [vq, kl])
def test_some_steps_of_training_halve_the_error_of_a_batch(make):
    stage, x = make(width=8).train(), F.interpolate(images(4, 4), 16)
    optimizer = torch.optim.Adam(stage.parameters(), 1e-2)
    errors = []
    for step in range(60):
        optimizer.zero_grad()
        losses = stage.losses(x, None, generator(step))
        sum(losses.values()).backward()
        optimizer.step()
        errors.append(losses["reconstruction"].item())
    assert errors[-1] < errors[0] / 2


@pytest.mark.parametrize("kind", StageKind)
def test_a_stage_is_built_from_its_stored_configuration(kind):
    config = STAGE_CONFIGS[kind]()
    assert config.kind is kind
    again = from_dict(STAGE_CONFIGS[kind], to_dict(config))
    assert again == config and build_stage(again).config == config


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VqConfig(n_codes=1), "stage.n_codes: found 1"),
        (lambda: VqConfig(decay=1.0), "stage.decay"),
        (lambda: VqConfig(width=6), "found width 6"),
        (lambda: KlConfig(multipliers=(1,) * 9), "9 levels"),
        (lambda: KlConfig(kl=-1.0), "stage.kl"),
        (lambda: KlConfig(adversarial=float("nan")), "stage.adversarial"),
        (lambda: IdentityConfig(channels=0), "stage.channels"),
    ],
)
def test_a_configuration_out_of_range_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_what_is_no_first_stage_and_images_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="no first stage"):
        build_stage(AutoencoderConfig(kind=StageKind.vq))
    with pytest.raises(ValueError, match="multiples of 4, found"):
        vq().encode(torch.zeros(1, 3, 18, 16))

"""The discriminator of FactorVAE: a density ratio with a known answer, and gradients that stay where they belong."""

import math

import pytest
import torch

from tts.image.factor_vae import FactorVae, discriminator_loss
from tts.image.vae_config import FactorVaeConfig
from tts.image.vae_terms import permute_units


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make_model():
    torch.manual_seed(0)
    return FactorVae(FactorVaeConfig(size=8, width=4, hidden=16, discriminator_width=16, discriminator_layers=2))


def moved(model, loss):
    """The names of the networks whose parameters the loss has a gradient for."""
    model.zero_grad()
    loss.backward()
    return {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


def test_the_loss_of_hand_made_logits_is_known():
    assert discriminator_loss(torch.zeros(4, 1), torch.zeros(4, 1)).item() == pytest.approx(math.log(2))
    sure = torch.full((4, 1), math.log(3))  # a probability of 3/4
    assert discriminator_loss(sure, -sure).item() == pytest.approx(math.log(4 / 3))
    assert discriminator_loss(sure, sure).item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


def test_the_best_logit_is_the_log_density_ratio_of_a_correlated_gaussian():
    # ln q(z) - ln q(z_0) q(z_1) = -ln(1 - r^2) / 2 + (r z_0 z_1 - r^2 (z_0^2 + z_1^2) / 2) / (1 - r^2)
    r = 0.6
    z = torch.randn(30000, 2, generator=generator(), dtype=torch.float64)
    z = torch.stack((z[:, 0], r * z[:, 0] + math.sqrt(1 - r**2) * z[:, 1]), dim=1)
    joint, permuted = (
        torch.stack((torch.ones(len(c), dtype=c.dtype), c[:, 0] * c[:, 1], c.square().sum(1)), dim=1)
        for c in (z, permute_units(z, generator(1)))
    )
    weights = torch.zeros(3, dtype=z.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def step():
        optimizer.zero_grad()
        loss = discriminator_loss(joint @ weights, permuted @ weights)
        loss.backward()
        return loss

    optimizer.step(step)
    expected = [-math.log(1 - r**2) / 2, r / (1 - r**2), -(r**2) / (2 * (1 - r**2))]
    assert weights.tolist() == pytest.approx(expected, abs=0.05)
    total_correlation = -math.log(1 - r**2) / 2
    assert (joint @ weights).mean().item() == pytest.approx(total_correlation, abs=0.02)


def test_each_phase_moves_only_what_it_trains():
    model, x = make_model(), torch.rand(6, 3, 8, 8, generator=generator()) * 2 - 1
    assert model.phases == ("main", "discriminator")
    for phase, networks in (("main", {"encoder", "decoder"}), ("discriminator", {"discriminator"})):
        loss = sum(model.losses(x, None, generator(), phase=phase).values())
        assert moved(model, loss) == networks
        names = {id(p): name.split(".")[0] for name, p in model.named_parameters()}
        assert {names[id(p)] for p in model.parameters_of(phase)} == networks


def test_the_total_correlation_reaches_the_encoder_through_the_discriminator():
    model, x = make_model(), torch.rand(6, 3, 8, 8, generator=generator()) * 2 - 1
    losses = model.losses(x, None, generator())
    assert set(losses) == {"reconstruction", "kl", "total_correlation"}
    assert moved(model, losses["total_correlation"]) == {"encoder"}
    with torch.no_grad():
        model.discriminator.leave.weight.zero_()
        model.discriminator.leave.bias.fill_(0.25)
    assert model.losses(x, None, generator())["total_correlation"].item() == pytest.approx(20 * 0.25)


def test_an_unknown_phase_is_refused():
    with pytest.raises(ValueError, match=r"inhibition.*main, discriminator"):
        make_model().losses(torch.zeros(2, 3, 8, 8), None, generator(), phase="inhibition")
    with pytest.raises(ValueError, match="main, discriminator"):
        make_model().parameters_of("inhibition")

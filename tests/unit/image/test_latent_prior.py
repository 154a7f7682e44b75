"""The latent prior: exact where its network has nothing to add, learning where it has, nothing clipped."""

import pytest
import torch

from tts.errors import ConfigError, DataError
from tts.image.config import ParametrizationKind
from tts.image.latent_prior import LatentPrior, LatentPriorConfig


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def seeded(**options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LatentPrior(LatentPriorConfig(**options))


def test_the_schedule_has_a_constant_rate_and_ends_near_noise():
    schedule, t = seeded(n_units=2).schedule, torch.tensor([0.001, 0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(schedule.alpha(t) ** 2, 0.992 ** (1000 * t))


def test_untrained_it_draws_the_gaussian_of_the_codes_and_clips_nothing():
    prior = seeded(n_units=2, unit_dim=2, width=16, layers=2)
    z = 30 + torch.tensor([5.0, 0.2]) * torch.randn(500, 2, 2, generator=generator())
    z[:, 1, 1] = 4.0  # a number that never changes
    prior.measure(z)
    drawn = prior.sample(2000, generator(), steps=20)
    assert drawn.shape == (2000, 2, 2)
    standardised = (drawn - prior.mean) / prior.std
    assert standardised.mean((0, 1, 2)).abs() < 0.05 and standardised.abs().max() > 3
    torch.testing.assert_close(standardised.std(0), torch.ones(2, 2), rtol=0, atol=0.07)
    assert prior.std[1, 1] == 1 and prior.mean[1, 1] == 4


@pytest.mark.parametrize("kind", [ParametrizationKind.preconditioned, ParametrizationKind.eps])
def test_an_untrained_network_loses_one_and_a_short_training_finds_two_modes(kind):
    prior = seeded(n_units=1, width=32, layers=3, parametrization=kind)
    z = torch.randint(2, (512, 1, 1), generator=generator()) * 4.0 - 2 + 0.2 * torch.randn(512, 1, 1, generator=generator())
    prior.measure(z)
    assert prior.losses(z, generator())["denoising"].item() == pytest.approx(1, rel=0.1)
    if kind is ParametrizationKind.eps:
        return
    optimizer = torch.optim.Adam(prior.parameters(), lr=2e-3)
    for step in range(300):
        optimizer.zero_grad()
        prior.losses(z[torch.randperm(512, generator=generator(step))[:128]], generator(step))["denoising"].backward()
        optimizer.step()
    drawn = prior.eval().sample(500, generator(1), steps=20).flatten()
    near = ((drawn.abs() - 2).abs() < 0.7).float().mean()
    assert near > 0.8  # of the Gaussian with the same deviation 2 a quarter lies there
    assert 0.35 < (drawn > 0).float().mean() < 0.65
    assert torch.equal(prior.sample(4, generator(1)), prior.sample(4, generator(1)))


def test_codes_that_cannot_be_measured_are_refused():
    prior = seeded(n_units=1)
    with pytest.raises(DataError, match="at least 2 finite codes, found 1"):
        prior.measure(torch.zeros(1, 1, 1))
    with pytest.raises(DataError, match="finite"):
        prior.measure(torch.full((3, 1, 1), float("nan")))
    with pytest.raises(ConfigError, match=r"latent_prior\.layers: found 1"):
        LatentPriorConfig(n_units=1, layers=1)

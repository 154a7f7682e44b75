"""Denoising runs as actions: places in log-SNR, pieces of runs, and the exact case of Gaussian data."""

from itertools import pairwise

import pytest
import torch

from tts.diffusion import sample, time_grid, vp_linear
from tts.image.groups.config import HaeConfig, TransitionKind
from tts.image.groups.hae import HomomorphismAutoencoder
from tts.image.groups.trajectories import Trajectories, denoising_trajectories, report_steps
from tts.image.groups.transitions import StepRep
from tts.testing import seeded

SCHEDULE = vp_linear()
TIMES = time_grid(SCHEDULE, 10)


def gaussian(u, t):
    """The exact noise of data N(0, 0.09)."""
    alpha, sigma = (level[:, None, None, None] for level in (SCHEDULE.alpha(t), SCHEDULE.sigma(t)))
    return sigma * u / (0.09 * alpha**2 + sigma**2)


def noise(n=6, seed=0):
    return torch.randn(n, 1, 2, 2, generator=torch.Generator().manual_seed(seed))


def runs(**options):
    return denoising_trajectories(gaussian, noise(), SCHEDULE, TIMES, **options)


def test_observations_are_the_predictions_along_the_run_and_places_are_half_log_snr():
    found = runs()
    assert found.observations.shape == (6, 10, 1, 2, 2) and found.action_dim == 1
    states = [noise()]
    for t, s in pairwise(TIMES):
        states.append(sample(gaussian, states[-1], SCHEDULE, torch.stack([t, s]), sampler="ddim"))
    alpha, sigma = SCHEDULE.alpha(TIMES[:-1]), SCHEDULE.sigma(TIMES[:-1])
    for i, state in enumerate(states[:-1]):
        x0 = (0.09 * alpha[i] / (0.09 * alpha[i] ** 2 + sigma[i] ** 2)).float() * state
        torch.testing.assert_close(found.observations[:, i], x0.clamp(-1, 1), rtol=0, atol=1e-4)
    torch.testing.assert_close(found.places[0, :, 0], (alpha / sigma).log().float())


def test_guidance_moves_an_attribute_by_its_strength_times_the_change_of_log_snr():
    strengths = torch.tensor([[2.0, 0.0]] * 5 + [[-1.0, 0.5]])
    places = runs(strengths=strengths).places
    torch.testing.assert_close(places.diff(dim=1)[..., 1:], places.diff(dim=1)[..., :1] * strengths[:, None])
    assert (places[:, 0, 1:] == 0).all()


def test_pieces_are_of_one_run_in_order_and_their_actions_add_up():
    n, steps = 4, 9
    observations = torch.arange(n * steps).float().view(n, steps, 1, 1, 1)
    places = torch.cumsum(torch.rand(n, steps, 2, generator=torch.Generator().manual_seed(3)), dim=1)
    found = Trajectories(observations, places, reach=3)
    drawn = found.draw(300, 2, torch.Generator().manual_seed(0))
    index = drawn.observations.flatten(1).long()
    assert torch.equal(index // steps, (index // steps)[:, :1].expand(-1, 3))
    assert torch.equal(index.diff(dim=1), drawn.displacements[..., 0])
    assert set(drawn.displacements.flatten().tolist()) == {1, 2, 3}
    assert set((index % steps).flatten().tolist()) == set(range(steps))
    torch.testing.assert_close(drawn.actions, places.flatten(0, 1)[index].diff(dim=1))
    every = found.every(2, 3).observations.flatten(1).long()
    assert every.tolist() == [[r * steps + s, r * steps + s + 3, r * steps + s + 6] for r in range(n) for s in range(3)]
    assert found.runs(slice(1, 3)).observations.shape[0] == 2


def test_a_model_that_is_right_has_no_error_and_one_that_stays_has_that_of_staying():
    """Codes exp(-lambda) c of a run are moved by exp(-change of lambda): images are such that the first pixel is the code."""
    levels = torch.linspace(0, 2, 12).expand(5, -1)[..., None]
    start = torch.randn(5, 1, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    observations = start * torch.exp(-levels)[..., None, None] / 10
    held_out = Trajectories(observations, levels)
    config = HaeConfig(size=1, action_dim=1, blocks=(1,), transition=TransitionKind.steps, width=4, layers=1)
    hae = seeded(lambda: HomomorphismAutoencoder(config))
    hae.encoder = torch.nn.Identity()
    hae.transition.generators.data.fill_(-1.0)
    report = report_steps(hae, held_out)
    for k in (1, 2, 4, 8):
        assert max(report.rollout[k], report.jump[k], report.consistency[k]) < 1e-9 < report.still[k]
    hae.transition.generators.data.fill_(0.0)
    still = report_steps(hae, held_out)
    assert still.rollout == pytest.approx(still.still) and still.still == pytest.approx(report.still)


def test_only_a_group_is_consistent_between_one_jump_and_many_steps():
    found = runs()
    errors = {}
    for kind in (TransitionKind.steps, TransitionKind.free):
        config = HaeConfig(size=2, action_dim=1, blocks=(2, 2), transition=kind, width=8, phi_width=8)
        hae = seeded(lambda config=config: HomomorphismAutoencoder(config), spread=0.2)
        assert isinstance(hae.transition, StepRep) is (kind is TransitionKind.steps)
        errors[kind] = report_steps(hae, found).consistency[8]
    assert errors[TransitionKind.steps] < 1e-9 and errors[TransitionKind.free] > 1e-4


def test_runs_that_do_not_fit_are_refused():
    observations, places = torch.zeros(3, 4, 1, 2, 2), torch.zeros(3, 4, 1)
    with pytest.raises(ValueError, match=r"found \(3, 4, 1, 2, 2\) and \(3, 5, 1\)"):
        Trajectories(observations, torch.zeros(3, 5, 1))
    with pytest.raises(ValueError, match="reach must be in 1 … 3"):
        Trajectories(observations, places, reach=4)
    found = Trajectories(observations, places)
    with pytest.raises(ValueError, match="2 actions of up to 2 steps need more than the 4 observations"):
        found.draw(3, 2, torch.Generator())
    with pytest.raises(ValueError, match="2 actions of 2 steps need more than the 4"):
        found.every(2, 2)

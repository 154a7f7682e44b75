"""Runs of denoising that are guided with a strength of their own."""

from types import SimpleNamespace

import torch

from tts.diffusion import sample, time_grid, vp_linear
from tts.image.guidance.guide import guided
from tts.training.experiments import guided_steps
from tts.training.experiments.guided_steps import FAR, HELD, LEVELS, guided_runs
from tts.training.experiments.steps_bench import REACH

SCHEDULE = vp_linear()


def denoiser(u, t):
    """The exact noise of data N(0, 0.09)."""
    alpha, sigma = (level[:, None, None, None] for level in (SCHEDULE.alpha(t), SCHEDULE.sigma(t)))
    return sigma * u / (0.09 * alpha**2 + sigma**2)


def log_probs(x, t, wishes):
    return -(x - 0.3).square().sum((1, 2, 3))[None] / 20


def test_runs_of_several_strengths_are_those_of_each_strength_alone(monkeypatch):
    monkeypatch.setattr(guided_steps, "CHUNK", 2)
    base = SimpleNamespace(schedule=SCHEDULE, composite=lambda condition: denoiser)
    strengths = torch.tensor([0.0, 3.0, 1.0])
    u = torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    found = guided_runs(SimpleNamespace(log_probs=log_probs), base, u, strengths, 6)
    times = time_grid(SCHEDULE, 6, start=0.95)
    assert found.reach == REACH and found.observations.shape == (3, 6, 1, 2, 2)
    for i, w in enumerate(strengths.tolist()):
        alone = guided(denoiser, SCHEDULE, lambda x, t: log_probs(x, t, ()), [w])
        seen = []
        sample(
            alone, u[i : i + 1], SCHEDULE, times, sampler="ddim", hook=lambda k, t, x0, seen=seen: seen.append(x0.clamp(-1, 1))
        )
        torch.testing.assert_close(found.observations[i], torch.cat(seen).clamp(-1, 1), rtol=0, atol=1e-5)
    moves = found.places.diff(dim=1)
    torch.testing.assert_close(moves[..., 1], strengths[:, None] * moves[..., 0])
    assert not torch.allclose(found.observations[0], found.observations[1])


def test_every_strength_and_every_number_of_steps_is_seen_in_some_combination():
    shown = {(w, k) for w in LEVELS for k in range(1, REACH + 1)} - set(HELD)
    assert {w for w, _ in shown} == set(LEVELS) and {k for _, k in shown} == set(range(1, REACH + 1))
    assert not {k for _, k in FAR} & {k for _, k in shown}

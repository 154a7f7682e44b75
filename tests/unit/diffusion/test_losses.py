"""The loss starts at 1, is 0 for the truth, ignores padding; time samplers draw what they say and resume exactly."""

import pytest
import torch

from tts.diffusion import WEIGHTINGS, Composite, Parametrization, Term, TimeSampler, cosine, denoising_loss, shifted, vp_linear
from tts.diffusion.state import add_noise, expand_like, x0_from_eps

F64 = torch.float64
SCHEDULE = vp_linear()


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def test_a_zero_network_starts_at_one_and_the_true_noise_gives_zero():
    x0, eps, t = normal(64, 4, 50), normal(64, 4, 50, seed=1), torch.linspace(1e-5, 1, 64, dtype=F64)
    zero = Composite(SCHEDULE, [], Parametrization("eps"))
    truth = Composite(SCHEDULE, [Term(lambda x, t: eps)], Parametrization("eps"))
    assert denoising_loss(zero, x0, t, eps).mean().item() == pytest.approx(1, rel=0.03)
    assert denoising_loss(truth, x0, t, eps).abs().max() == 0
    # in the papers' words: the network is the score S = -eps / sigma and the loss is (sigma S + eps)^2
    sigma = expand_like(SCHEDULE.sigma(t), x0)
    score = Composite(SCHEDULE, [Term(lambda x, t: -sigma * (-eps / sigma))], Parametrization("eps"))
    assert denoising_loss(score, x0, t, eps).max() < 1e-24


def test_preconditioned_without_networks_starts_at_one_at_every_time():
    mean, std = normal(16, 4, 400, seed=2), 0.3
    x0, eps = mean + std * normal(16, 4, 400), normal(16, 4, 400, seed=1)
    base = Composite(SCHEDULE, [], Parametrization("preconditioned", std), mean)
    losses = denoising_loss(base, x0, torch.linspace(0.001, 1, 16, dtype=F64), eps)
    torch.testing.assert_close(losses, torch.ones(16, dtype=F64), rtol=0, atol=0.15)  # 4 standard errors of 1600 squares


def test_padding_neither_counts_nor_leaks_into_the_state():
    x0, eps, t = normal(2, 3, 9), normal(2, 3, 9, seed=1), torch.tensor([0.3, 0.8], dtype=F64)
    mask = torch.ones(2, 1, 9, dtype=F64)
    mask[1, :, 6:] = 0
    composite = Composite(
        SCHEDULE, [Term(lambda x, t: x.mean((1, 2), keepdim=True) * 9 / mask.sum(2, keepdim=True) + x)], Parametrization("eps")
    )
    expected = denoising_loss(composite, x0, t, eps, mask)
    dirty = torch.where(mask.bool(), x0, torch.nan)
    assert torch.equal(denoising_loss(composite, dirty, t, eps, mask), expected)
    alone = Composite(SCHEDULE, [Term(lambda x, t: x.mean((1, 2), keepdim=True) + x)], Parametrization("eps"))
    torch.testing.assert_close(denoising_loss(alone, x0[1:, :, :6], t[1:], eps[1:, :, :6]), expected[1:])


def test_a_sample_of_padding_only_gives_zero_and_no_nan():
    composite = Composite(SCHEDULE, [], Parametrization("eps"))
    losses = denoising_loss(composite, normal(1, 2, 3), torch.tensor([0.5], dtype=F64), normal(1, 2, 3), torch.zeros(1, 1, 3))
    assert losses.item() == 0


@pytest.mark.parametrize("weighting", ["eps", "v", "x0", "min_snr", "pdae"])
def test_a_weighting_in_its_own_units_is_the_same_for_every_parametrization(weighting):
    x0, eps, guess = normal(5, 3, 4), normal(5, 3, 4, seed=1), normal(5, 3, 4, seed=2)
    t = torch.linspace(0.05, 1, 5, dtype=F64)
    alpha, sigma = expand_like(SCHEDULE.alpha(t), x0), expand_like(SCHEDULE.sigma(t), x0)
    u = add_noise(x0, eps, alpha, sigma)
    losses = []
    for kind in ("eps", "v", "preconditioned"):
        head = Parametrization(kind, torch.tensor([[0.3], [1.0], [2.0]], dtype=F64))
        output = head.target(x0_from_eps(u, guess, alpha, sigma), guess, alpha, sigma, 0.5)
        composite = Composite(SCHEDULE, [Term(lambda x, t, output=output: output)], head, torch.tensor(0.5, dtype=F64))
        losses.append(denoising_loss(composite, x0, t, eps, weighting=weighting))
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-9, atol=0)
    torch.testing.assert_close(losses[2], losses[0], rtol=1e-9, atol=0)
    eps_error = ((eps - guess) ** 2).flatten(1).mean(1)
    snr = SCHEDULE.log_snr(t).exp()
    a, s = SCHEDULE.alpha(t), SCHEDULE.sigma(t)
    factor = {"eps": 1, "v": 1 / a**2, "x0": 1 / snr, "min_snr": snr.clamp(max=5) / snr, "pdae": s**1.8 * a**0.2}[weighting]
    torch.testing.assert_close(losses[0], factor * eps_error, rtol=1e-9, atol=0)


def test_the_loss_is_differentiable_in_the_networks_only():
    weight = torch.tensor(0.0, dtype=F64, requires_grad=True)
    composite = Composite(SCHEDULE, [Term(lambda x, t: weight * x)], Parametrization("preconditioned", 0.5))
    denoising_loss(composite, normal(4, 3), torch.linspace(0.1, 1, 4, dtype=F64), normal(4, 3, seed=1)).mean().backward()
    assert weight.grad.isfinite() and weight.grad != 0


def test_an_unknown_weighting_is_refused():
    with pytest.raises(ValueError, match=f"Known weightings: {', '.join(WEIGHTINGS)}"):
        denoising_loss(
            Composite(SCHEDULE, [], Parametrization("eps")), normal(1, 2), torch.ones(1), normal(1, 2), weighting="p2"
        )


@pytest.mark.parametrize("kind", TimeSampler.KINDS)
@pytest.mark.parametrize("schedule", [vp_linear(), cosine()], ids=["vp_linear", "cosine"])
def test_importance_weights_turn_every_density_into_the_flat_one(kind, schedule):
    sampler = TimeSampler(schedule, kind, t_min=0.01, n_bins=8)
    sampler.update(schedule.time_of_log_snr(sampler.edges[:-1] + 0.1), torch.arange(1, 9, dtype=F64))
    t, weight = sampler.draw(4096, torch.Generator().manual_seed(0))
    assert t.min() >= 0.01 and t.max() <= 1 and t.dtype == torch.float32
    # stratified: the error is far below the 1.6 % of independent draws; the integral of t^2 over [.01, 1] is known
    assert (weight * t**2).mean().item() == pytest.approx((1 - 0.01**3) / 3 / 0.99, rel=0.02)


def test_uniform_draws_are_stratified_and_in_random_order():
    t, weight = TimeSampler(SCHEDULE, "uniform").draw(100, torch.Generator().manual_seed(1))
    strata = ((t.double() - 1e-3) / (1 - 1e-3) * 100).floor().long().clamp(0, 99)
    assert sorted(strata.tolist()) == list(range(100)) and strata.tolist() != list(range(100))
    assert torch.equal(weight, torch.ones(100))


def test_log_snr_draws_are_flat_in_log_snr():
    sampler = TimeSampler(SCHEDULE, "log_snr")
    t, _ = sampler.draw(3200, torch.Generator().manual_seed(1))
    counts = torch.histc(SCHEDULE.log_snr(t.double()), 32, sampler.edges[0].item(), sampler.edges[-1].item())
    assert (counts - 100).abs().max() <= 1


@pytest.mark.parametrize("shift", [1.0, 4.0])
def test_angle_draws_are_flat_in_the_angle_however_the_schedule_is_shifted(shift):
    schedule = shifted(cosine(), shift)
    t, _ = TimeSampler(schedule, "angle", t_min=1e-3).draw(3200, torch.Generator().manual_seed(1))
    angle = torch.atan2(schedule.sigma(t.double()), schedule.alpha(t.double()))
    first = torch.atan2(*(c(torch.tensor(1e-3, dtype=F64)) for c in (schedule.sigma, schedule.alpha))).item()
    counts = torch.histc(angle, 32, first, torch.pi / 2)
    assert (counts - 100).abs().max() <= 1


def test_gap_draws_follow_the_loss_once_every_bin_was_seen_and_forget_no_bin():
    sampler = TimeSampler(SCHEDULE, "gap", n_bins=4)
    middles = SCHEDULE.time_of_log_snr((sampler.edges[1:] + sampler.edges[:-1]) / 2)

    def shares():
        t, _ = sampler.draw(4000, torch.Generator().manual_seed(0))
        return torch.bucketize(SCHEDULE.log_snr(t.double()), sampler.edges[1:-1]).bincount(minlength=4) / 4000

    sampler.update(middles[:3], torch.ones(3))
    torch.testing.assert_close(shares(), torch.full((4,), 0.25), rtol=0, atol=1e-3)
    sampler.update(middles[3:], torch.tensor([7.0]))
    torch.testing.assert_close(shares(), torch.tensor([0.115, 0.115, 0.115, 0.655]), rtol=0, atol=1e-3)
    sampler.update(middles[3:].expand(2000), torch.zeros(2000))
    assert shares()[3].item() == pytest.approx(0.025, abs=1e-3)


def test_a_resumed_gap_sampler_draws_what_the_first_would_have_drawn():
    first, second = TimeSampler(SCHEDULE, "gap", n_bins=8), TimeSampler(SCHEDULE, "gap", n_bins=8)
    t, _ = first.draw(512, torch.Generator().manual_seed(0))
    first.update(t, t**2)
    saved = first.state_dict()
    second.load_state_dict(saved)
    first.update(t, 1 - t)
    second.update(t, 1 - t)
    drawn = [sampler.draw(64, torch.Generator().manual_seed(3)) for sampler in (first, second)]
    for a, b in zip(*drawn, strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="8 bins, the saved one 4"):
        first.load_state_dict({"mean_loss": torch.ones(4)})


@pytest.mark.parametrize(
    "arguments",
    [{"kind": "logit_normal"}, {"t_min": 0.0}, {"t_min": 0.9, "t_max": 0.5}, {"t_max": 1.1}, {"n_bins": 0}, {"decay": 1.0}],
)
def test_a_time_sampler_that_cannot_be_is_refused(arguments):
    with pytest.raises(ValueError, match=r"unknown time sampler|need "):
        TimeSampler(SCHEDULE, **arguments)

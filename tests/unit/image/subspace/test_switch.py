"""Sampling through subspaces: exact where the complement is Gaussian, on every schedule; a switch touches that alone."""

from itertools import pairwise

import pytest
import torch

from tts.diffusion import SAMPLERS, expand_like, invert, sample, time_grid, vp_linear
from tts.diffusion.likelihood import log_likelihood
from tts.diffusion.rescaled import sub_vp, variance_exploding
from tts.image.subspace.complement import Complement
from tts.image.subspace.implicit import implicit_denoiser
from tts.image.subspace.projections import AveragePool, LinearProjection
from tts.image.subspace.switch import Langevin, Subspace, grid_through, sample_subspaces

F64 = torch.float64
VP = vp_linear(0.1, 20.0)
SCHEDULES = {"vp": VP, "ve": variance_exploding(0.01, 50.0), "subvp": sub_vp()}
STD, INNER, D = 0.3, 0.9, 16  # complement, subspace of 4 dimensions, 4 x 4 images


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def noise_of(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda u: torch.randn(u.shape, dtype=u.dtype, generator=generator)


def isotropic(std, schedule):
    """eps_hat of N(0, std^2)."""

    def denoiser(u, t):
        alpha, sigma = expand_like(schedule.alpha(t), u), expand_like(schedule.sigma(t), u)
        return sigma * u / (alpha**2 * std**2 + sigma**2)

    return denoiser


def full_denoiser(schedule, projection=AveragePool(1)):  # noqa: B008
    """eps_hat of N(0, INNER^2 on the subspace, STD^2 on its complement)."""

    def denoiser(x, t):
        inner = projection.up(isotropic(INNER, schedule)(projection.down(x), t))
        return inner + projection.complement(isotropic(STD, schedule)(x, t))

    return denoiser


def subspace(schedule, time=0.5, **changes):
    values = {"projection": AveragePool(1), "complement": Complement(STD), "time": time, "denoiser": isotropic(INNER, schedule)}
    return Subspace(**{**values, **changes})


def affine_covariance(run, n_inputs, shape):
    """Covariance of a linear sampler's output: the answers to every one of its independent unit noises."""
    impulses = torch.eye(n_inputs, dtype=F64)
    return (answers := run(impulses, shape).flatten(1)).T @ answers


@pytest.mark.parametrize("name", SCHEDULES)
def test_an_isotropic_complement_is_sampled_with_the_covariance_of_the_full_model(name):
    schedule = SCHEDULES[name]
    times = grid_through(time_grid(schedule, 400, "log_snr", t_min=1e-4), [0.5])

    def run(impulses, shape):
        # 4 numbers start the subspace, 16 more are drawn at the switch
        start, switch = impulses[:, :4].reshape(-1, 1, 2, 2), impulses[:, 4:].reshape(-1, *shape)
        return sample_subspaces(
            full_denoiser(schedule), [subspace(schedule)], start, schedule, times, noise=lambda x: switch, sampler="heun"
        )

    covariance = affine_covariance(run, 20, (1, 4, 4))
    projector = AveragePool(1).up(AveragePool(1).down(torch.eye(D, dtype=F64).reshape(D, 1, 4, 4))).flatten(1)
    exact = INNER**2 * projector + STD**2 * (torch.eye(D, dtype=F64) - projector)
    torch.testing.assert_close(covariance, exact, rtol=0, atol=2e-3)


def test_a_switch_without_noise_or_too_early_loses_variance_that_the_exact_one_keeps():
    x0, u = [], normal(400, 1, 2, 2)
    times = grid_through(time_grid(VP, 60, "quadratic"), [0.5])
    for noise in (noise_of(1), torch.zeros_like):
        x0.append(sample_subspaces(full_denoiser(VP), [subspace(VP)], u, VP, times, noise=noise))
    kept, lost = (AveragePool(1).complement(x).square().sum().item() / (400 * 12) for x in x0)
    assert kept == pytest.approx(STD**2, rel=0.1) and lost == 0


def test_three_nested_levels_have_the_marginal_variance_of_each():
    stds, times_k = (0.2, 0.4), (0.3, 0.6)
    projection = AveragePool(1)

    def middle(x, t):
        return projection.up(isotropic(1.0, VP)(projection.down(x), t)) + projection.complement(isotropic(stds[1], VP)(x, t))

    def full(x, t):
        return projection.up(middle(projection.down(x), t)) + projection.complement(isotropic(stds[0], VP)(x, t))

    subspaces = [
        Subspace(projection, Complement(stds[0]), times_k[0], middle),
        Subspace(projection, Complement(stds[1]), times_k[1], isotropic(1.0, VP)),
    ]
    times = grid_through(time_grid(VP, 100, "quadratic"), times_k)
    levels = []
    hook = lambda level, t, x0: levels.append((level, t, tuple(x0.shape[2:])))  # noqa: E731
    x = sample_subspaces(full, subspaces, normal(300, 1, 2, 2), VP, times, noise=noise_of(2), sampler="dpmpp_2m", hook=hook)
    assert {level: size for level, _, size in levels} == {2: (2, 2), 1: (4, 4), 0: (8, 8)}
    assert all(t > times_k[1] for level, t, _ in levels if level == 2) and [t for *_, t, _ in levels] == times[:-1].tolist()
    low = projection.down(x)
    assert projection.complement(x).square().sum().item() / (300 * 48) == pytest.approx(0.04, rel=0.06)
    assert projection.complement(low).square().sum().item() / (300 * 12) == pytest.approx(0.16, rel=0.1)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_goes_through_a_switch_and_a_batch_equals_its_singles(sampler):
    times, u = grid_through(time_grid(VP, 8, "quadratic"), [0.4]), normal(3, 1, 2, 2)
    model, spaces = full_denoiser(VP), [subspace(VP, 0.4)]

    def run(rows):
        generators = [torch.Generator().manual_seed(i) for i in rows]
        noise = lambda x: torch.stack([torch.randn(x.shape[1:], dtype=F64, generator=g) for g in generators])  # noqa: E731
        return sample_subspaces(model, spaces, u[rows], VP, times, noise=noise, sampler=sampler, langevin=Langevin())

    together = run([0, 1, 2])
    assert together.shape == (3, 1, 4, 4) and together.isfinite().all()
    for i in range(3):
        torch.testing.assert_close(run([i])[0], together[i], rtol=0, atol=1e-12)


def test_without_subspaces_it_is_sample():
    u, times = normal(2, 1, 4, 4), time_grid(VP, 5)
    found = sample_subspaces(full_denoiser(VP), [], u, VP, times, noise=torch.zeros_like)
    assert torch.equal(found, sample(full_denoiser(VP), u, VP, times, sampler="ddim"))


def test_the_complement_langevin_leaves_the_subspace_alone_and_keeps_the_marginal():
    projection, x = AveragePool(1), normal(20, 1, 4, 4)
    moved = Langevin(steps=3, snr=0.1).correct(x, 0.5, full_denoiser(VP), VP, projection, noise_of(4))
    torch.testing.assert_close(projection.down(moved), projection.down(x), rtol=0, atol=1e-12)
    assert (projection.complement(moved) - projection.complement(x)).abs().max() > 0.1


def test_the_complement_langevin_keeps_the_marginal_variance():
    # the step follows the norms of each sample, which in 768 dimensions are the spread to some percent
    projection, x = AveragePool(1), normal(40, 1, 32, 32)
    alpha, sigma = VP.alpha(torch.tensor(0.5)).item(), VP.sigma(torch.tensor(0.5)).item()
    v = sigma**2 + alpha**2 * STD**2
    start = projection.complement(x) * v**0.5
    kept = Langevin(steps=20, snr=0.1).correct(start, 0.5, full_denoiser(VP), VP, projection, noise_of(5))
    assert projection.complement(kept).square().sum().item() / (40 * 768) == pytest.approx(v, rel=0.03)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_implicit_denoiser_is_the_full_one_where_the_complement_is_isotropic_and_each_sample_has_its_own_time(name):
    schedule, x = SCHEDULES[name], normal(4, 1, 4, 4)
    t = torch.tensor([0.9, 0.2, 0.5, 0.7], dtype=F64)
    asked = []

    def recorded(u, t):
        asked.extend(t.tolist())
        return full_denoiser(schedule)(u, t)

    implicit = implicit_denoiser(recorded, [subspace(schedule)], schedule)
    torch.testing.assert_close(implicit(x, t), full_denoiser(schedule)(x, t), rtol=0, atol=1e-12)
    assert asked == [0.2, 0.5]


def test_a_complement_with_a_mean_is_lifted_and_scored_with_it():
    basis = torch.linalg.qr(normal(D, 4, seed=2)).Q
    projection = LinearProjection(basis, (1, 4, 4))
    mean = projection.complement(normal(1, 1, 4, 4, seed=7))[0]
    space = subspace(VP, projection=projection, complement=Complement(STD, mean))
    x, t = normal(3, 1, 4, 4), torch.full((3,), 0.8, dtype=F64)
    alpha, sigma = VP.alpha(t)[0], VP.sigma(t)[0]
    found = projection.complement(implicit_denoiser(full_denoiser(VP), [space], VP)(x, t))
    exact = sigma * (projection.complement(x) - alpha * mean) / (alpha**2 * STD**2 + sigma**2)
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-12)
    y = normal(3, 4)
    lifted = space.lift(y, VP, torch.zeros_like)
    torch.testing.assert_close(projection.down(lifted), y, rtol=0, atol=1e-12)
    there = VP.alpha(torch.tensor(0.5, dtype=F64)) * mean.expand(3, 1, 4, 4)
    torch.testing.assert_close(projection.complement(lifted), there, rtol=0, atol=1e-12)


def test_inversion_through_the_implicit_denoiser_leads_back_to_the_image():
    x0 = STD * normal(3, 1, 4, 4)
    denoiser, times = implicit_denoiser(full_denoiser(VP), [subspace(VP)], VP), grid_through(time_grid(VP, 40), [0.5])
    u = invert(denoiser, x0, VP, times, fixed_point_iterations=20)
    torch.testing.assert_close(sample(denoiser, u, VP, times, sampler="ddim"), x0, rtol=0, atol=1e-8)


def test_the_likelihood_of_an_implicit_gaussian_is_its_density():
    times = grid_through(time_grid(VP, 200, "log_snr", t_min=1e-3)[:-1], [0.5])
    x0, projection = normal(3, 1, 4, 4), AveragePool(1)
    probes = (D**0.5 * torch.eye(D, dtype=F64)).reshape(D, 1, 1, 4, 4)
    found = log_likelihood(implicit_denoiser(full_denoiser(VP), [subspace(VP)], VP), x0, VP, times, probes)
    blur = (VP.sigma(times[-1]) / VP.alpha(times[-1])).item() ** 2
    inner, outer = INNER**2 + blur, STD**2 + blur
    exact = torch.distributions.Normal(0, torch.tensor(inner**0.5, dtype=F64)).log_prob(projection.down(x0)).flatten(1).sum(1)
    rest = projection.complement(x0).square().flatten(1).sum(1)
    exact = exact - rest / outer / 2 - 6 * torch.log(torch.tensor(2 * torch.pi * outer, dtype=F64))
    torch.testing.assert_close(found, exact, rtol=0, atol=0.02)


def test_a_grid_keeps_its_steps_and_goes_through_the_switching_times():
    times = grid_through(time_grid(VP, 10), [0.33, 0.71])
    assert len(times) == 11 and times[7] == 0.33 and times[3] == 0.71
    assert all(a > b for a, b in pairwise(times.tolist()))


def test_switches_off_the_grid_or_out_of_order_are_refused():
    times = time_grid(VP, 4)
    with pytest.raises(ValueError, match="must rise and lie on the grid"):
        sample_subspaces(full_denoiser(VP), [subspace(VP, 0.4)], normal(1, 1, 2, 2), VP, times, noise=torch.zeros_like)
    with pytest.raises(ValueError, match="must be inside"):
        grid_through(times, [1.0])
    with pytest.raises(ValueError, match="too few to switch"):
        grid_through(times, [0.45, 0.55])
    with pytest.raises(ValueError, match="too few to switch"):
        grid_through(time_grid(VP, 1), [0.5])
    with pytest.raises(ValueError, match="switching time must be in"):
        subspace(VP, 1.0)
    with pytest.raises(ValueError, match="steps >= 0"):
        Langevin(snr=0.0)


@pytest.mark.parametrize(("snr", "steps"), [(0.22, 2), (0.5, 3), (0.5, 20), (0.01, 2)])
def test_the_complement_langevin_leaves_as_much_variance_as_its_formula_says_and_the_default_next_to_none(snr, steps):
    # a step is x <- (1 - a) x + sqrt(2 a v) z with a = 2 snr^2 v / V, as in many dimensions |z|^2 / |g|^2 is v^2 / V
    projection, x = AveragePool(1), normal(60, 1, 32, 32)
    alpha, sigma = VP.alpha(torch.tensor(0.5)).item(), VP.sigma(torch.tensor(0.5)).item()
    v, ratio = sigma**2 + alpha**2 * STD**2, 1.0
    start = projection.complement(x) * v**0.5
    moved = Langevin(steps=steps, snr=snr).correct(start, 0.5, full_denoiser(VP), VP, projection, noise_of(6))
    for _ in range(steps):
        a = 2 * snr**2 / ratio
        ratio = (1 - a) ** 2 * ratio + 2 * a
    excess = ratio - 1
    variance, before = (projection.complement(y).square().sum().item() / (60 * 768) for y in (moved, start))
    assert variance / v - 1 == pytest.approx(excess, abs=0.02)  # 3 deviations of 60 x 768 draws
    if snr == Langevin().snr:
        assert excess == pytest.approx(8e-8, rel=1e-3) and variance == pytest.approx(before, rel=1e-3)
    if steps == 20:
        assert excess == pytest.approx(snr**2, rel=1e-3)
    if snr == 0.22:
        assert excess == pytest.approx(0.0169, rel=0.02)

"""One diffusion core for two modalities: the same suite on masked mels with priors and on images with none."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from tts.diffusion import (
    SAMPLERS,
    Composite,
    Parametrization,
    Term,
    add_noise,
    denoising_loss,
    eps_from_x0,
    expand_like,
    initial_state,
    invert,
    sample,
    time_grid,
    vp_linear,
)

SCHEDULE = vp_linear()
STD = 0.8
HEADS = ("eps", "v", "preconditioned")
# sd / STD at 30 quadratic steps (40 uniform ones for Euler-Maruyama); the first-order samplers are under-dispersed by nature
SPREAD = {"ancestral": 0.90, "ddim": 0.93, "dpmpp_2m": 0.99, "heun": 0.99, "euler_maruyama": 1.03}


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@dataclass
class Modality:
    """Data N(sum of means, STD^2) of one shape, its attributes' prior means, and its mask."""

    shape: tuple[int, ...]
    means: list[Tensor]
    mask: Tensor | None

    @property
    def mean(self) -> Tensor:
        return sum(self.means)

    @property
    def keep(self) -> Tensor:
        return torch.ones(self.shape) if self.mask is None else self.mask.expand(self.shape)

    def select(self, i: slice) -> "Modality":
        means = [m[i] for m in self.means]
        return Modality(means[0].shape, means, None if self.mask is None else self.mask[i])

    def composite(self, head: str) -> Composite:
        """The exact denoiser of the data, its output divided over the attributes; each undoes its own shift of the state."""
        parametrization = Parametrization(head, STD)

        def term(mean: Tensor, share: float) -> Term:
            def network(x: Tensor, t: Tensor) -> Tensor:
                alpha, sigma = expand_like(SCHEDULE.alpha(t), x), expand_like(SCHEDULE.sigma(t), x)
                u = x - (1 - alpha) * mean
                gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
                x0 = self.mean + gain * (u - alpha * self.mean)
                return share * parametrization.target(x0, eps_from_x0(u, x0, alpha, sigma), alpha, sigma, self.mean)

            return Term(network, mean)

        shares = [0.3, 0.7] if len(self.means) == 2 else [1.0]
        terms = [term(m, s) for m, s in zip(self.means, shares, strict=True)]
        return Composite(SCHEDULE, terms, parametrization, self.mean)


def mel() -> Modality:
    shape, mask = (3, 80, 44), torch.ones(3, 1, 44)
    mask[1, :, 30:] = 0
    mask[2, :, 17:] = 0
    return Modality(shape, [normal(*shape, seed=1) * mask, (normal(*shape, seed=2) - 2) * mask], mask)


def image() -> Modality:
    return Modality((4, 3, 24, 24), [torch.zeros(4, 3, 24, 24)], None)


@pytest.fixture(params=[mel, image], ids=["mel", "image"])
def modality(request) -> Modality:
    return request.param()


def sample_noise(batch: range):
    """Noise of each sample from its own generator, so that it does not depend on its neighbours."""
    generators = [torch.Generator().manual_seed(100 + i) for i in batch]
    return lambda u: torch.stack([torch.randn(u.shape[1:], generator=g) for g in generators])


def run(data: Modality, sampler: str, head: str = "preconditioned", batch: range | None = None, **options) -> Tensor:
    batch = batch or range(data.shape[0])
    noise = sample_noise(batch)
    u = initial_state(SCHEDULE, 1.0, noise(torch.empty(data.shape)), data.mean, STD)
    times = time_grid(SCHEDULE, 40) if sampler == "euler_maruyama" else time_grid(SCHEDULE, 30, "quadratic")
    options = {"mask": data.mask, "noise": noise, **options}
    return sample(data.composite(head), u, SCHEDULE, times, sampler=sampler, **options)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_with_the_exact_denoiser_reaches_the_data(modality, sampler):
    # about 7 000 elements: one standard error is 1.2 % of the mean and 0.8 % of the spread; the seeds are fixed
    z = ((run(modality, sampler) - modality.mean) / STD)[modality.keep > 0]
    assert z.mean().abs() < 0.05
    assert z.std().item() == pytest.approx(SPREAD[sampler], abs=0.03)


@pytest.mark.parametrize("head", HEADS)
def test_the_parametrization_does_not_change_the_sample(modality, head):
    torch.testing.assert_close(run(modality, "dpmpp_2m", head), run(modality, "dpmpp_2m"), rtol=0, atol=2e-3)


@pytest.mark.parametrize("head", HEADS)
def test_targets_round_trip_through_every_parametrization(modality, head):
    x0, eps = normal(*modality.shape, seed=5), normal(*modality.shape, seed=6)
    t = torch.linspace(0.05, 0.9, modality.shape[0])
    alpha, sigma = expand_like(SCHEDULE.alpha(t), x0), expand_like(SCHEDULE.sigma(t), x0)
    u, parametrization = add_noise(x0, eps, alpha, sigma), Parametrization(head, STD)
    target = parametrization.target(x0, eps, alpha, sigma, modality.mean)
    torch.testing.assert_close(parametrization.eps(target, u, alpha, sigma, modality.mean), eps, rtol=0, atol=1e-4)
    torch.testing.assert_close(parametrization.x0(target, u, alpha, sigma, modality.mean), x0, rtol=0, atol=1e-3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_batch_equals_its_singles(modality, sampler):
    together = run(modality, sampler)
    for i in range(modality.shape[0]):
        alone = run(modality.select(slice(i, i + 1)), sampler, batch=range(i, i + 1))
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_fixes_the_sample_and_another_changes_it_and_the_global_generator_is_left_alone(modality, sampler):
    state = torch.get_rng_state()
    first = run(modality, sampler)
    assert torch.equal(first, run(modality, sampler))
    assert not torch.equal(first, run(modality, sampler, batch=range(7, 7 + modality.shape[0])))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_the_mask_hides_stays_exactly_zero_even_for_a_denoiser_that_is_not_finite_there(modality, sampler):
    composite, keep = modality.composite("preconditioned"), modality.keep > 0
    seen = []

    def denoiser(u, t):
        seen.append(u)
        return torch.where(keep, composite(u, t), torch.nan)

    u = initial_state(SCHEDULE, 1.0, normal(*modality.shape, seed=3))
    times, noise = time_grid(SCHEDULE, 4), sample_noise(range(modality.shape[0]))
    out = sample(denoiser, u, SCHEDULE, times, sampler=sampler, noise=noise, mask=modality.mask)
    for x in [*seen, out]:
        assert x.isfinite().all() and (x[~keep] == 0).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_hook_that_only_looks_changes_nothing_and_one_that_replaces_is_followed(modality, sampler):
    seen = []
    assert torch.equal(run(modality, sampler, hook=lambda i, t, x0: seen.append(x0)), run(modality, sampler))
    assert all(x0.shape == modality.shape for x0 in seen)
    wanted = modality.mean + 1
    out = run(modality, sampler, hook=lambda i, t, x0: wanted, temperature=0.0)
    tolerance = 0.4 if sampler == "euler_maruyama" else 1e-6
    assert ((out - wanted) * modality.keep).abs().max() <= tolerance


def test_inversion_leads_back_to_the_data(modality):
    x0 = (modality.mean + STD * normal(*modality.shape, seed=9)) * modality.keep
    composite, times = modality.composite("preconditioned"), time_grid(SCHEDULE, 20, "quadratic")
    errors = []
    for iterations in (0, 10):
        u = invert(composite, x0, SCHEDULE, times, iterations, modality.mask)
        back = sample(composite, u, SCHEDULE, times, sampler="ddim", mask=modality.mask)
        errors.append((back - x0).abs().max().item())
    assert errors[1] < 1e-3 < errors[0] < 1.0


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_attribute_sees_the_one_state_shifted_by_its_own_mean_at_every_step(modality, sampler):
    seen: list[list[Tensor]] = [[] for _ in modality.means]
    times = []

    def term(k, mean):
        def network(x, t):
            seen[k].append(x)
            times.append(t[0])
            return 0.1 * torch.tanh(x)

        return Term(network, mean)

    means = [m.double() for m in modality.means]
    composite = Composite(SCHEDULE, [term(k, m) for k, m in enumerate(means)], Parametrization("eps"))
    u = initial_state(SCHEDULE, 1.0, normal(*modality.shape, seed=3).double())
    grid = time_grid(SCHEDULE, 6)
    sample(composite, u, SCHEDULE, grid, sampler=sampler, noise=torch.ones_like, mask=modality.mask)
    for k, mean in enumerate(means):
        for step, (x, first) in enumerate(zip(seen[k], seen[0], strict=True)):
            alpha = SCHEDULE.alpha(times[step * len(means)])
            torch.testing.assert_close(x - first, (1 - alpha) * (mean - means[0]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("head", HEADS)
def test_the_exact_denoiser_loses_no_more_than_a_zero_network(modality, head):
    x0 = (modality.mean + STD * normal(*modality.shape, seed=9)) * modality.keep
    eps, t = normal(*modality.shape, seed=8), torch.full(modality.shape[:1], 0.4)
    exact = denoising_loss(modality.composite(head), x0, t, eps, modality.mask)
    nothing = Composite(SCHEDULE, [], Parametrization(head, STD), modality.mean)
    zero = denoising_loss(nothing, x0, t, eps, modality.mask)
    assert exact.shape == modality.shape[:1]
    if head == "preconditioned":  # whose zero network is the exact denoiser of this data
        torch.testing.assert_close(exact, zero, rtol=0, atol=1e-5)
    assert (exact <= zero + 1e-5).all()

"""The isometry loss: closed forms of linear maps, chart and tangent space, gradients that are there (T7)."""

import math

import pytest
import torch
from torch import nn

from tts.diffusion import vp_linear
from tts.image.geometry.hspace import encoder_half, recorded_h, states_at
from tts.image.geometry.isometry import IsometryMode, Probe, draw_probe, isometry_loss
from tts.image.geometry.paths import mean_rtl
from tts.image.geometry.spectrum import jacobian, mcn
from tts.image.geometry.stereographic import inverse_stereographic, sphere_radius, stereographic, stereographic_metric
from tts.image.geometry.tangent import Manifold, jvp, per_sample, pull_all, push_all, tangent_project, vjp
from tts.nets.image_unet import ImageUNet
from tts.testing import seeded

every_mode = pytest.mark.parametrize("mode", IsometryMode)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def linear(a):
    return lambda x: x @ a.mT


def mlp(n=6, m=7, width=9, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(n, width), nn.Tanh(), nn.Linear(width, m)).double()


@every_mode
def test_a_scaled_orthogonal_map_loses_exactly_nothing_with_signs_as_probes(mode):
    q = torch.linalg.qr(normal(8, 8)).Q
    loss = isometry_loss(linear(0.03 * q), normal(5, 8), generator(), manifold=Manifold.flat, mode=mode)
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert isometry_loss(linear(0.03 * q), normal(5, 8), generator(), mode=mode).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("kind", Probe)
def test_a_linear_map_loses_the_spread_of_its_eigenvalues(kind):
    a = normal(9, 6, seed=1)
    r = a.mT @ a
    expected = 6 * (r @ r).trace() / r.trace() ** 2 - 1
    x = torch.zeros(10000, 6, dtype=torch.float64)
    loss = isometry_loss(linear(a), x, generator(), probes=3, kind=kind, manifold=Manifold.flat)
    assert loss.item() == pytest.approx(expected.item(), abs=0.01 * (expected.item() + 1))
    bare = isometry_loss(linear(a), x, generator(), probes=3, kind=kind, manifold=Manifold.flat, normalise=False)
    assert 6 * bare.item() - 1 == pytest.approx(loss.item())


def test_on_the_sphere_the_radial_direction_does_not_count():
    x = torch.eye(5, dtype=torch.float64)[:1].expand(4000, 5)
    stretched = torch.diag(torch.tensor([50.0, 2, 2, 2, 2], dtype=torch.float64))
    assert isometry_loss(linear(stretched), x, generator()).item() == pytest.approx(0, abs=1e-12)
    a = normal(6, 5, seed=2)
    r = a[:, 1:].mT @ a[:, 1:]
    expected = 4 * (r @ r).trace() / r.trace() ** 2 - 1
    assert isometry_loss(linear(a), x, generator(), probes=3).item() == pytest.approx(expected.item(), rel=0.05)


def test_a_map_into_fewer_dimensions_is_measured_against_those():
    a = torch.linalg.qr(normal(12, 12)).Q[:4]
    x = torch.zeros(20000, 12, dtype=torch.float64)
    loss = isometry_loss(linear(a), x, generator(), manifold=Manifold.flat)
    assert loss.item() == pytest.approx(0, abs=0.02)
    bare = isometry_loss(linear(a), x, generator(), manifold=Manifold.flat, normalise=False)
    assert bare.item() == pytest.approx(1 / 4, rel=0.02)


@every_mode
def test_the_scale_of_the_map_does_not_matter_and_one_scale_for_each_x_matters_to_global_alone(mode):
    f, x = mlp(), normal(16, 6)
    loss = isometry_loss(f, x, generator(3), mode=mode)
    assert isometry_loss(lambda x: 1e3 * f(x), x, generator(3), mode=mode).item() == pytest.approx(loss.item(), rel=1e-9)
    radii = torch.where(torch.arange(16) < 8, 1.0, 2.0).double()[:, None]
    square = isometry_loss(lambda y: radii * y, x, generator(), manifold=Manifold.flat, mode=mode)
    # E[c^2] / E[c]^2 - 1 with c = 1 and 4, and 0
    expected = 8.5 / 2.5**2 - 1 if mode is IsometryMode.global_ else 0.0
    assert square.item() == pytest.approx(expected, abs=1e-12)


def test_the_chart_and_the_tangent_space_give_the_same_traces_to_1e_12():
    n, radius = 6, 2.3
    f, x = mlp(n), normal(4, n, seed=5)
    x = radius * x / x.norm(dim=1, keepdim=True)
    z, v = stereographic(x, radius), normal(4, n - 1, seed=6)
    g = stereographic_metric(z, radius)
    to_x = lambda z: inverse_stereographic(z, radius)  # noqa: E731
    # R v = G^-1/2 J^T J G^-1/2 v in the chart; the frame D(inverse) G^-1/2 carries v to a tangent vector of the same length
    pushed = jvp(lambda z: f(to_x(z)), z, v / g.sqrt())[1]
    chart = vjp(lambda z: f(to_x(z)), z, pushed)[1] / g.sqrt()
    u = jvp(to_x, z, v / g.sqrt())[1]
    assert torch.allclose(tangent_project(x, u), u, atol=1e-12)
    pushed_flat = jvp(f, x, u)[1]
    flat = tangent_project(x, vjp(f, x, pushed_flat)[1])
    assert torch.allclose(per_sample(pushed**2), per_sample(pushed_flat**2), rtol=1e-12)
    assert torch.allclose(per_sample(chart**2), per_sample(flat**2), rtol=1e-12)


def test_the_metric_is_that_of_the_inverse_chart_and_both_charts_undo_each_other():
    z = normal(3, 5, seed=1)
    j = jacobian(lambda z: inverse_stereographic(z, 1.7), z)
    expected = stereographic_metric(z, 1.7)[..., None] * torch.eye(5, dtype=torch.float64)
    assert torch.allclose(j.mT @ j, expected, atol=1e-12)
    assert torch.allclose(stereographic(inverse_stereographic(z, 1.7), 1.7), z, atol=1e-12)
    assert torch.allclose(inverse_stereographic(z, 1.7).norm(dim=1), torch.tensor(1.7, dtype=torch.float64))


def test_of_noise_the_metric_is_constant_within_a_few_percent_and_the_radius_that_of_states():
    # |z|^2 = (r + x_n) / (r - x_n), so G / n deviates by 2 / sqrt(n): 7.2 % for 768 numbers
    x = normal(4000, 768)
    x = math.sqrt(768) * x / x.norm(dim=1, keepdim=True)
    g = stereographic_metric(stereographic(x, math.sqrt(768)), math.sqrt(768)) / 768
    assert g.mean().item() == pytest.approx(1, abs=0.01)
    assert g.std().item() == pytest.approx(2 / math.sqrt(768), rel=0.05)
    t = torch.tensor([0.3, 1.0], dtype=torch.float64)
    schedule = vp_linear()
    states = 0.4 * schedule.alpha(t)[:, None] * normal(2, 40000, seed=1) + schedule.sigma(t)[:, None] * normal(2, 40000, seed=2)
    assert torch.allclose(states.norm(dim=1), sphere_radius(schedule, t, 40000, 0.16), rtol=0.02)


@every_mode
@pytest.mark.parametrize("manifold", Manifold)
def test_the_gradient_of_the_parameters_is_there_and_is_that_of_differences(mode, manifold):
    f, x = mlp(4, 5, 3), normal(6, 4)
    weight = f[0].weight

    def loss():
        return isometry_loss(f, x, generator(), manifold=manifold, mode=mode)

    (gradient,) = torch.autograd.grad(loss(), weight)
    assert gradient.norm() > 1e-2
    step = 1e-6
    for i, j in ((0, 0), (2, 3), (1, 2)):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[i, j] += sign * step
            ends.append(loss().item())
            with torch.no_grad():
                weight[i, j] -= sign * step
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(gradient[i, j].item(), rel=1e-5, abs=1e-8)


def unet(**sizes):
    values = {"channels": 1, "base": 8, "multipliers": (1, 2), "attention": (False, True), "unshuffle": 2} | sizes
    return seeded(lambda: ImageUNet(**values), spread=0.2)


def test_the_encoder_half_has_a_gradient_and_single_precision_is_enough():
    network, x, t = unet(), normal(3, 1, 8, 8), torch.tensor([0.5, 0.7, 1.0])
    losses = []
    for cast in (torch.float32, torch.float64):
        network = network.to(cast)
        losses.append(isometry_loss(encoder_half(network, t), x.to(cast), generator()))
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-3)
    losses[1].backward()
    assert network.stem.weight.grad.norm() > 1e-4 and network.middle.last.block.conv2.weight.grad.norm() > 1e-4
    assert all(p.grad is None for p in network.up.parameters())


def test_several_directions_at_once_are_those_of_one_at_a_time_and_h_is_recorded_and_pooled():
    network, x = unet().double(), normal(2, 1, 8, 8)
    f = encoder_half(network, 0.6)
    v, w = normal(2, 3, 1, 8, 8, seed=1), normal(2, 3, 16, 2, 2, seed=2)
    for i in range(3):
        assert torch.allclose(push_all(f, x, v)[:, i], jvp(f, x, v[:, i])[1], atol=1e-10)
        assert torch.allclose(pull_all(f, x, w)[:, i], vjp(f, x, w[:, i])[1], atol=1e-10)
    with recorded_h(network) as made:
        network(x, torch.full((2,), 0.6))
    assert len(made) == 1 and torch.equal(made[0], f(x)) and not made[0].requires_grad
    network(x, torch.full((2,), 0.6))
    assert len(made) == 1
    assert torch.allclose(encoder_half(network, 0.6, pooled=True)(x), f(x).mean(dim=(2, 3)))


def test_states_at_a_time_are_those_of_ddim_on_a_gaussian():
    # data of variance 1 and a variance-preserving schedule: every DDIM step multiplies by a_s a_t + s_s s_t
    schedule = vp_linear()
    times = torch.linspace(1, 0.4, 6, dtype=torch.float64)
    alpha, sigma = schedule.alpha(times), schedule.sigma(times)
    factor = (alpha[1:] * alpha[:-1] + sigma[1:] * sigma[:-1]).prod().item()
    denoiser = lambda u, t: schedule.sigma(t)[:, None] * u  # noqa: E731
    noise = normal(3, 4)
    assert torch.allclose(states_at(denoiser, schedule, 0.4, steps=5)(noise), factor * noise, rtol=1e-6)
    assert states_at(denoiser, schedule, 1.0)(noise) is noise


def test_a_small_network_learns_to_be_an_isometry_and_its_arcs_grow_straight():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        f = nn.Sequential(nn.Linear(48, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh(), nn.Linear(128, 96))
        for p in f.parameters():
            p.data *= 2.7  # bent as much as the network of the pilot: 2.18, 1.426 and 38 there
    optimizer, draw = torch.optim.Adam(f.parameters(), lr=1e-3), generator(1)
    a, b = normal(64, 48, seed=7).float(), normal(64, 48, seed=8).float()

    def measured():
        with torch.no_grad():
            return isometry_loss(f, a, generator(), probes=32).item(), *mean_rtl([f], a, b), mcn(f, a).item()

    loss, rtl, ideal, condition = measured()
    assert loss > 1.8 and rtl > 1.4 and condition > 25
    for _ in range(1500):
        optimizer.zero_grad()
        isometry_loss(f, torch.randn(64, 48, generator=draw), draw).backward()
        optimizer.step()
    loss, after, ideal, condition = measured()
    assert loss < 0.2 and condition < 4 and ideal == pytest.approx(1.1114, abs=0.01)
    assert ideal < after < rtl - 0.1


def test_probes_have_mean_0_and_variance_1_and_what_cannot_be_measured_is_refused():
    for kind in Probe:
        probe = draw_probe(torch.zeros(20000), kind, generator())
        assert probe.mean().item() == pytest.approx(0, abs=0.03) and probe.var().item() == pytest.approx(1, abs=0.03)
    with pytest.raises(ValueError, match="at least one probe and one sample, found 0 and 2"):
        isometry_loss(linear(normal(3, 3)), normal(2, 3), generator(), probes=0)
    with pytest.raises(ValueError, match="found 1 and 0"):
        isometry_loss(linear(normal(3, 3)), normal(0, 3), generator())
    for t, steps in ((0.0, 5), (1.1, 5), (0.5, 0)):
        with pytest.raises(ValueError, match="need t in"):
            states_at(linear(normal(3, 3)), vp_linear(), t, steps=steps)

"""The rules of combination: each does what its formula says, and nothing to one unconstrained gradient."""

import pytest
import torch

from tts.image.guidance.rules import Cap, Moment, Preserve, Smooth, resolve_conflicts, robust_rules

F64 = torch.float64


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def moment(b=3, t=0.5, eps=None):
    x = normal(b, 2, 2, 2, seed=9)
    return Moment(
        x, torch.full((b,), t, dtype=F64), normal(b, 2, 2, 2, seed=8) if eps is None else eps, torch.full((b, 1, 1, 1), 0.5)
    )


def test_every_rule_leaves_one_unconstrained_gradient_as_it_is():
    g, at = 1e-3 * normal(1, 3, 2, 2, 2), moment()
    steady = Smooth()
    steady(g, moment(t=0.9))  # an average of equal gradients
    flat = Preserve(lambda x, t: 0 * x.flatten(1).sum(1)[None])  # nothing to keep
    for rule in (Cap(), Smooth(0.0), steady, resolve_conflicts, flat):
        torch.testing.assert_close(rule(g, at), g, rtol=0, atol=1e-15)


def test_a_cap_shortens_what_is_too_long_to_its_share_of_the_score_and_keeps_the_direction():
    g, at = normal(2, 3, 2, 2, 2), moment()
    g[0, 1] *= 1e-3
    capped = Cap(0.3)(g, at)
    limit = 0.3 * at.eps.flatten(1).norm(dim=1) / 0.5
    torch.testing.assert_close(capped[0, 1], g[0, 1])
    for k, b in ((0, 0), (1, 1), (0, 2)):
        assert g[k, b].norm() > limit[b]
        torch.testing.assert_close(capped[k, b], g[k, b] / g[k, b].norm() * limit[b])
    assert Cap(0.3)(torch.zeros_like(g), at).abs().max() == 0


def test_smoothing_is_a_moving_average_over_falling_times_and_a_new_run_starts_anew():
    first, second, third = (normal(2, 3, 2, 2, 2, seed=s) for s in range(3))
    smooth = Smooth(0.9)
    assert torch.equal(smooth(first, moment(t=1.0)), first)
    torch.testing.assert_close(smooth(second, moment(t=0.8)), 0.9 * first + 0.1 * second)
    # heun asks at 0.8 twice; the second answer follows from the time before, not from the first answer
    torch.testing.assert_close(smooth(third, moment(t=0.8)), 0.9 * first + 0.1 * third)
    torch.testing.assert_close(smooth(second, moment(t=0.5)), 0.9 * (0.9 * first + 0.1 * third) + 0.1 * second)
    assert torch.equal(smooth(third, moment(t=1.0)), third)


def test_conflicting_gradients_lose_what_works_against_the_other_and_agreeing_ones_stay():
    a, b = torch.tensor([1.0, 0.0], dtype=F64), torch.tensor([-1.0, 1.0], dtype=F64)
    g = torch.stack([torch.stack([a, a]), torch.stack([b, -b])])  # (K, B, D): a conflict, then none
    found = resolve_conflicts(g, moment(2))
    torch.testing.assert_close(found[:, 0], torch.tensor([[0.5, 0.5], [0.0, 1.0]], dtype=F64))
    torch.testing.assert_close(found[:, 1], g[:, 1])
    for i, j in ((0, 1), (1, 0)):
        assert (found[i, 0] * g[j, 0]).sum().abs() < 1e-15


def test_what_is_preserved_is_not_changed_to_first_order_also_where_its_gradients_are_dependent():
    g, at, w = normal(2, 3, 2, 2, 2), moment(), normal(2, 8, seed=4)

    def keep(x, t):
        first, second = x.flatten(1) @ w.T.to(x), x.flatten(1).square().sum(1)
        return torch.stack([first[:, 0], 3 * first[:, 0], second, first[:, 1] * 1e-3])

    found = Preserve(keep)(g, at).flatten(2)
    rows = torch.stack([w[0].expand(3, 8), at.x.flatten(1), w[1].expand(3, 8)])
    assert (found[:, None] * rows).sum(-1).abs().max() < 1e-10
    # the least change that does it: what was taken lies in their span
    taken = (g.flatten(2) - found)[0, 0]
    span = torch.stack([row[0] for row in rows])
    residual = taken - span.T @ torch.linalg.lstsq(span.T, taken).solution
    assert residual.norm() < 1e-10


def run_rules(rules, g, at):
    for rule in rules:
        g = rule(g, at)
    return g


def inner(a, b):
    return (a * b).flatten(1).sum(1)


def square(x, t):
    return x.flatten(1).square().sum(1)[None]


def test_all_rules_together_keep_the_cap_the_kept_and_the_peace_at_every_step_of_a_run():
    """The scores shrink on the way, so an average of capped gradients alone is too long; averages conflict anew."""
    rules, averaged, broken = robust_rules(cap=0.5, smooth=0.9, keep=square, resolve=True), robust_rules(cap=0.5, smooth=0.9), 0
    for step, t in enumerate((0.9, 0.7, 0.5, 0.3, 0.1)):
        g, at = normal(2, 40, 2, 2, 2, seed=step), moment(40, t, eps=t * normal(40, 2, 2, 2, seed=8))
        mean, found = run_rules(averaged, g, at), run_rules(rules, g, at)
        limit = 0.5 * at.eps.flatten(1).norm(dim=1) / 0.5
        assert bool((found.flatten(2).norm(dim=2) <= limit * (1 + 1e-12)).all())
        for i, j in ((0, 1), (1, 0)):
            assert inner(found[i], at.x).abs().max() < 1e-6  # the gradient of what is kept is 2 x
            assert inner(found[i], mean[j]).min() > -1e-12  # nor does one work against what the other was
            broken += int((inner(mean[i], mean[j]) < 0).sum())
    assert broken > 40


def test_in_the_other_order_of_the_kept_and_of_conflicts_the_conflicts_come_back():
    g, at = normal(2, 200, 2, 2, 2), moment(200)
    preserve = Preserve(square)
    there = run_rules(robust_rules(keep=square, resolve=True), g, at)
    back = preserve(resolve_conflicts(g, at), at)
    assert inner(there[0], g[1]).min() > -1e-12 and inner(there[0], at.x).abs().max() < 1e-12
    assert inner(back[0], back[1]).min() < -0.1


def test_a_wish_against_what_is_kept_leaves_nothing_that_another_could_be_turned_by():
    at, other = moment(), normal(1, 3, 2, 2, 2)
    found = run_rules(robust_rules(keep=square, resolve=True), torch.cat([-3 * at.x[None], other]), at)
    assert found[0].abs().max() == 0
    torch.testing.assert_close(found[1], Preserve(square)(other, at)[0], rtol=0, atol=0)


def test_rules_that_are_not_asked_for_are_none_and_all_of_them_leave_one_gradient_as_it_is():
    assert robust_rules() == [] and robust_rules(resolve=True) == [resolve_conflicts]
    assert robust_rules(cap=0.4) == [Cap(0.4)]
    g, at = 1e-3 * normal(1, 3, 2, 2, 2), moment()
    torch.testing.assert_close(run_rules(robust_rules(cap=0.4, smooth=0.9, resolve=True), g, at), g, rtol=0, atol=0)
    with pytest.raises(ValueError, match="share must be"):
        robust_rules(cap=0.0)
    with pytest.raises(ValueError, match="decay must be"):
        robust_rules(smooth=-0.1)


def test_a_batch_equals_its_singles():
    g, at = normal(2, 3, 2, 2, 2), moment()
    keep = Preserve(lambda x, t: x.flatten(1).square().sum(1)[None])
    for rule in (Cap(0.3), resolve_conflicts, keep):
        together = rule(g, at)
        for b in range(3):
            alone = rule(g[:, b : b + 1], Moment(at.x[b : b + 1], at.t[b : b + 1], at.eps[b : b + 1], at.sigma[b : b + 1]))
            torch.testing.assert_close(alone[:, 0], together[:, b])


def test_what_a_rule_cannot_do_is_refused():
    for make, message in [
        (lambda: Cap(0.0), "share must be finite and above 0"),
        (lambda: Smooth(1.0), "decay must be in"),
        (
            lambda: Smooth()(normal(1, 2, 3), Moment(*[torch.zeros(2, 3)], torch.tensor([0.1, 0.2]), *[torch.zeros(2, 3)] * 2)),
            "at one time",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            make()
    smooth = Smooth()
    smooth(normal(1, 3, 2), moment(t=0.9))
    with pytest.raises(ValueError, match="Make one for each run"):
        smooth(normal(1, 2, 2), moment(2, t=0.5))

"""DisDiff's losses in closed cases."""

import math

import torch

from tts.image.factor_losses import factor_losses

CODE = torch.tensor([[[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]]])
PLAIN = torch.zeros(1, 3, 2)


def losses(moved, factor):
    return factor_losses(CODE, PLAIN, moved, torch.tensor([factor]))


def test_where_nothing_moves_both_are_ln_n():
    found = losses(PLAIN, 1)
    assert found.invariant.item() == found.variant.item() == torch.tensor(3.0).log().item()


def test_both_are_cross_entropies_of_the_distances():
    moved = torch.tensor([[[3.0, 4.0], [0.0, 0.0], [0.0, 1.0]]])
    # d = (5, 0, 1);  d_n = (5, 2, 1), d_p = (0, 2, sqrt 2), their difference (5, 0, 1 - sqrt 2)
    found = losses(moved, 0)
    torch.testing.assert_close(found.invariant[0].item(), math.log(math.exp(5) + 1 + math.exp(1)) - 5)
    torch.testing.assert_close(found.variant[0].item(), math.log(math.exp(5) + 1 + math.exp(1 - 2**0.5)) - 5, rtol=1e-5, atol=0)
    assert found.hit.item() == 1
    assert losses(moved, 2).hit.item() == 0


def test_one_factor_that_moves_far_alone_is_invariant_and_only_the_way_to_its_code_is_variant():
    there = PLAIN.clone()
    there[0, 0] = CODE[0, 0]
    away = -there
    assert losses(20 * there, 0).invariant.item() < 1e-6
    assert losses(20 * away, 0).invariant.item() < 1e-6
    assert losses(there, 0).variant.item() < math.log(3) < losses(away, 0).variant.item()


def test_the_gradient_of_the_variant_loss_moves_the_code_to_its_truth_and_never_the_truth():
    moved = (0.1 * CODE).requires_grad_()
    code = CODE.clone().requires_grad_()
    factor_losses(code, PLAIN, moved, torch.tensor([0])).variant.sum().backward()
    step = -moved.grad
    assert (step[0, 0] * CODE[0, 0]).sum() > 0
    assert code.grad is None


def test_the_gradient_where_nothing_moves_is_finite():
    moved = PLAIN.clone().requires_grad_()
    found = factor_losses(CODE, PLAIN, moved, torch.tensor([0]))
    (found.invariant + found.variant).sum().backward()
    assert torch.isfinite(moved.grad).all()

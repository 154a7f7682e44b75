"""Representations in blocks (T12): rotations, the order of products, free units, steps, soft blocks."""

import math

import pytest
import torch

from tts.image.groups.config import HaeConfig, TransitionKind
from tts.image.groups.soft_blocks import block_sizes, soft_block_penalty, split_norms
from tts.image.groups.transitions import (
    FreeTransition,
    GroupRep,
    StepRep,
    block_diagonal,
    build_transition,
    without_structure,
)
from tts.testing import seeded


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_rho_of_a_rotation_vector_is_that_rotation(rotations):
    quarter = torch.tensor([[0, 0, math.pi / 2]], dtype=torch.float64)
    expected = torch.tensor([[[0, -1, 0], [1, 0, 0], [0, 0, 1]]], dtype=torch.float64)
    torch.testing.assert_close(rotations.rho(quarter), expected)


def test_the_exponential_of_skew_blocks_is_orthogonal_with_determinant_1(rotations):
    rho = rotations.rho(random(8, 3))
    torch.testing.assert_close(rho @ rho.mT, torch.eye(3, dtype=torch.float64).expand(8, 3, 3))
    torch.testing.assert_close(torch.linalg.det(rho), torch.ones(8, dtype=torch.float64))


def test_blocks_stand_in_their_order_and_free_units_stay():
    rep = seeded(lambda: GroupRep((2, 1, 3), 2, 2, 8, 1), spread=0.3)
    g, z = random(4, 2).float(), random(4, 8, seed=1).float()
    rho, algebra = rep.rho(g), rep.algebra(g)
    torch.testing.assert_close(rho, torch.linalg.matrix_exp(algebra))
    edges = [(0, 2), (2, 3), (3, 6), (6, 7), (7, 8)]
    inside = torch.zeros(8, 8, dtype=torch.bool)
    for start, end in edges:
        inside[start:end, start:end] = True
    assert (rho[:, ~inside] == 0).all() and (rho[:, 6:, 6:] == torch.eye(2)).all()
    for (start, end), block in zip(edges, rep.blocks(g), strict=False):
        assert torch.equal(algebra[:, start:end, start:end], block)
    moved = rep.act(g, z)
    torch.testing.assert_close(moved, torch.stack([m @ v for m, v in zip(rho, z, strict=True)]))
    assert torch.equal(moved[:, 6:], z[:, 6:])


def test_an_untrained_representation_is_near_the_identity():
    rho = seeded(lambda: GroupRep((2, 2), 0, 2, 64, 2)).rho(torch.randn(64, 2, generator=torch.Generator().manual_seed(0)))
    assert (rho - torch.eye(4)).abs().max() < 0.2


def test_steps_are_a_one_parameter_group_and_attributes_move_their_own_blocks():
    rep = seeded(lambda: StepRep((2, 3), 1, 3), spread=0.5).double()
    zero = torch.zeros(1, 1, dtype=torch.float64)
    a, b = (torch.cat([c, zero, zero], dim=1) for c in (random(1, 1), random(1, 1, seed=1)))
    torch.testing.assert_close(rep.rho(a) @ rep.rho(b), rep.rho(a + b))
    first, second = (torch.tensor([[0.0, *y]], dtype=torch.float64) for y in ((1, 0), (0, 1)))
    assert (rep.algebra(first)[0, 2:] == 0).all() and (rep.algebra(second)[0, :2] == 0).all()
    torch.testing.assert_close(rep.rho(first) @ rep.rho(second), rep.rho(first + second))


def test_a_transition_without_structure_gets_as_many_parameters():
    config = HaeConfig(size=16, phi_width=64)
    free = without_structure(config)
    group, compared = (sum(p.numel() for p in build_transition(c).parameters()) for c in (config, free))
    assert group == 3 * 64 + 65 * 64 + 65 * 8  # 2 -> 64 -> 64 -> 2 blocks of 4
    assert abs(compared / group - 1) < 0.02 and free.transition is TransitionKind.free
    transition = seeded(lambda: build_transition(free))
    assert isinstance(transition, FreeTransition) and transition.act(torch.zeros(3, 2), torch.zeros(3, 4)).shape == (3, 4)


def test_the_penalty_is_0_for_exact_blocks_with_a_finite_gradient_and_names_every_split():
    blocks = block_diagonal([random(5, 2, 2), random(5, 1, 1, seed=1)]).requires_grad_()
    norms = split_norms(blocks)
    expected = (blocks[:, 0, 1] ** 2 + blocks[:, 1, 0] ** 2).mean().sqrt()
    torch.testing.assert_close(norms, torch.stack([expected, torch.zeros((), dtype=torch.float64)]), rtol=0, atol=1e-6)
    assert norms[1] == 0
    soft_block_penalty(blocks).backward()
    assert blocks.grad.isfinite().all()
    assert soft_block_penalty(torch.diag_embed(random(5, 3))) == 0
    assert soft_block_penalty(random(5, 1, 1)) == 0


def test_blocks_are_read_off_the_algebra():
    algebra = block_diagonal([random(9, 2, 2), random(9, 1, 1, seed=1), random(9, 3, 3, seed=2)])
    assert block_sizes(algebra) == (2, 1, 3)
    assert block_sizes(algebra + 0.001 * random(9, 6, 6, seed=3)) == (2, 1, 3)
    assert block_sizes(random(9, 6, 6)) == (6,)
    with pytest.raises(ValueError, match="tolerance"):
        block_sizes(algebra, 1.0)

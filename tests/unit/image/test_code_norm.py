"""The norm of codes: batch statistics in training only, running ones that converge, a batch that equals its singles."""

import pytest
import torch

from tts.image.code_norm import CodeNorm


def codes(n, seed=0):
    z = torch.randn(n, 3, 2, generator=torch.Generator().manual_seed(seed))
    return 0.05 * z + torch.tensor([4.0, -1.0])


def test_training_standardises_every_number_by_its_batch_and_running_statistics_reach_the_data():
    norm = CodeNorm(3, 2)
    for seed in range(50):
        z = norm(codes(64, seed))
        assert z.mean(0).abs().max() < 1e-4
        torch.testing.assert_close(z.var(0, correction=0), torch.ones(3, 2), rtol=0, atol=0.01)
    torch.testing.assert_close(norm.mean, torch.tensor([4.0, -1.0]).expand(3, 2), rtol=0, atol=0.004)
    torch.testing.assert_close(norm.variance.sqrt(), torch.full((3, 2), 0.05), rtol=0.05, atol=0)


def test_the_first_batch_sets_the_running_statistics():
    norm, z = CodeNorm(3, 2), codes(8)
    norm(z)
    torch.testing.assert_close(norm.mean, z.mean(0))
    torch.testing.assert_close(norm.variance, z.var(0))


def test_at_evaluation_a_code_does_not_depend_on_its_neighbours_and_nothing_is_learned():
    norm = CodeNorm(3, 2)
    norm(codes(64))
    mean, z = norm.mean.clone(), codes(5, 9)
    for standardised in (norm.standardize(z), norm.eval()(z)):
        torch.testing.assert_close(standardised, torch.cat([norm.standardize(row[None]) for row in z]))
    # a batch with one value everywhere keeps it: batch statistics would make it 0
    assert norm(z[:1].expand(4, -1, -1)).abs().min() > 0
    assert torch.equal(norm.mean, mean)


def test_one_code_has_no_spread():
    with pytest.raises(ValueError, match="at least 2 of them, found 1"):
        CodeNorm(3, 2)(codes(1))
    with pytest.raises(ValueError, match="momentum must be in"):
        CodeNorm(3, 2, momentum=0)


def test_codes_in_half_precision_are_standardised_in_full():
    norm, z = CodeNorm(3, 2), codes(64).bfloat16()
    full = CodeNorm(3, 2)
    torch.testing.assert_close(norm(z), full(z.float()), rtol=0, atol=0)
    torch.testing.assert_close(norm.variance, full.variance, rtol=0, atol=0)

"""Noise by frame: pieces agree with the whole, seeds and draws differ, it is standard normal."""

import pytest
import torch

from tts.speech.frame_noise import FrameNoise, draw_frames


@pytest.mark.parametrize(("first", "n_frames"), [(0, 1), (0, 200), (63, 2), (64, 64), (130, 70)])
def test_a_frame_has_the_same_numbers_in_whatever_piece_it_is_asked(first, n_frames):
    whole = draw_frames(torch.randn, (3,), 0, 256, 5)
    assert torch.equal(draw_frames(torch.randn, (3,), first, n_frames, 5), whole[first : first + n_frames])


def test_seeds_and_draws_have_other_noise_and_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    like = torch.zeros(2, 4, 100)
    noise = FrameNoise([1, 2], [100, 60], [0, 0])
    first, second = noise(like), noise(like)
    assert torch.equal(first, FrameNoise([1, 2], [100, 60], [0, 0])(like))
    assert not torch.equal(first, second)
    assert not torch.equal(first[0, :, :60], first[1, :, :60])
    assert first[1, :, 60:].abs().max() == 0
    assert torch.equal(torch.get_rng_state(), state)


def test_it_is_standard_normal_and_no_block_repeats_another():
    values = draw_frames(torch.randn, (0, 0), 0, 6400, 80)  # 512,000 numbers: 5 standard errors are .007 and .005
    assert abs(values.mean()) < 0.007
    assert abs(values.std() - 1) < 0.005
    blocks = values.view(100, -1)
    correlation = blocks @ blocks.T / blocks.shape[1]
    assert (correlation - torch.eye(100)).abs().max() < 0.1


def test_negative_and_large_seeds_are_seeds():
    values = [draw_frames(torch.randn, (seed,), 0, 3, 2) for seed in (-1, 0, 2**40)]
    assert not torch.equal(values[0], values[1])
    assert not torch.equal(values[1], values[2])

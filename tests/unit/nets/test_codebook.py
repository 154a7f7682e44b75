"""The codebook of moving averages: nearest codes, one update by hand, dead codes, its state."""

import pytest
import torch

from tts.nets.codebook import EmaCodebook


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def codebook_of(vectors, counts, decay=0.99):
    codebook = EmaCodebook(*vectors.shape, decay)
    codebook.vectors.copy_(vectors)
    codebook.counts.copy_(counts)
    codebook.sums.copy_(vectors * counts[:, None])
    return codebook


def test_the_nearest_code_is_that_of_all_distances():
    draw = generator()
    codebook = codebook_of(torch.randn(7, 5, generator=draw), torch.ones(7))
    x = torch.randn(3, 11, 5, generator=draw)
    assert torch.equal(codebook.nearest(x), torch.cdist(x, codebook.vectors.expand(3, -1, -1)).argmin(-1))
    assert torch.equal(codebook.lookup(codebook.nearest(codebook.vectors)), codebook.vectors)


def test_an_update_is_the_moving_average_worked_out_by_hand():
    codebook = codebook_of(torch.tensor([[0.0, 0.0], [4.0, 2.0]]), torch.tensor([10.0, 5.0]), decay=0.9)
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0], [5.0, 1.0]])
    codebook.update(x, torch.tensor([0, 0, 0, 1]), generator())
    # N_0 = .9 * 10 + .1 * 3, S_0 = .9 * (0, 0) + .1 * (3, 3); N_1 = .9 * 5 + .1 * 1, S_1 = .9 * (20, 10) + .1 * (5, 1)
    torch.testing.assert_close(codebook.counts, torch.tensor([9.3, 4.6]))
    torch.testing.assert_close(codebook.sums, torch.tensor([[0.3, 0.3], [18.5, 9.1]]))
    torch.testing.assert_close(codebook.vectors, torch.tensor([[0.3 / 9.3, 0.3 / 9.3], [18.5 / 4.6, 9.1 / 4.6]]))


def test_a_dead_code_begins_anew_on_a_vector_of_the_batch_and_the_others_stay():
    codebook = codebook_of(torch.tensor([[0.0], [100.0]]), torch.tensor([50.0, 1.005]))
    x = torch.arange(1.0, 9.0)[:, None]
    codebook.update(x, torch.zeros(8, dtype=torch.int64), generator(3))  # .99 * 1.005 < 1
    assert codebook.vectors[1].item() in x
    assert (codebook.counts[1].item(), codebook.sums[1].item()) == (1.0, codebook.vectors[1].item())
    assert codebook.vectors[0].item() == pytest.approx(0.36 / 49.58)  # .01 * 36 over .99 * 50 + .01 * 8
    again = codebook_of(torch.tensor([[0.0], [100.0]]), torch.tensor([50.0, 1.005]))
    again.update(x, torch.zeros(8, dtype=torch.int64), generator(3))
    assert torch.equal(again.vectors, codebook.vectors)


def test_it_starts_on_as_many_different_vectors_as_there_are():
    codebook = EmaCodebook(5, 1, 0.99)
    assert codebook.is_empty
    codebook.start(torch.arange(20.0)[:, None], generator())
    assert not codebook.is_empty
    assert len(set(codebook.vectors.flatten().tolist())) == 5
    few = EmaCodebook(5, 1, 0.99)
    few.start(torch.tensor([[1.0], [2.0]]), generator())
    assert set(few.vectors.flatten().tolist()) == {1.0, 2.0}


def test_the_averages_are_buffers_and_come_back_from_a_state():
    codebook = EmaCodebook(4, 3, 0.99)
    assert list(codebook.parameters()) == []
    x = torch.randn(32, 3, generator=generator())
    codebook.start(x, generator())
    codebook.update(x, codebook.nearest(x), generator(1))
    other = EmaCodebook(4, 3, 0.99)
    other.load_state_dict(codebook.state_dict())
    for step in range(3):
        for one in (codebook, other):
            one.update(x, one.nearest(x), generator(step))
    for name, value in codebook.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_codes_find_the_middles_of_two_clouds():
    draw = generator()
    x = torch.cat((torch.randn(50, 2, generator=draw) * 0.1 + 3, torch.randn(50, 2, generator=draw) * 0.1 - 3))
    codebook = EmaCodebook(2, 2, 0.5)
    codebook.start(x[:2], draw)  # both in the first cloud
    for _ in range(30):
        codebook.update(x, codebook.nearest(x), draw)
    middles = sorted(codebook.vectors.tolist())
    torch.testing.assert_close(torch.tensor(middles), torch.stack((x[50:].mean(0), x[:50].mean(0))), atol=0.05, rtol=0)


def test_half_precision_around_it_changes_nothing():
    vectors, x = (torch.randn(n, 4, generator=generator(n)) for n in (16, 200))
    plain, around = (codebook_of(vectors, torch.full((16,), 5.0)) for _ in range(2))
    codes = plain.nearest(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(around.nearest(x), codes)
        around.update(x, codes, generator())
    plain.update(x, codes, generator())
    assert all(torch.equal(a, b) for a, b in zip(plain.buffers(), around.buffers(), strict=True))

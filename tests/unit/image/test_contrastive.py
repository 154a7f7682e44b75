"""The contrastive loss in closed cases, and an image-text encoder that learns colours in seconds."""

import math

import pytest
import torch

from tts.errors import ConfigError, DataError
from tts.image.contrastive import FIRST_SCALE, ContrastiveConfig, ContrastiveModel, info_nce
from tts.image.registry import build_model, config_from_dict
from tts.nets.text_tower import TextTower
from tts.testing import seeded

NAMES, COUNTS = ("floor_hue", "wall_hue"), (10, 10)
CONFIG = ContrastiveConfig(
    size=8, n_units=16, encoder_width=8, text_width=16, mention=1.0, factor_names=NAMES, factor_sizes=COUNTS
)
EYE = torch.eye(6, dtype=torch.bool)


@pytest.mark.parametrize("scale", [0.0, 1.0, 14.3])
def test_aligned_pairs_that_are_orthogonal_to_all_others_have_the_loss_of_the_formula(scale):
    similarity = scale * torch.eye(6, dtype=torch.float64)
    wanted = math.log(math.exp(scale) + 5) - scale  # ln 6 at scale 0
    assert info_nce(similarity, EYE).item() == pytest.approx(wanted)


def test_in_the_limit_of_temperature_0_alignment_costs_nothing_and_misalignment_without_bound():
    similarity = torch.eye(6, dtype=torch.float64)
    assert info_nce(1000 * similarity, EYE).item() == pytest.approx(0)
    assert info_nce(1000 * similarity.roll(1, 0), EYE).item() == pytest.approx(1000)


def test_a_sentence_that_is_true_of_several_images_is_no_false_negative():
    true = torch.block_diag(torch.ones(3, 3), torch.ones(3, 3)).bool()
    assert info_nce(1000.0 * true, true).item() == pytest.approx(0)
    assert info_nce(torch.zeros(6, 6), true).item() == pytest.approx(math.log(2))
    assert info_nce(
        torch.randn(6, 6, generator=torch.Generator().manual_seed(0)), torch.ones_like(true)
    ).item() == pytest.approx(0)
    with pytest.raises(ValueError, match="every image needs a sentence"):
        info_nce(torch.zeros(6, 6), torch.zeros_like(true))


def test_the_temperature_starts_at_clips_and_is_held():
    model = seeded(lambda: ContrastiveModel(CONFIG))
    assert model.scale.item() == pytest.approx(1 / 0.07) == FIRST_SCALE
    with torch.no_grad():
        model.log_scale.fill_(10.0)
    assert model.scale.item() == 100


def test_a_sentence_has_the_same_vector_beside_longer_ones_and_word_order_counts():
    tower = seeded(lambda: TextTower(9, 8, 4), spread=0.1)
    together = tower(torch.tensor([[1, 2, 0, 0, 0], [1, 2, 3, 4, 5]]))
    torch.testing.assert_close(together[0], tower(torch.tensor([[1, 2]]))[0])
    model = seeded(lambda: ContrastiveModel(CONFIG), spread=0.1)
    same, other = model.encode_text(["red floor and blue wall", "blue floor and red wall"])
    assert (same - other).abs().max() > 1e-3


def rooms(factors):
    """The upper half in the wall's colour, the lower in the floor's: colours on three waves."""
    angle = 2 * math.pi * factors[:, :, None] / 10 + torch.tensor([0.0, 2.1, 4.2])
    floor, wall = angle.cos().unbind(1)
    return torch.cat([c[:, :, None, None].expand(-1, -1, 4, 8) for c in (wall, floor)], dim=2)


def test_it_learns_to_tell_which_sentence_is_about_which_image():
    model, draws = seeded(lambda: ContrastiveModel(CONFIG)).train(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters_of("main"), lr=5e-3)
    first = last = 0.0
    for i in range(60):
        factors = torch.randint(10, (24, 2), generator=draws)
        optimizer.zero_grad()
        loss = model.losses(rooms(factors), factors, draws)["contrastive"]
        loss.backward()
        optimizer.step()
        first, last = (loss.item() if i == 0 else first), loss.item()
    assert last < 0.5 * first
    with torch.no_grad():
        factors = torch.stack([torch.arange(10), (3 * torch.arange(10) + 1) % 10], dim=1)
        texts = [f"there is {model.sentences.phrase(0, a)} and {model.sentences.phrase(1, b)}" for a, b in factors.tolist()]
        best = (model.encode(rooms(factors)).flatten(1) @ model.encode_text(texts).T).argmax(1)
    assert (best == torch.arange(10)).float().mean() >= 0.7
    assert [phrases.shape for phrases in model.phrases()] == [(10, 16), (10, 16)]
    torch.testing.assert_close(model.phrases()[1][3:4], model.encode_text([model.sentences.phrase(1, 3)]))


def test_a_seed_fixes_the_sentences():
    model, factors = (
        seeded(lambda: ContrastiveModel(CONFIG)),
        torch.randint(10, (4, 2), generator=torch.Generator().manual_seed(1)),
    )
    one, same, other = (
        model.losses(rooms(factors), factors, torch.Generator().manual_seed(s))["contrastive"] for s in (0, 0, 1)
    )
    assert one == same != other


def test_images_without_their_factors_unknown_words_and_names_without_sizes_are_refused():
    model = seeded(lambda: ContrastiveModel(CONFIG))
    with pytest.raises(DataError, match="2 factors of each image, found none"):
        model.losses(torch.zeros(2, 3, 8, 8), None, torch.Generator())
    with pytest.raises(ValueError, match="unknown: purple"):
        model.encode_text(["purple floor"])
    with pytest.raises(ConfigError, match="factor_names"):
        ContrastiveConfig(factor_names=("a",), factor_sizes=(2, 3))
    with pytest.raises(ConfigError, match="missing key"):
        config_from_dict({"kind": "contrastive"})
    values = {"kind": "contrastive", "size": 8, "factor_names": ["x"], "factor_sizes": [32]}
    assert isinstance(build_model(config_from_dict(values)), ContrastiveModel)

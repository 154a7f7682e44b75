"""Every sentence about a scene maps back to the factors it was made from."""

import numpy as np
import pytest

from tts.image.factors import FactorSpace
from tts.image.sentences import OPENINGS, UNSAID, Sentences
from tts.image.shapes import Shapes
from tts.image.sprites import Sprites

ARM = FactorSpace(("camera_height", "shape", "joint"), (3, 6, 40))  # without words of its own
SPACES = {"shapes": Shapes.factors, "sprites": Sprites.factors, "arm": ARM}
every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


@every_space
def test_every_phrase_of_every_value_is_its_own_and_maps_back(space):
    sentences = Sentences(space)
    phrases = {}
    for k, size in enumerate(space.sizes):
        for v in range(size):
            phrases[sentences.phrase(k, v)] = (k, v)
            found = sentences.parse(sentences.phrase(k, v))
            assert found[k] == v
            assert (np.delete(found, k) == UNSAID).all()
    assert len(phrases) == sum(space.sizes)


@every_space
def test_a_sentence_maps_back_to_what_it_says_and_a_full_one_to_the_scene(space):
    sentences, draws, vocabulary = Sentences(space), np.random.default_rng(0), set(Sentences(space).vocabulary())
    counts, openings = [], set()
    for factors in space.factors(draws.integers(len(space), size=300)):
        assert (sentences.parse(sentences.sentence(factors, draws)) == factors).all()
        sentence = sentences.sentence(factors, draws, mention=0.3)
        found = sentences.parse(sentence)
        said = found != UNSAID
        assert said.any()
        assert (found[said] == factors[said]).all()
        assert set(sentence.split()) <= vocabulary
        counts.append(said.mean())
        openings |= {opening for opening in OPENINGS if sentence.startswith(opening)}
    assert 0.25 < np.mean(counts) < 0.5
    assert openings == set(OPENINGS)


def test_a_sentence_is_true_of_all_scenes_that_it_fits():
    sentences = Sentences(FactorSpace(("shape", "x"), (3, 2)))
    factors = np.array([[0, 0], [0, 1], [2, 1]])
    said = np.stack([sentences.parse(text) for text in ("a scene with square shape", "column 1", "column 1 and heart shape")])
    assert sentences.true_of(said, factors).tolist() == [[True, False, False], [True, True, False], [False, True, True]]


def test_words_it_does_not_know_and_factors_said_twice_are_refused():
    sentences = Sentences(Sprites.factors)
    with pytest.raises(ValueError, match="'purple sky' says nothing of shape"):
        sentences.parse("there is purple sky")
    with pytest.raises(ValueError, match="speaks twice of shape"):
        sentences.parse("square shape and heart shape")
    with pytest.raises(ValueError, match="factor 0 with value 3"):
        sentences.phrase(0, 3)
    with pytest.raises(ValueError, match="mention"):
        sentences.sentence(np.zeros(5, dtype=np.int64), np.random.default_rng(0), mention=0)

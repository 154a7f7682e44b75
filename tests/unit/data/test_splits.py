from pathlib import Path

import pytest

from tts.data.manifest import Utterance
from tts.data.splits import split_utterances
from tts.errors import DataError


def utterances(n, speakers=("eve",), text=True):
    return [
        Utterance(id=f"{s}_{i:04d}", audio=Path("x"), text=f"sentence {i}" if text else "", speaker=s)
        for s in speakers
        for i in range(1, n + 1)
    ]


def ids(members):
    return [u.id for u in members]


def test_every_21st_of_850_sentences_makes_40_for_evaluation():
    sets = split_utterances(utterances(850), holdout_every=21)
    assert ids(sets["eval"]) == [f"eve_{i:04d}" for i in range(21, 851, 21)]
    assert {name: len(members) for name, members in sets.items()} == {"train": 810, "eval": 40}


def test_counts_are_spread_evenly_and_the_sets_are_disjoint_and_complete():
    everything = utterances(100)
    sets = split_utterances(everything, n_eval=4, n_dev=3)
    assert ids(sets["eval"]) == ["eve_0025", "eve_0050", "eve_0075", "eve_0100"]
    assert len(sets["dev"]) == 3
    assert sorted(ids(everything)) == sorted(i for members in sets.values() for i in ids(members))


def test_a_held_out_sentence_is_heard_in_training_from_nobody():
    sets = split_utterances(utterances(10, ("eve", "bob")), holdout_every=5, n_dev=2)
    assert ids(sets["eval"]) == ["eve_0005", "eve_0010", "bob_0005", "bob_0010"]
    texts = {name: {u.text for u in members} for name, members in sets.items()}
    assert not texts["train"] & (texts["eval"] | texts["dev"])
    assert not texts["dev"] & texts["eval"]


def test_utterances_without_text_are_sentences_of_their_own():
    sets = split_utterances(utterances(3, ("eve", "bob"), text=False), holdout_every=3)
    assert ids(sets["eval"]) == ["eve_0003", "bob_0003"]


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(DataError, match="leave none for training"):
        split_utterances(utterances(4), n_eval=2, n_dev=2)


@pytest.mark.parametrize("wrong", [{"holdout_every": 1}, {"n_dev": -1}, {"holdout_every": 5, "n_eval": 2}])
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="holdout_every"):
        split_utterances(utterances(4), **wrong)

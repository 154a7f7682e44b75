from pathlib import Path

import pytest

from tts.data.manifest import Utterance
from tts.data.splits import split_corpus, split_utterances, unseen_speakers
from tts.errors import DataError, SpeakerError


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


def test_a_sentence_is_its_words_whatever_their_case_and_punctuation():
    spelt = {"eve": "Will we ever forget it.", "bob": "will we ever forget it", "ann": "Will we — ever — forget it?!"}
    same = [Utterance(id=f"{who}_0000", audio=Path("x"), text=text, speaker=who) for who, text in spelt.items()]
    sets = split_utterances([*utterances(1), *same], holdout_every=2)
    assert ids(sets["eval"]) == ["eve_0000", "bob_0000", "ann_0000"]


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


def crowd(**clips):
    return [u for who, count in clips.items() for u in utterances(count, (who,))]


def test_unseen_speakers_are_unseen_with_all_they_say_and_the_rest_is_split_as_if_they_were_not_there():
    sets = split_corpus(crowd(eve=9, bob=9, ann=12), unseen=["bob"], n_eval=2, n_dev=1)
    assert ids(sets["unseen"]) == [f"bob_{i:04d}" for i in range(1, 10)]
    alone = split_utterances(crowd(eve=9, ann=12), n_eval=2, n_dev=1)
    assert {name: sets[name] for name in ("train", "dev", "eval")} == alone


def test_a_number_of_unseen_speakers_takes_those_with_the_fewest_clips():
    people = crowd(eve=9, bob=4, ann=4, joe=2)
    assert unseen_speakers(people, 1) == {"joe"}
    assert unseen_speakers(people, 2) == {"joe", "ann"}
    assert unseen_speakers(people, 3) == {"joe", "ann", "bob"}


def test_speakers_with_few_clips_are_unseen_beside_those_chosen():
    people = crowd(eve=9, bob=4, ann=5, joe=2)
    assert unseen_speakers(people, (), 5) == {"bob", "joe"}
    assert unseen_speakers(people, ["ann"], 3) == {"ann", "joe"}
    assert unseen_speakers(people, 1, 3) == {"bob", "joe"}


def test_a_clip_without_text_counts_for_nobody_and_has_a_set_of_its_own():
    without = utterances(5, ("bob", "tom"), text=False)
    sets = split_corpus([*crowd(eve=9, bob=4), *without], min_clips=5)
    assert sets["untranscribed"] == without
    assert {u.speaker for u in sets["unseen"]} == {"bob"} and {u.speaker for u in sets["train"]} == {"eve"}
    assert ids(split_corpus(without)["untranscribed"]) == ids(without)
    assert set(split_corpus(without)) == {"untranscribed"}


@pytest.mark.parametrize(
    "options", [{"unseen": 2}, {"unseen": ["eve", "bob"]}, {"min_clips": 10}, {"unseen": 1, "min_clips": 5}]
)
def test_somebody_must_be_left_to_train_on(options):
    with pytest.raises(DataError, match=r"2 speaker\(s\), less . with fewer than .* leave none for training"):
        split_corpus(crowd(eve=9, bob=4), **options)


def test_an_unseen_speaker_must_speak():
    with pytest.raises(SpeakerError, match=r"no speaker 'tom'; the corpus has bob, eve"):
        split_corpus(crowd(eve=9, bob=4), unseen=["tom"])
    with pytest.raises(ValueError, match="expected 0 or more"):
        split_corpus(crowd(eve=9, bob=4), unseen=-1)

import sys

import numpy as np
import pytest

from tts.errors import DataError
from tts.metrics import leak
from tts.metrics.leak import leak_probe

SPEAKERS = ["ada", "bob", "eve"] * 12
NAMES = ("ada", "bob", "eve")
NONE = dict.fromkeys(NAMES, np.zeros((3, 1)))
SAME = dict.fromkeys(NAMES, np.ones((3, 1)))
OWN = {name: 1.0 + 3.0 * np.eye(3)[:, [number]] for number, name in enumerate(NAMES)}


def contents(speakers, mean, spread, seed=0):
    """Noise (3, T) with T from 20 to 40, its mean and spread those of the speaker."""
    generator = np.random.default_rng(seed)
    return [mean[s] + spread[s] * generator.normal(size=(3, generator.integers(20, 40))) for s in speakers]


@pytest.mark.parametrize(("mean", "spread"), [(OWN, SAME), (SAME, OWN)], ids=["mean", "spread"])
def test_speakers_with_a_mean_or_a_spread_of_their_own_are_told_apart_without_fail(mean, spread):
    score = leak_probe(contents(SPEAKERS, mean, spread), SPEAKERS)
    assert (score.accuracy.value, score.accuracy.low, score.accuracy.high) == (pytest.approx(1.0),) * 3
    assert score.chance == pytest.approx(1 / 3)
    assert score.n == score.accuracy.n == 36


def test_content_that_knows_no_speaker_is_named_by_chance():
    """Over 5 draws of 60 utterances the mean has a deviation of about .03; 4 of them raise a false alarm once in 10,000."""
    speakers = SPEAKERS[:30] * 2
    found = [leak_probe(contents(speakers, SAME, SAME, seed), speakers).accuracy for seed in range(5)]
    assert np.mean([accuracy.value for accuracy in found]) == pytest.approx(1 / 3, abs=0.12)
    assert all(accuracy.low < accuracy.value < accuracy.high for accuracy in found)


def test_one_name_for_everything_is_chance_however_unequal_the_speakers(monkeypatch):
    speakers = ["ada"] * 30 + ["bob"] * 2
    monkeypatch.setattr(leak, "_guess", lambda summaries, *_: np.array(["ada"] * len(summaries)))
    score = leak_probe(contents(speakers, SAME, SAME), speakers)
    assert score.accuracy.value == pytest.approx(0.5) and score.chance == 0.5


def test_two_utterances_of_a_speaker_are_enough():
    assert leak_probe(contents(["ada", "bob"] * 2, OWN, NONE), ["ada", "bob"] * 2).accuracy.value == pytest.approx(1.0)


def test_a_seed_fixes_the_score():
    noisy = contents(SPEAKERS, SAME, SAME)
    assert leak_probe(noisy, SPEAKERS, seed=1) == leak_probe(noisy, SPEAKERS, seed=1)


def test_too_few_speakers_or_utterances_of_one_are_refused():
    with pytest.raises(DataError, match="found 1; give utterances of at least two"):
        leak_probe(contents(["ada"] * 3, SAME, SAME), ["ada"] * 3)
    with pytest.raises(DataError, match=r"found 1 of bob, eve \(2 such\)"):
        leak_probe(contents(["ada", "ada", "eve", "bob"], SAME, SAME), ["ada", "ada", "eve", "bob"])


def test_contents_that_do_not_fit_are_refused_by_number():
    good = np.ones((5, 9))
    names = ["ada", "bob"] * 2
    with pytest.raises(ValueError, match="found 1 contents and 4 speakers"):
        leak_probe([good], names)
    for bad in (np.ones((4, 9)), np.ones((5, 0)), np.ones(5)):
        with pytest.raises(ValueError, match="as number 3"):
            leak_probe([good, good, good, bad], names)
    with pytest.raises(DataError, match="content 1 has values that are not finite"):
        leak_probe([good, good * np.nan, good, good], names)


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(ImportError, match=r"pip install 'glottis\[eval\]'"):
        leak_probe(contents(SPEAKERS, SAME, SAME), SPEAKERS)

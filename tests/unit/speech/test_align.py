"""Monotonic alignment: against brute force, and on data whose boundaries are known."""

from itertools import combinations_with_replacement, pairwise

import numpy as np
import pytest

from tts.speech.align import FlatStartAligner, monotonic_path


def brute_force(score, skippable):
    """The best score over every non-decreasing path that visits all states but the skippable ones."""
    frames, states = score.shape
    best = -np.inf
    for path in combinations_with_replacement(range(states), frames):
        missed = [j for j in range(states) if j not in path]
        if all(skippable[j] for j in missed):
            best = max(best, sum(score[t, j] for t, j in enumerate(path)))
    return best


@pytest.mark.parametrize("seed", range(8))
def test_the_path_is_the_best_of_all_monotonic_paths(seed):
    generator = np.random.default_rng(seed)
    score = generator.normal(size=(7, 4))
    path = monotonic_path(score)
    assert (np.diff(path) >= 0).all() and set(path) == {0, 1, 2, 3}
    assert score[np.arange(7), path].sum() == pytest.approx(brute_force(score, [False] * 4))


@pytest.mark.parametrize("seed", range(8))
def test_skippable_states_may_take_no_frame(seed):
    generator = np.random.default_rng(seed)
    score = generator.normal(size=(6, 5))
    skippable = np.array([True, False, True, True, False]) if seed % 2 else np.array([False, True, True, False, True])
    path = monotonic_path(score, skippable)
    assert set(np.flatnonzero(~skippable)) <= set(path)
    assert score[np.arange(6), path].sum() == pytest.approx(brute_force(score, skippable))


def test_as_many_frames_as_states_gives_one_each():
    assert monotonic_path(np.zeros((5, 5))).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("frames", range(1, 7))
def test_long_runs_of_skippable_states_are_walked_or_refused(frames):
    score = np.random.default_rng(frames).normal(size=(frames, 8))
    inner = np.array([False, True, True, True, True, True, True, False])  # at most three in a row are skipped
    if frames < 3:
        with pytest.raises(ValueError, match=f"cannot align 3 states to {frames} frames"):
            monotonic_path(score, inner)
    else:
        path = monotonic_path(score, inner)
        assert path[0] == 0 and path[-1] == 7 and np.diff(path).max() <= 4


def test_too_few_frames_and_broken_scores_are_refused():
    with pytest.raises(ValueError, match="cannot align 4 states to 3 frames"):
        monotonic_path(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="finite"):
        monotonic_path(np.full((4, 2), np.nan))


def planted(generator, spectra, n_utterances):
    """Utterances of pause, sounds, pause with random durations; each sound is its own mel spectrum plus noise."""
    mels, phones, durations = [], [], []
    names = [n for n in spectra if n != "pause"]
    for _ in range(n_utterances):
        symbols = [" ", *generator.choice(names, 6), "."]
        lengths = generator.integers(3, 9, len(symbols))
        frames = [spectra["pause" if s in " ." else s] for s, d in zip(symbols, lengths, strict=True) for _ in range(d)]
        mels.append(np.array(frames).T + 0.3 * generator.normal(size=(80, lengths.sum())))
        phones.append(list(map(str, symbols)))
        durations.append(lengths)
    return mels, phones, durations


def test_planted_boundaries_are_found_from_a_flat_start():
    generator = np.random.default_rng(0)
    spectra = {name: generator.normal(size=80).cumsum() / 3 for name in "abcde"} | {"pause": np.full(80, -9.0)}
    mels, phones, durations = planted(generator, spectra, 40)
    aligner = FlatStartAligner(iterations=10)
    likelihoods = []
    aligner.fit(mels, phones, lambda _, value: likelihoods.append(value))
    found = [aligner.align(mel, symbols) for mel, symbols in zip(mels, phones, strict=True)]
    errors = np.concatenate([np.abs(np.cumsum(f) - np.cumsum(d)) for f, d in zip(found, durations, strict=True)])
    repeated = sum(a == b for symbols in phones for a, b in pairwise(symbols))
    assert (errors > 1).sum() <= repeated  # a boundary between twice the same sound cannot be seen
    assert all(f.sum() == mel.shape[1] for f, mel in zip(found, mels, strict=True))
    assert likelihoods[-1] > likelihoods[0]


def test_an_unheard_sound_is_still_placed():
    generator = np.random.default_rng(1)
    spectra = {name: generator.normal(size=80).cumsum() / 3 for name in "abc"} | {"pause": np.full(80, -9.0)}
    mels, phones, _ = planted(generator, spectra, 10)
    aligner = FlatStartAligner(iterations=3)
    aligner.fit(mels, phones)
    durations = aligner.align(mels[0], [*phones[0][:3], "x", *phones[0][4:]])
    assert durations.sum() == mels[0].shape[1] and durations[3] >= 1


def test_an_utterance_of_pauses_alone_is_refused():
    with pytest.raises(ValueError, match="utterance 0: no sound among its 3 phones"):
        FlatStartAligner().fit([np.zeros((80, 9))], [[" ", ",", "."]])


def test_more_sounds_than_frames_names_the_utterance():
    with pytest.raises(ValueError, match="utterance 1: 2 frames for 4 phones"):
        FlatStartAligner().fit([np.zeros((80, 9)), np.zeros((80, 2))], [["a"], ["a", "b", "c", "d"]])

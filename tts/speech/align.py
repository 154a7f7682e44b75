"""Monotonic alignment of phones and mel frames, found once before training by Viterbi EM from a flat start.

Alignments found first let every training step be spent on speech, and make a step a function of its batch alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.sparse import csr_array

from tts.text.frontends import PUNCTUATION, WORD_BOUNDARY

PAUSES = frozenset((WORD_BOUNDARY, *PUNCTUATION))
MAX_SKIP = 3


@njit(cache=True)
def _viterbi(  # noqa: C901  one loop nest, compiled
    score: NDArray[np.float64], skippable: NDArray[np.bool_]
) -> NDArray[np.int32]:
    frames, states = score.shape
    best = np.full((frames, states), -np.inf)
    came_from = np.zeros((frames, states), np.int32)
    for j in range(min(MAX_SKIP + 1, states)):
        if j and not skippable[j - 1]:
            break
        best[0, j] = score[0, j]
    for t in range(1, frames):
        for j in range(states):
            top, origin = best[t - 1, j], j
            for back in range(1, MAX_SKIP + 2):
                i = j - back
                if i < 0 or (back > 1 and not skippable[i + 1]):
                    break
                if best[t - 1, i] > top:
                    top, origin = best[t - 1, i], i
            best[t, j] = top + score[t, j]
            came_from[t, j] = origin
    j = states - 1
    for back in range(1, MAX_SKIP + 1):
        i = states - 1 - back
        if i < 0 or not skippable[i + 1]:
            break
        if best[frames - 1, i] > best[frames - 1, j]:
            j = i
    path = np.empty(frames, np.int32)
    for t in range(frames - 1, -1, -1):
        path[t] = j
        j = came_from[t, j]
    return path


def monotonic_path(score: NDArray[np.floating], skippable: NDArray[np.bool_] | None = None) -> NDArray[np.int32]:
    """State of every frame on the monotonic path of the highest total score.

        max over paths of sum_t score[t, path(t)],   path non-decreasing from first to last state

    Every state takes at least one frame, unless it is `skippable` (at most three in a row are skipped).

    Args:
        score: log-likelihood of frame t in state j, (T, L).
        skippable: (L,), states that may take no frame; none by default.

    Returns:
        (T,) int32, state indices.

    Raises:
        ValueError: if there are fewer frames than states that must be visited, or the scores are not finite.

    Source: Kim et al. 2020 (Glow-TTS) sec. 3.3, monotonic alignment search, which is Viterbi on a left-to-right HMM.
    """
    frames, states = score.shape
    skippable = np.zeros(states, np.bool_) if skippable is None else skippable
    needed = _frames_needed(skippable)
    if frames < needed:
        raise ValueError(f"cannot align {needed} states to {frames} frames; every state needs a frame.")
    if not np.isfinite(score).all():
        raise ValueError("alignment scores must be finite.")
    return _viterbi(np.ascontiguousarray(score, np.float64), skippable)


def _frames_needed(skippable: NDArray[np.bool_]) -> int:
    """Frames of the shortest path: one a state that must be visited, and one in every MAX_SKIP + 1 skippable ones in a row."""
    runs = np.diff(np.flatnonzero(np.concatenate(([True], ~skippable, [True])))) - 1
    return max(int((~skippable).sum() + (runs // (MAX_SKIP + 1)).sum()), 1)


def cepstra(mel: NDArray[np.floating], order: int = 16) -> NDArray[np.float64]:
    """Cosine transform of the log-mel and its slopes: (n_mels, T) to (T, 2 order)."""
    static = dct(np.asarray(mel, np.float64), axis=0, norm="ortho")[:order].T
    padded = np.pad(static, ((2, 2), (0, 0)), mode="edge")
    slope = (padded[3:-1] - padded[1:-3] + 2 * (padded[4:] - padded[:-4])) / 10
    return np.concatenate((static, 3 * slope), axis=1)


@dataclass
class _Utterance:
    features: NDArray[np.float64]  # (T, D)
    states: NDArray[np.int64]  # class of every state, (S,)
    owner: NDArray[np.int64]  # phone index of every state, (S,)
    skippable: NDArray[np.bool_]


def _utterance(index: int, mel: NDArray[np.floating], phones: Sequence[str], classes: dict[str, int]) -> _Utterance:
    if PAUSES.issuperset(phones):
        raise ValueError(f"utterance {index}: no sound among its {len(phones)} phones; there is nothing to align.")
    states, owner, skip = _states_of(phones, classes)
    skippable = np.array(skip, np.bool_)
    if mel.shape[1] < _frames_needed(skippable):
        raise ValueError(f"utterance {index}: {mel.shape[1]} frames for {len(phones)} phones; text and audio differ.")
    return _Utterance(cepstra(mel), np.array(states), np.array(owner), skippable)


def _states_of(phones: Sequence[str], classes: dict[str, int]) -> tuple[list[int], list[int], list[bool]]:
    """Two states a sound (the second may be skipped), one for each pause (may be skipped, all of one class)."""
    states, owner, skippable = [], [], []
    for i, phone in enumerate(phones):
        names = ["pause"] if phone in PAUSES else [f"{phone}:0", f"{phone}:1"]
        for k, name in enumerate(names):
            states.append(classes.setdefault(name, len(classes)))
            owner.append(i)
            skippable.append(name == "pause" or k == 1)
    return states, owner, skippable


class FlatStartAligner:
    """Hidden Markov alignment: one Gaussian a state class, all trained by Viterbi EM from an even segmentation.

    Pauses start at the quietest frames, which is what breaks the symmetry. `fit` first, then `align`.
    """

    def __init__(self, iterations: int = 20, variance_floor: float = 0.02) -> None:
        self.iterations, self.variance_floor = iterations, variance_floor
        self.classes: dict[str, int] = {"pause": 0}

    def fit(
        self,
        mels: Sequence[NDArray[np.floating]],
        phones: Sequence[Sequence[str]],
        progress: Callable[[int, float], None] | None = None,
    ) -> None:
        """Learn the Gaussians of every sound.

        Args:
            mels: (n_mels, T) each, natural log.
            phones: one symbol list an utterance.
            progress: called with (iteration, mean log-likelihood a frame).

        Raises:
            ValueError: naming the utterance's index when it has no sound, or fewer frames than sounds.
        """
        utterances = [
            _utterance(i, mel, symbols, self.classes) for i, (mel, symbols) in enumerate(zip(mels, phones, strict=True))
        ]
        pooled = np.concatenate([u.features for u in utterances])
        self.centre, self.scale = pooled.mean(0), pooled.std(0) + 1e-8
        pooled = (pooled - self.centre) / self.scale
        labels = np.concatenate([u.states[_even_path(u)] for u in utterances])
        for iteration in range(self.iterations):
            self._estimate(pooled, labels)
            paths, likelihood = zip(*(self._path(u) for u in utterances), strict=True)
            labels = np.concatenate([u.states[path] for u, path in zip(utterances, paths, strict=True)])
            if progress is not None:
                progress(iteration, sum(likelihood) / len(pooled))

    def align(self, mel: NDArray[np.floating], phones: Sequence[str]) -> NDArray[np.int32]:
        """Durations in frames of every phone, summing to the mel's; only pauses may be 0.

        A sound never heard in `fit` stands for the average frame.

        Raises:
            ValueError: if there is no sound, or fewer frames than sounds.
        """
        u = _utterance(0, mel, phones, dict(self.classes))
        path, _ = self._path(u)
        return np.bincount(u.owner[path], minlength=len(phones)).astype(np.int32)

    def _path(self, u: "_Utterance") -> tuple[NDArray[np.int32], float]:
        known = np.where(u.states < len(self.means), u.states, len(self.means) - 1)
        score = _log_likelihood((u.features - self.centre) / self.scale, self.means[known], self.variances[known])
        path = monotonic_path(score, u.skippable)
        return path, float(score[np.arange(len(path)), path].sum())

    def _estimate(self, features: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
        """Mean and variance a class, and one more row for the average frame (0, 1)."""
        shape = (len(self.classes) + 1, len(labels))
        member = csr_array((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape)
        count = member.sum(1)[:, None] + 1e-3
        self.means = member @ features / count
        self.variances = np.maximum((member @ features**2 + 1e-3) / count - self.means**2, self.variance_floor)


def _even_path(u: _Utterance) -> NDArray[np.int32]:
    """Frames dealt evenly to the states of sounds, and the quietest tenth of them to pauses."""
    level = u.features[:, 0]
    quiet = level < np.quantile(level, 0.1)
    sounds = np.flatnonzero(u.states != 0)
    share = np.minimum(np.arange(len(level)) * len(sounds) // len(level), len(sounds) - 1)
    path = sounds[share].astype(np.int32)
    pauses = np.flatnonzero(u.states == 0)
    if len(pauses):
        path[quiet] = pauses[0]
    return path


def _log_likelihood(
    features: NDArray[np.float64], means: NDArray[np.float64], variances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Diagonal Gaussian log-densities up to a constant: (T, D) and (S, D) to (T, S)."""
    precision = 1.0 / variances
    quadratic = features**2 @ precision.T - 2 * features @ (means * precision).T + (means**2 * precision).sum(1)
    return -0.5 * (quadratic + np.log(variances).sum(1))

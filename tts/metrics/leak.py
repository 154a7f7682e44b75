"""How well a speaker can be told from content that should hold none: a linear probe."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.errors import DataError
from tts.metrics.intervals import Interval, bootstrap

_MAX_FOLDS = 5
_MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class LeakScore:
    """Balanced accuracy of the probe with its interval; what guessing gives, 1 / number of speakers; and the utterances."""

    accuracy: Interval
    chance: float
    n: int


def leak_probe(contents: Sequence[NDArray[np.floating[Any]]], speakers: Sequence[str], *, seed: int = 0) -> LeakScore:
    """How often a linear classifier that knows the voices names the speaker of an unknown utterance from its content.

        accuracy = mean over speakers of the share of their utterances that are named rightly

    An utterance is the mean and the standard deviation over time of its features, standardised over the utterances learned
    from; the classifier is multinomial logistic regression with an L2 penalty of weight 1 and the speakers weighted equally.
    Each utterance is named by the classifier of a fold that left it out: stratified cross-validation with five folds, or as
    many as the rarest speaker has utterances.

    Args:
        contents: (D, T_i) of each utterance, T_i >= 1. Equal texts for all speakers make the cleanest probe.
        speakers: the speaker of each.
        seed: of the folds and of the bootstrap; the global RNG is untouched.

    Returns:
        the accuracy, 1 / S where nothing leaks and 1 where everything does, with the bootstrap interval over utterances
        (their weights make it balanced), which does not hold the spread over folds or choices of speakers.

    Raises:
        ValueError: if there is not one speaker per content or the matrices differ in D or have no frame.
        DataError: for fewer than two speakers, a speaker with one utterance, or features that are not finite.
        ImportError: if scikit-learn is not installed (extra `eval`).
    """
    if len(contents) != len(speakers):
        raise ValueError(f"need one speaker per content, found {len(contents)} contents and {len(speakers)} speakers.")
    counts = Counter(speakers)
    if len(counts) < 2:
        raise DataError(f"the leak probe tells speakers apart, found {len(counts)}; give utterances of at least two.")
    alone = sorted(name for name, count in counts.items() if count < 2)
    if alone:
        raise DataError(
            f"the leak probe needs 2 utterances of every speaker, found 1 of {', '.join(alone[:5])} ({len(alone)} such). "
            "Leave them out or give more."
        )
    guessed = _guess(_summaries(contents), np.array(speakers), min(_MAX_FOLDS, *counts.values()), seed)
    right = [float(guess == speaker) for guess, speaker in zip(guessed, speakers, strict=True)]
    accuracy = bootstrap(right, [1 / counts[speaker] for speaker in speakers], seed=seed)
    return LeakScore(accuracy=accuracy, chance=1 / len(counts), n=len(speakers))


def _summaries(contents: Sequence[NDArray[np.floating[Any]]]) -> NDArray[np.float64]:
    """Mean and standard deviation over time of each content, (n, 2 D)."""
    rows = []
    for number, content in enumerate(contents):
        if content.ndim != 2 or content.shape[1] == 0 or content.shape[0] != contents[0].shape[0]:
            raise ValueError(f"need contents (D, T) with one D and T >= 1, found {content.shape} as number {number}.")
        if not np.isfinite(content).all():
            raise DataError(f"content {number} has values that are not finite. Extract it again.")
        wide = content.astype(np.float64)
        rows.append(np.concatenate((wide.mean(axis=1), wide.std(axis=1))))
    return np.stack(rows)


def _guess(summaries: NDArray[np.float64], speakers: NDArray[np.str_], folds: int, seed: int) -> NDArray[np.str_]:
    """The speaker that a probe without it says of each utterance, (n,)."""
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as err:
        raise ImportError(f"the leak probe needs scikit-learn ({err}): pip install 'glottis[eval]'.") from err
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MAX_ITERATIONS, class_weight="balanced"))
    return cross_val_predict(classifier, summaries, speakers, cv=StratifiedKFold(folds, shuffle=True, random_state=seed))

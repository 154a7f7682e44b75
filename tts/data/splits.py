"""Deterministic sets of a corpus: no sentence that is held out, and no speaker who is, is heard in training."""

import re
from collections import Counter
from collections.abc import Sequence

from tts.data.corpora import require_speakers
from tts.data.manifest import Utterance
from tts.errors import DataError

SETS = ("train", "dev", "eval", "unseen", "untranscribed")


def split_corpus(
    utterances: list[Utterance],
    *,
    unseen: Sequence[str] | int = (),
    min_clips: int = 0,
    holdout_every: int = 0,
    n_eval: int = 0,
    n_dev: int = 0,
) -> dict[str, list[Utterance]]:
    """The sets of `SETS`, each in the order of `utterances`; an empty set is left out.

    Clips without text are "untranscribed", whoever speaks; all others of the speakers of `unseen_speakers` are "unseen"; the
    rest is split by `split_utterances`. There need not be a rest where all clips are without text.

    Raises:
        ValueError, DataError, SpeakerError: as `unseen_speakers` and `split_utterances` do.
    """
    held_out = unseen_speakers(utterances, unseen, min_clips)
    transcribed = [u for u in utterances if u.text]
    seen = [u for u in transcribed if u.speaker not in held_out]
    sets = split_utterances(seen, holdout_every=holdout_every, n_eval=n_eval, n_dev=n_dev) if transcribed else {}
    sets["unseen"] = [u for u in transcribed if u.speaker in held_out]
    sets["untranscribed"] = [u for u in utterances if not u.text]
    return {name: members for name, members in sets.items() if members}


def unseen_speakers(utterances: list[Utterance], unseen: Sequence[str] | int = (), min_clips: int = 0) -> set[str]:
    """The speakers who are kept out of training whole, to be new to the model.

    They are those with fewer than `min_clips` transcribed clips, and those named in `unseen`; or, where that is a number, so
    many more: the ones with the fewest clips, which cost training least (of equals the first by name).

    Raises:
        ValueError: if a number is negative.
        SpeakerError: if a named speaker does not speak.
        DataError: if nobody would be left to train on.
    """
    if min_clips < 0 or (isinstance(unseen, int) and unseen < 0):
        raise ValueError(f"unseen {unseen}, min_clips {min_clips}: expected 0 or more.")
    clips = Counter(u.speaker for u in utterances if u.text)
    few = {speaker for speaker, count in clips.items() if count < min_clips}
    if isinstance(unseen, int):
        chosen = set(sorted(clips.keys() - few, key=lambda speaker: (clips[speaker], speaker))[:unseen])
    else:
        require_speakers(utterances, unseen)
        chosen = set(unseen)
    if clips and not clips.keys() - few - chosen:
        raise DataError(
            f"{len(clips)} speaker(s), less {len(few)} with fewer than {min_clips} clips and {len(chosen - few)} chosen to be "
            "unseen, leave none for training. Hold out fewer."
        )
    return few | chosen


def split_utterances(
    utterances: list[Utterance], *, holdout_every: int = 0, n_eval: int = 0, n_dev: int = 0
) -> dict[str, list[Utterance]]:
    """The sets "train", "dev" and "eval", each in the order of `utterances`; an empty set is left out.

    Sentences are the distinct texts in order of first appearance: texts of the same words are one, whatever their case and
    punctuation, and an utterance without words is a sentence of its own. With `holdout_every` = N the Nth, 2Nth, 3Nth …
    sentence is for evaluation; `n_eval` and `n_dev` spread that many sentences evenly over what is there (dev: over what
    evaluation leaves).

    Args:
        utterances: in the order of the corpus.
        holdout_every: N ≥ 2, or 0 for none; excludes `n_eval`.
        n_eval: number of sentences for evaluation.
        n_dev: number of sentences for development.

    Raises:
        ValueError: if a number is negative, N is 1, or both ways to choose the evaluation set are used.
        DataError: if nothing would be left for training.
    """
    if min(holdout_every, n_eval, n_dev) < 0 or holdout_every == 1:
        raise ValueError(
            f"holdout_every {holdout_every}, n_eval {n_eval}, n_dev {n_dev}: expected 0 or more, every 2nd at least."
        )
    if holdout_every and n_eval:
        raise ValueError("holdout_every and n_eval both choose the evaluation set; give one of them.")
    sentences = list(dict.fromkeys(_sentence(u) for u in utterances))
    chosen = set(sentences[holdout_every - 1 :: holdout_every]) if holdout_every else set(_spread(sentences, n_eval))
    rest = [sentence for sentence in sentences if sentence not in chosen]
    dev = set(_spread(rest, n_dev))
    if len(dev) == len(rest):
        raise DataError(f"{len(sentences)} sentences less {len(chosen)} for eval and {n_dev} for dev leave none for training.")
    sets: dict[str, list[Utterance]] = {"train": [], "dev": [], "eval": []}
    for utterance in utterances:
        sentence = _sentence(utterance)
        sets["eval" if sentence in chosen else "dev" if sentence in dev else "train"].append(utterance)
    return {name: members for name, members in sets.items() if members}


def _sentence(utterance: Utterance) -> str:
    return re.sub(r"[\W_]+", " ", utterance.text.casefold()).strip() or f"\0{utterance.id}"


def _spread(items: list[str], count: int) -> list[str]:
    """`count` items at even distances (all of them when there are fewer)."""
    count = min(count, len(items))
    return [items[(k + 1) * len(items) // count - 1] for k in range(count)]

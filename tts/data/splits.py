"""Deterministic train / dev / eval sets, split by sentence: what is held out is heard in training from no speaker."""

from tts.data.manifest import Utterance
from tts.errors import DataError


def split_utterances(
    utterances: list[Utterance], *, holdout_every: int = 0, n_eval: int = 0, n_dev: int = 0
) -> dict[str, list[Utterance]]:
    """The sets "train", "dev" and "eval", each in the order of `utterances`; an empty set is left out.

    Sentences are the distinct texts in order of first appearance (an utterance without text is a sentence of its own).
    With `holdout_every` = N the Nth, 2Nth, 3Nth … sentence is for evaluation; `n_eval` and `n_dev` spread that many
    sentences evenly over what is there (dev: over what evaluation leaves).

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
    return utterance.text or f"\0{utterance.id}"


def _spread(items: list[str], count: int) -> list[str]:
    """`count` items at even distances (all of them when there are fewer)."""
    count = min(count, len(items))
    return [items[(k + 1) * len(items) // count - 1] for k in range(count)]

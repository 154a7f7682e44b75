"""The leak probe on a model's content: how well speakers are told from what its audio entrance makes of recordings."""

from collections import defaultdict
from pathlib import Path

import torch

from tts.data.content_file import read_content, read_content_info
from tts.data.manifest import read_manifest
from tts.errors import DataError
from tts.metrics.asr import NotMeasured
from tts.metrics.leak import LeakScore, leak_probe
from tts.speech.model import SourceFilterModel

MIN_UTTERANCES, MAX_UTTERANCES = 5, 60  # of a speaker


@torch.inference_mode()
def content_leak(model: SourceFilterModel, features: Path) -> dict[str, LeakScore] | NotMeasured:
    """How often a linear probe names the speaker, from the encoder's features and from content C of the model.

    Both are asked with and without information perturbation of the recording: "features, clean", "content, clean", and where
    the cache holds perturbed versions "features, perturbed" and "content, perturbed". A conversion works on clean recordings,
    training on perturbed ones.

    Args:
        model: with an audio entrance, in eval mode.
        features: features folder with cached content; of each speaker with 5 utterances or more, up to 60 are taken, spread
            over the folder.

    Returns:
        the scores by name, or why there are none: fewer than two speakers with enough utterances.

    Raises:
        DataError: if the folder has no content, or content of another kind or size than the model takes.
    """
    info, wanted = read_content_info(features), model.config.content
    if (info.kind, info.dim) != (wanted.kind, wanted.dim):
        raise DataError(
            f"{features}: its content is {info.kind.value} with {info.dim} features a frame, the model takes "
            f"{wanted.kind.value} with {wanted.dim}. Give the features it was trained on."
        )
    of_speaker: defaultdict[str, list[str]] = defaultdict(list)
    for row in read_manifest(features):
        of_speaker[row.speaker].append(row.id)
    told = {
        speaker: ids[:: -(-len(ids) // MAX_UTTERANCES)] for speaker, ids in of_speaker.items() if len(ids) >= MIN_UTTERANCES
    }
    if len(told) < 2:
        return NotMeasured(f"two speakers with {MIN_UTTERANCES} utterances are needed, found {len(told)}")
    items = [(speaker, utterance) for speaker, ids in told.items() for utterance in ids]
    speakers = [speaker for speaker, _ in items]
    scores = {}
    for version, name in enumerate(("clean", "perturbed")[: info.versions]):
        heard = [read_content(features, utterance, version) for _, utterance in items]
        made = [model.audio_content(x[None], x.new_ones(1, 1, x.shape[1]))[0] for x in heard]
        scores[f"features, {name}"] = leak_probe([x.numpy() for x in heard], speakers)
        scores[f"content, {name}"] = leak_probe([x.numpy() for x in made], speakers)
    return scores


def describe_leak(scores: dict[str, LeakScore] | NotMeasured) -> str:
    """One line for a report."""
    if isinstance(scores, NotMeasured):
        return str(scores)
    first = next(iter(scores.values()))
    shares = "; ".join(f"{name} {score.accuracy.value:.0%}" for name, score in scores.items())
    return f"speaker named by a linear probe: {shares} (chance {first.chance:.0%}, {first.n} utterances)"

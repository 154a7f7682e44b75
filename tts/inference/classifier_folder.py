"""The model folder of a classifier of noisy images: config.json, model.safetensors, README.md."""

from dataclasses import dataclass
from pathlib import Path

from tts.config import from_dict, to_dict
from tts.data.files import write_json
from tts.errors import ConfigError, DataError, ModelError
from tts.image.guidance.classifier import ClassifierConfig, NoisyClassifier
from tts.inference.whole_folder import (
    CARD,
    CONFIG,
    WEIGHTS,
    build_of_weights,
    find_folder,
    others_in,
    read_head,
    save_weights,
    whole_folder,
)

FORMAT, VERSION = "noisy classifier", 1
FILES = (CONFIG, WEIGHTS, CARD)
WRITER = "glottis image train-classifier"


@dataclass(frozen=True, kw_only=True)
class ClassifierFolder:
    """What config.json holds."""

    format: str
    version: int
    classifier: ClassifierConfig


def save_classifier(folder: Path, classifier: NoisyClassifier, card: str) -> None:
    """Write a model folder; it appears whole or not at all, and takes the place of an older one.

    Raises:
        ModelError: if `folder` holds anything but such a folder.
    """
    with whole_folder(folder, others_in(folder, FILES)) as part:
        write_json(part / CONFIG, to_dict(ClassifierFolder(format=FORMAT, version=VERSION, classifier=classifier.config)))
        save_weights(part / WEIGHTS, classifier)
        (part / CARD).write_text(card, encoding="utf-8")


def load_classifier(folder: Path) -> NoisyClassifier:
    """The classifier in a folder, in eval mode, its weights fixed.

    Raises:
        ModelError: if a file is missing, or its content is not what the others say; nothing is loaded in part.
    """
    folder = find_folder(folder, WRITER)
    try:
        head = from_dict(ClassifierFolder, read_head(folder, (FORMAT, VERSION), WRITER))
    except (ConfigError, DataError, ValueError) as err:
        raise ModelError(f"{folder}: {err}") from err
    return build_of_weights(lambda: NoisyClassifier(head.classifier), folder / WEIGHTS).requires_grad_(False)

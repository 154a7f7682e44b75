"""The model folder: config.json, model.safetensors, tokens.txt, statistics.safetensors, speakers.safetensors, README.md.

A model that converts voices with a phone recogniser of its own has that beside them, as `recognizer/`.
"""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tts.config import from_dict, to_dict
from tts.data.content_file import ContentKind
from tts.data.files import atomic_path, read_json, write_json
from tts.data.statistics import STATISTICS, TOKENS, Statistics
from tts.errors import ConfigError, DataError, ModelError, TextError
from tts.inference.whole_folder import CARD, CONFIG, WEIGHTS, build_of_weights, find_folder, others_in, read_head, whole_folder
from tts.speech.config import SpeechConfig
from tts.speech.model import SourceFilterModel
from tts.speech.recognizer import LoadedRecognizer, load_recognizer, save_recognizer
from tts.speech.sampling import SamplingOptions
from tts.text.tokens import Tokens

SPEAKERS = "speakers.safetensors"
RECOGNIZER = "recognizer"
FILES = (CONFIG, WEIGHTS, SPEAKERS, TOKENS, STATISTICS, CARD, RECOGNIZER)
KIND, VERSION = "source_filter", 1
COMMAND = "glottis pack"  # what writes such folders


@dataclass(frozen=True, kw_only=True)
class FolderConfig:
    """What config.json holds; `kind` and `version` choose the reader, nothing in it names code."""

    kind: str
    version: int
    model: SpeechConfig
    sampling: SamplingOptions


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model with all it needs to speak.

    model: in eval mode, on the CPU.
    speakers: mean style (style_dim,) by name.
    sampling: the options it was shipped with.
    recognizer: hears the content of recordings, where the model's content is `ppg`.
    """

    model: SourceFilterModel
    tokens: Tokens
    statistics: Statistics
    speakers: dict[str, Tensor]
    sampling: SamplingOptions
    recognizer: LoadedRecognizer | None = None


def save_model_folder(folder: Path, loaded: LoadedModel, card: str) -> None:
    """Write a model folder; it appears whole or not at all, and takes the place of an older model folder.

    Raises:
        ModelError: if `folder` holds anything but a model folder.
    """
    others = _other_things(folder) if folder.exists() else []
    with whole_folder(folder, others) as part:
        config = FolderConfig(kind=KIND, version=VERSION, model=loaded.model.config, sampling=loaded.sampling)
        write_json(part / CONFIG, to_dict(config))
        for name, tensors in ((WEIGHTS, loaded.model.state_dict()), (SPEAKERS, loaded.speakers)):
            with atomic_path(part / name) as temporary:
                save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, temporary)
        loaded.tokens.save(part / TOKENS)
        loaded.statistics.save(part / STATISTICS)
        (part / CARD).write_text(card, encoding="utf-8")
        if loaded.recognizer is not None:
            save_recognizer(part / RECOGNIZER, loaded.recognizer)


def load_model_folder(folder: Path) -> LoadedModel:
    """The model in a folder, checked before anything is computed; of an experiment, the one packed in its `model/`.

    Raises:
        ModelError: if a file is missing, or its content is not what the others say; nothing is loaded in part.
    """
    folder = find_folder(folder, COMMAND)
    try:
        config = from_dict(FolderConfig, read_head(folder, (KIND, VERSION), COMMAND, key="kind"))
        tokens = Tokens.load(folder / TOKENS)
        statistics = Statistics.load(folder / STATISTICS)
    except (ConfigError, DataError, TextError, ValueError) as err:
        raise ModelError(f"{folder}: {err}") from err
    if len(tokens) != config.model.n_tokens:
        raise ModelError(f"{folder}: {TOKENS} has {len(tokens)} symbols, {CONFIG} says {config.model.n_tokens}. Copy it again.")
    model = build_of_weights(lambda: SourceFilterModel(config.model), folder / WEIGHTS)
    speakers = _load_speakers(folder / SPEAKERS, config.model.style_dim)
    return LoadedModel(
        model=model,
        tokens=tokens,
        statistics=statistics,
        speakers=speakers,
        sampling=config.sampling,
        recognizer=recognizer_of(config.model, folder / RECOGNIZER),
    )


def recognizer_of(config: SpeechConfig, folder: Path) -> LoadedRecognizer | None:
    """The recogniser in `folder` that a model of this configuration hears recordings with; None if it needs none.

    Raises:
        ModelError: if it is missing or damaged, or its mel or features are not those of the model.
    """
    if config.content.kind is not ContentKind.ppg:
        return None
    try:
        recognizer = load_recognizer(folder)
    except (ConfigError, DataError, TextError) as err:
        raise ModelError(f"{folder}: the model needs the phone recogniser it was trained with ({err}).") from err
    found = recognizer.model.config
    wrong = found.audio.differences(config.audio)
    if found.content_dim != config.content.dim:
        wrong.append(f"features: {found.content_dim} != {config.content.dim}")
    if wrong:
        raise ModelError(f"{folder}: another recogniser than the model was trained with (its != model): {'; '.join(wrong)}.")
    return recognizer


def _other_things(folder: Path) -> list[str]:
    """What in a folder is not of a model of this kind."""
    names = others_in(folder, FILES)
    if (folder / CONFIG).is_file():
        values = read_json(folder / CONFIG)
        if not isinstance(values, dict) or values.get("kind") != KIND:
            names.append(f"the {CONFIG} of something else")
    return names


def _load_speakers(path: Path, style_dim: int) -> dict[str, Tensor]:
    try:
        styles = load_file(path)
    except (OSError, SafetensorError) as err:
        raise ModelError(f"{path}: cannot be read ({err}). Copy the model folder again.") from err
    wrong = [name for name, style in styles.items() if style.shape != (style_dim,)]
    if wrong or not styles:
        raise ModelError(
            f"{path}: expected one style of {style_dim} numbers a speaker, wrong for {wrong or 'all: none there'}."
        )
    return styles

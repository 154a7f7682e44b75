"""The file that holds one utterance's content features, and what content.json says of all of them."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tts.config import from_dict, to_dict
from tts.data.files import atomic_path, read_json, write_json
from tts.errors import ConfigError, DataError

CONTENT = "content.json"
_HINT = "Run `glottis prepare content`."


class ContentKind(str, Enum):
    """Where content features come from: nowhere, a recogniser of our own, or a self-supervised network."""

    none = "none"
    ppg = "ppg"
    xlsr = "xlsr"
    hubert = "hubert"


@dataclass(frozen=True, kw_only=True)
class ContentInfo:
    """What content features are, and what they depend on."""

    kind: ContentKind
    dim: int  # D
    n_phones: int  # the first rows that are posteriors of phones; 0 where there are none
    versions: int = 1  # V; 0 is of clean audio, the others of perturbed
    fingerprint: str = ""  # of the encoder, the perturbation and the number of versions

    def __post_init__(self) -> None:
        if not 0 <= self.n_phones <= self.dim or self.dim < 1 or self.versions < 1:
            raise ConfigError(
                f"content: need 0 <= n_phones <= dim, dim >= 1 and versions >= 1, found {self.n_phones}, {self.dim}, "
                f"{self.versions}."
            )


def content_path(folder: Path, utterance_id: str) -> Path:
    """Where the content of one utterance lies."""
    return folder / "content" / f"{utterance_id}.safetensors"


def write_content(path: Path, content: Tensor, fingerprint: str) -> None:
    """Write content (V, D, T) as float16, atomically; its header names what it was made from."""
    with atomic_path(path) as temporary:
        save_file({"content": content.half().contiguous()}, temporary, metadata={"fingerprint": fingerprint})


def read_content_fingerprint(path: Path) -> str | None:
    """What a content file was made from; None where there is no complete one."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("fingerprint")
    except (OSError, SafetensorError):
        return None


def read_content(folder: Path, utterance_id: str, version: int = 0) -> Tensor:
    """The content (D, T) float32 of one version of an utterance; only that version is read.

    Raises:
        DataError: if the file is missing, incomplete, of another shape, or has no such version.
    """
    path = content_path(folder, utterance_id)
    try:
        with safe_open(path, framework="pt") as file:
            content = file.get_slice("content")
            shape = content.get_shape()
            if len(shape) != 3 or not 0 <= version < shape[0]:
                raise DataError(
                    f"{path}: found content {tuple(shape)}, expected (versions, D, T) with version {version}. {_HINT}"
                )
            return content[version].float()
    except (OSError, SafetensorError) as err:
        raise DataError(f"{path}: not a complete content file ({err}). {_HINT}") from err


def write_content_info(folder: Path, info: ContentInfo) -> None:
    """State that every utterance of the folder has content of this kind."""
    write_json(folder / CONTENT, to_dict(info))


def read_content_info(folder: Path) -> ContentInfo:
    """What the content of a features folder is.

    Raises:
        DataError: if there is none, or not of every utterance.
        ConfigError: if content.json is not of this version.
    """
    path = folder / CONTENT
    if not path.exists():
        raise DataError(f"{path}: no such file; the folder has no content features, or not of all utterances. {_HINT}")
    return from_dict(ContentInfo, read_json(path), where=str(path))

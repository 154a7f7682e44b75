"""The file that holds one utterance's features: mel and F0, with a header that can be read alone."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tts.config import from_dict
from tts.data.files import atomic_path
from tts.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class FeatureInfo:
    """What the header of a feature file tells."""

    fingerprint: str  # of the settings and the audio file it was made from
    frames: int  # mel frames
    seconds: float  # after trimming
    peak: float  # largest |sample|
    clipped: float  # share of samples at full scale
    voiced: float  # share of frames with F0


def features_path(folder: Path, utterance_id: str) -> Path:
    """Where the features of one utterance lie."""
    return folder / "features" / f"{utterance_id}.safetensors"


def write_features(path: Path, mel: NDArray[np.float32], f0: NDArray[np.float32], info: FeatureInfo) -> None:
    """Write mel (n_mels, T), natural log, and f0 (T,), Hz with 0 = unvoiced, atomically."""
    with atomic_path(path) as temporary:
        save_file(
            {"mel": np.ascontiguousarray(mel, dtype=np.float32), "f0": np.ascontiguousarray(f0, dtype=np.float32)},
            temporary,
            metadata={"info": json.dumps(dataclasses.asdict(info))},
        )


def read_feature_info(path: Path) -> FeatureInfo:
    """The header of a feature file.

    Raises:
        DataError: if the file is missing, incomplete or of another kind.
    """
    try:
        with safe_open(path, framework="np") as file:
            return from_dict(FeatureInfo, json.loads(file.metadata()["info"]))
    except (OSError, SafetensorError, TypeError, KeyError, ValueError, ConfigError) as err:
        raise DataError(f"{path}: not a complete feature file ({err}). Run the features stage again.") from err


def read_features(folder: Path, utterance_id: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The mel (n_mels, T), natural log, and the F0 (T,), Hz with 0 = unvoiced, of one utterance.

    Raises:
        DataError: if the file is missing, incomplete or its two lengths differ.
    """
    path = features_path(folder, utterance_id)
    try:
        with safe_open(path, framework="pt") as file:
            mel, f0 = file.get_tensor("mel"), file.get_tensor("f0")
    except (OSError, SafetensorError) as err:
        raise DataError(f"{path}: not a complete feature file ({err}). Run the features stage again.") from err
    if mel.dim() != 2 or f0.shape != mel.shape[1:]:
        raise DataError(f"{path}: found mel {tuple(mel.shape)}, f0 {tuple(f0.shape)}; expected (n_mels, T) and (T,).")
    return mel, f0

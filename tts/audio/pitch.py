"""Fundamental frequency: extraction with WORLD, aligned to mel frames, and its per-speaker normalisation."""

import importlib
import logging
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from tts.audio.io import require_finite
from tts.config import AudioConfig
from tts.errors import AudioError

logger = logging.getLogger(__name__)

F0_METHODS = ("dio", "harvest")
MIN_LOG_F0_STD = 0.01  # 17 cents; keeps a monotone's z-score finite

Array = TypeVar("Array", NDArray[np.float32], torch.Tensor)


def _pyworld() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pyworld 0.3.5 imports the deprecated pkg_resources
            return importlib.import_module("pyworld")
    except ImportError as err:
        raise ImportError(
            f"pyworld, which extracts F0, cannot be imported ({err}). It needs pkg_resources, gone since setuptools 82: "
            "run pip install 'setuptools<82', or pip install pyworld-prebuilt in place of pyworld."
        ) from err


def extract_f0(
    wav: NDArray[np.floating[Any]],
    audio: AudioConfig,
    n_frames: int,
    *,
    method: str = "dio",
    f0_min: float = 65.0,
    f0_max: float = 500.0,
) -> NDArray[np.float32]:
    """F0 in Hz at the centre of every mel frame, (n_frames,) float32; 0 where unvoiced.

    Frame i is at sample i * hop_length, as in `MelExtractor`. Silence and an empty waveform are unvoiced throughout.

    Args:
        wav: (N,) in [-1, 1] at `audio.sample_rate`.
        audio: the mel contract, for the rate and the hop.
        n_frames: frames of the mel; WORLD's track is cut or extended by unvoiced frames to it.
        method: `dio` (with StoneMask, fast) or `harvest` (slower, fewer gaps).
        f0_min: lowest F0 looked for, Hz.
        f0_max: highest F0 looked for, Hz.

    Raises:
        ValueError: for an unknown method, a waveform that is not 1-D, a negative `n_frames` or an empty F0 range.
        AudioError: naming the first NaN or infinite sample.
        ImportError: if pyworld cannot be imported, with the way to mend it.

    Source: Morise et al. 2016 (WORLD); Morise 2017 (Harvest).
    """
    if method not in F0_METHODS:
        raise ValueError(f"F0 method {method!r} is not known. Use one of {', '.join(F0_METHODS)}.")
    if wav.ndim != 1:
        raise ValueError(f"wav must be (samples,), found shape {wav.shape}.")
    if n_frames < 0:
        raise ValueError(f"n_frames must be >= 0, found {n_frames}.")
    if not 0 < f0_min < f0_max <= audio.sample_rate / 2:
        raise ValueError(f"need 0 < f0_min < f0_max <= {audio.sample_rate / 2:g} Hz, found {f0_min} and {f0_max}.")
    require_finite(wav, "waveform")
    f0 = np.zeros(n_frames, dtype=np.float32)
    if not np.any(wav):
        return f0
    world, x, rate = _pyworld(), np.ascontiguousarray(wav, dtype=np.float64), audio.sample_rate
    x = np.pad(x, (0, max(0, audio.hop_length - len(x))))
    options = {"f0_floor": f0_min, "f0_ceil": f0_max, "frame_period": 1000.0 * audio.hop_length / rate}
    if method == "dio":
        raw, times = world.dio(x, rate, **options)
        track = world.stonemask(x, raw, times, rate)
    else:
        track, _ = world.harvest(x, rate, **options)
    length = min(n_frames, len(track))
    f0[:length] = np.nan_to_num(track[:length], nan=0.0, posinf=0.0, neginf=0.0)
    return f0


@dataclass(frozen=True, kw_only=True)
class F0Statistics:
    """Mean and standard deviation of ln(F0 / Hz) over the voiced frames of a speaker."""

    mean: float
    std: float

    @classmethod
    def fit(
        cls, tracks: Iterable[NDArray[np.floating[Any]]], *, name: str = "corpus", fallback: "F0Statistics | None" = None
    ) -> "F0Statistics":
        """Statistics of many F0 tracks (each (T,) Hz, 0 = unvoiced), in one pass.

        Args:
            tracks: F0 of the utterances.
            name: the speaker, for messages.
            fallback: the corpus's statistics, used with a warning when no frame is voiced.

        Raises:
            AudioError: if no frame is voiced and there is no fallback.
        """
        count, mean, squares = 0, 0.0, 0.0  # merged utterance by utterance (Chan et al. 1983)
        for track in tracks:
            log_f0 = np.log(np.asarray(track, dtype=np.float64)[np.asarray(track) > 0])
            if not len(log_f0):
                continue
            delta, total = float(log_f0.mean()) - mean, count + len(log_f0)
            squares += float(log_f0.var()) * len(log_f0) + delta**2 * count * len(log_f0) / total
            mean += delta * len(log_f0) / total
            count = total
        if count:
            return cls(mean=mean, std=max(math.sqrt(squares / count), MIN_LOG_F0_STD))
        if fallback is None:
            raise AudioError(f"{name}: no voiced frame found, F0 statistics need at least one. Check the recordings.")
        logger.warning("%s: no voiced frame found; the corpus's F0 statistics are used.", name)
        return fallback

    def to_tensor(self) -> torch.Tensor:
        """[mean, std], (2,) float32."""
        return torch.tensor([self.mean, self.std], dtype=torch.float32)

    @classmethod
    def from_tensor(cls, values: torch.Tensor) -> "F0Statistics":
        """The statistics stored by `to_tensor`."""
        mean, std = values.tolist()
        return cls(mean=mean, std=std)


def normalize_f0(f0: NDArray[np.floating[Any]], statistics: F0Statistics) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The z-score of ln F0, carried through unvoiced gaps, and the voicing; 0 everywhere when nothing is voiced.

        z = (ln f0 - mean) / std     where voiced, linear in between, held at both ends

    Args:
        f0: (T,) Hz, 0 = unvoiced.
        statistics: of the speaker.

    Returns:
        z (T,) float32, voiced (T,) bool.
    """
    voiced = np.asarray(f0) > 0
    if not voiced.any():
        return np.zeros(len(voiced), dtype=np.float32), voiced
    known = np.flatnonzero(voiced)
    z = (np.log(np.asarray(f0, dtype=np.float64)[known]) - statistics.mean) / statistics.std
    return np.interp(np.arange(len(voiced)), known, z).astype(np.float32), voiced


def denormalize_f0(z: Array, voiced: Array, statistics: F0Statistics) -> Array:
    """F0 in Hz, exp(mean + std z) where voiced and 0 elsewhere; arrays or tensors of any one shape."""
    return math.e ** (statistics.mean + statistics.std * z) * (voiced > 0)

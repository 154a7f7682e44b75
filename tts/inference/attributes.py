"""Speech as attributes that can be edited: content, pitch, source style, filter style; and arithmetic on styles."""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tts.audio.pitch import F0Statistics, denormalize_f0, normalize_f0
from tts.data.files import atomic_path
from tts.errors import DataError

TRANSPOSE, KEEP = "transpose", "keep"
MAX_SEMITONES = 24.0
_KIND = "glottis attributes 1"
_TENSORS = ("content", "pitch", "voiced", "f0", "source_style", "filter_style")

Pitch = str | float | NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Voice:
    """Who speaks: a style g (S,) on the CPU, and the statistics of ln F0 that belong to it."""

    style: Tensor
    f0: F0Statistics


def mix(a: Voice, b: Voice, weight: float) -> Voice:
    """A voice between two: (1 - w) a + w b, in style and in the mean and deviation of ln F0.

    Args:
        a: the voice at weight 0.
        b: the voice at weight 1.
        weight: from 0 to 1.

    Raises:
        ValueError: if the weight is out of its range.
    """
    check_weight(weight)
    mean, std = (getattr(a.f0, n) + weight * (getattr(b.f0, n) - getattr(a.f0, n)) for n in ("mean", "std"))
    return Voice(torch.lerp(a.style, b.style, weight), F0Statistics(mean=mean, std=std))


def class_average(styles: Sequence[Tensor] | Tensor, labels: Sequence[str]) -> dict[str, Tensor]:
    """The mean style (S,) of every label, sorted by label; the difference of two is a direction for `move`.

    Args:
        styles: one (S,) an utterance.
        labels: its speaker, emotion or any other class.

    Raises:
        ValueError: if there are none, or not as many labels as styles.
    """
    if len(styles) != len(labels) or not len(labels):
        raise ValueError(f"need a label for each of at least one style, found {len(styles)} style(s), {len(labels)} label(s).")
    groups: defaultdict[str, list[Tensor]] = defaultdict(list)
    for style, label in zip(styles, labels, strict=True):
        groups[label].append(style)
    return {label: torch.stack(groups[label]).mean(0) for label in sorted(groups)}


def move(voice: Voice, direction: Tensor, strength: float) -> Voice:
    """The voice with style g + strength · direction; its F0 statistics stay."""
    return Voice(voice.style + strength * direction, voice.f0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Attributes:
    """One utterance taken apart; tensors on the CPU, float32. Edit with the methods below or with `dataclasses.replace`.

    content: features of the content encoder, (D, T).
    pitch: z-score of ln F0 under `f0`, carried through unvoiced gaps, (T,).
    voiced: 1 or 0, (T,).
    f0: statistics of the speaker of `source_style`: F0 is exp(mean + std · pitch) Hz.
    source_style: g of the source prior, (S,).
    filter_style: g of the filter prior, (S,).
    sample_rate: Hz.
    """

    content: Tensor
    pitch: Tensor
    voiced: Tensor
    f0: F0Statistics
    source_style: Tensor
    filter_style: Tensor
    sample_rate: int

    @property
    def frames(self) -> int:
        """Mel frames."""
        return self.content.shape[1]

    @property
    def hz(self) -> Tensor:
        """F0 in Hz, 0 = unvoiced, (T,)."""
        return denormalize_f0(self.pitch, self.voiced, self.f0)

    @property
    def source(self) -> Voice:
        """The voice of the source prior."""
        return Voice(self.source_style, self.f0)

    def with_source(self, voice: Voice, pitch: Pitch = TRANSPOSE) -> "Attributes":
        """Another voice for the source prior; see `express_pitch` for what becomes of F0."""
        z, voiced = express_pitch(self.pitch, self.voiced, self.f0, voice.f0, pitch)
        return dataclasses.replace(self, pitch=z, voiced=voiced, f0=voice.f0, source_style=voice.style)

    def with_filter(self, voice: Voice) -> "Attributes":
        """Another voice for the filter prior; F0 stays."""
        return dataclasses.replace(self, filter_style=voice.style)

    def save(self, path: str | Path) -> None:
        """Write the attributes as safetensors, atomically."""
        tensors = {n: getattr(self, n).contiguous() for n in _TENSORS if n != "f0"} | {"f0": self.f0.to_tensor()}
        with atomic_path(Path(path)) as temporary:
            save_file(tensors, temporary, metadata={"kind": _KIND, "sample_rate": str(self.sample_rate)})

    @classmethod
    def load(cls, path: str | Path) -> "Attributes":
        """The attributes written by `save`.

        Raises:
            DataError: if the file is missing, incomplete, of another kind, or its lengths differ.
        """
        try:
            with safe_open(path, framework="pt") as file:
                about: Mapping[str, str] = file.metadata() or {}
                if about.get("kind") != _KIND:
                    raise DataError(f"{path}: kind {about.get('kind')!r}, expected {_KIND!r}. Give a file of Attributes.save.")
                tensors = {name: file.get_tensor(name) for name in _TENSORS}
            f0 = F0Statistics.from_tensor(tensors.pop("f0"))
            found = cls(**tensors, f0=f0, sample_rate=int(about["sample_rate"]))
        except (OSError, SafetensorError, KeyError, ValueError) as err:
            raise DataError(f"{path}: not a complete file of attributes ({err}). Encode the recording again.") from err
        shapes = [tuple(t.shape) for t in (found.content, found.pitch, found.voiced)]
        if found.content.dim() != 2 or shapes[1:] != [(found.frames,)] * 2:
            raise DataError(f"{path}: content, pitch, voiced are {shapes}; expected (D, T), (T,), (T,). Encode it again.")
        return found


def express_pitch(
    z: Tensor, voiced: Tensor, own: F0Statistics, other: F0Statistics, pitch: Pitch = TRANSPOSE
) -> tuple[Tensor, Tensor]:
    """The z-score under the statistics of another voice, and the voicing, each (T,).

    The source prior takes z under the statistics of the speaker whose style it gets, so F0 is exp(m' + s' z'):

        transpose      z' = z                                       mean and deviation of ln F0 become the other voice's
        keep           z' = (m + s z - m') / s'                     F0 stays in Hz
        n semitones    z' = (m + s z + n ln 2 / 12 - m') / s'       F0 is multiplied by 2^(n / 12)
        a contour      z' = (ln F0 - m') / s'                       F0 is the contour

    Args:
        z: under `own`, (T,).
        voiced: (T,).
        own: m, s of the voice that z comes from.
        other: m', s' of the voice that is to speak.
        pitch: "transpose", "keep", semitones from -24 to 24, or F0 in Hz (T,) with 0 = unvoiced.

    Raises:
        ValueError: if `pitch` is none of these, or a contour has another length.
    """
    check_pitch(pitch)
    if isinstance(pitch, str) and pitch == TRANSPOSE:
        return z, voiced
    if isinstance(pitch, str | int | float):
        semitones = 0.0 if isinstance(pitch, str) else float(pitch)
        return (own.mean + own.std * z + semitones * math.log(2) / 12 - other.mean) / other.std, voiced
    if len(pitch) != len(z):
        raise ValueError(f"the pitch contour has {len(pitch)} frames, the source {len(z)}. Draw one value a frame.")
    drawn, sounding = normalize_f0(np.asarray(pitch, dtype=np.float64), other)
    return torch.from_numpy(drawn), torch.from_numpy(sounding).float()


def check_pitch(pitch: Pitch | ArrayLike) -> None:
    """Raises ValueError unless `pitch` is something that `express_pitch` takes."""
    if isinstance(pitch, str) and pitch in (TRANSPOSE, KEEP):
        return
    if isinstance(pitch, str | bool):
        raise ValueError(f"pitch must be {TRANSPOSE}, {KEEP}, semitones or F0 in Hz a frame, found {pitch!r}.")
    values = np.asarray(pitch, dtype=np.float64)
    if values.ndim == 0 and not -MAX_SEMITONES <= values <= MAX_SEMITONES:
        raise ValueError(f"pitch in semitones must be from {-MAX_SEMITONES:g} to {MAX_SEMITONES:g}, found {pitch!r}.")
    if values.ndim > 1 or (values.ndim == 1 and not (np.isfinite(values) & (values >= 0)).all()):
        raise ValueError("a pitch contour must be one finite F0 in Hz a frame, 0 = unvoiced.")


def check_weight(weight: float) -> None:
    """Raises ValueError unless `weight` is from 0 to 1."""
    if isinstance(weight, bool) or not 0 <= weight <= 1:
        raise ValueError(f"a weight must be from 0 to 1, found {weight!r}.")

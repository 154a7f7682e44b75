"""Who speaks what: the voices of the source and the filter prior, what becomes of F0, and the blend of two targets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tts.audio.pitch import denormalize_f0
from tts.inference.attributes import TRANSPOSE, Pitch, Voice, check_pitch, check_weight, express_pitch
from tts.inference.sources import Passage, Source
from tts.inference.voices import References, Voices
from tts.speech.model import Priors

TARGET, SOURCE = "target", "source"


@dataclass(frozen=True, kw_only=True)
class Swap:
    """What a conversion changes; see `VoiceConverter.convert`.

    Raises:
        ValueError: if the pitch or the weight of the blend is out of range.
    """

    target: References | None = None
    source_style: References = TARGET
    filter_style: References = TARGET
    pitch: Pitch = TRANSPOSE
    blend: tuple[References, float] | None = None

    def __post_init__(self) -> None:
        check_pitch(self.pitch)
        if self.blend is not None:
            check_weight(self.blend[1])


@dataclass(frozen=True)
class Line:
    """What one cast says in one window: F0 as z under its source voice and in Hz, and both styles."""

    pitch: Tensor
    hz: Tensor
    source_style: Tensor
    filter_style: Tensor


@dataclass(frozen=True)
class Casting:
    """A swap with its voices found: one cast (source voice, filter voice), or two with the weight of the second."""

    source: Source
    casts: list[tuple[Voice, Voice]]
    weight: float
    pitch: Pitch

    @classmethod
    def of(cls, source: Source, swap: Swap, voices: Voices) -> "Casting":
        """The casting of a source.

        Raises:
            ValueError: if a target is needed and none is given, or a contour has not one value a frame.
            SpeakerError: if a name is no speaker and no file.
            AudioError: if a recording cannot be read or is too short.
        """
        if not isinstance(swap.pitch, str | int | float) and len(swap.pitch) != source.frames:
            raise ValueError(
                f"the pitch contour has {len(swap.pitch)} frames, {source.name} {source.frames}. Draw one value each."
            )
        targets = [swap.target] if swap.blend is None else [swap.target, swap.blend[0]]
        asks = [isinstance(style, str) and style == TARGET for style in (swap.source_style, swap.filter_style)]
        if any(asks) and any(target is None for target in targets):
            raise ValueError("no target: give one, or say whose source_style and filter_style to take.")
        if swap.blend is not None and not any(asks):
            raise ValueError("a blend mixes targets, but neither source_style nor filter_style is the target's.")

        def voice(style: References, role: int, target: References | None) -> Voice:
            if isinstance(style, str) and style == SOURCE:
                return source.own[role]
            return voices.find(target if isinstance(style, str) and style == TARGET else style)  # type: ignore[arg-type]

        casts = [(voice(swap.source_style, 0, target), voice(swap.filter_style, 1, target)) for target in targets]
        return cls(source, casts, 0.0 if swap.blend is None else swap.blend[1], swap.pitch)

    def lines(self, passage: Passage, first: int) -> list[Line]:
        """What each cast says in the window that begins at frame `first`."""
        pitch = self.pitch
        if not isinstance(pitch, str | int | float):
            pitch = np.asarray(pitch)[first : first + len(passage.pitch)]
        lines = []
        for source, filter_ in self.casts:
            z, voiced = express_pitch(passage.pitch, passage.voiced, self.source.f0, source.f0, pitch)
            lines.append(Line(z, denormalize_f0(z, voiced, source.f0), source.style, filter_.style))
        return lines


def blend_hz(tracks: Sequence[Tensor], weight: float) -> Tensor:
    """F0 between that of two casts on a logarithmic scale, 0 where unvoiced; of one cast, its own."""
    if len(tracks) == 1:
        return tracks[0]
    a, b = tracks
    return torch.where(a > 0, a.clamp(min=1.0) ** (1 - weight) * b.clamp(min=1.0) ** weight, 0.0)


def blend_priors(priors: Sequence[Priors], weight: float) -> Priors:
    """(1 - w) of the first cast's prior mels, embeddings and styles and w of the second's; of one cast, its own."""
    if len(priors) == 1:
        return priors[0]
    a, b = priors

    def lerp(of_a: dict[str, Tensor], of_b: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: torch.lerp(of_a[name], of_b[name], weight) for name in of_a}

    return Priors(lerp(a.mels, b.mels), lerp(a.embeddings, b.embeddings), lerp(a.styles, b.styles))

"""What is converted: a recording of any length or attributes, window by window; F0 statistics by a first pass."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.audio.blocks import cut_windows, read_blocks
from tts.audio.io import to_wav
from tts.audio.pitch import F0Statistics, extract_f0, normalize_f0
from tts.inference.attributes import Attributes, Voice
from tts.inference.chunks import Window
from tts.inference.voices import MAX_REFERENCE_SECONDS, Voices

Wav = NDArray[np.float32]
ContentFunction = Callable[[Wav], Tensor]


@dataclass(frozen=True)
class Passage:
    """A window of a source: content (D, T), and the z-score (T,) and voicing (T,) of F0 under the source's statistics."""

    content: Tensor
    pitch: Tensor
    voiced: Tensor


class RecordedSource:
    """A recording, a file or samples (N,) at the model's rate; it is read in blocks, once for the statistics of F0.

    Raises:
        AudioError: if the recording cannot be read, is empty or is not finite.
    """

    def __init__(
        self, recording: str | Path | NDArray[Any], voices: Voices, content: ContentFunction, *, speaker: Voice | None = None
    ) -> None:
        """Reads the recording once.

        Args:
            recording: what is converted.
            voices: of the model.
            content: wave (N,) to features (D, T).
            speaker: whose recording it is; by default style and F0 statistics come from the recording itself.
        """
        self.name = str(recording) if isinstance(recording, str | Path) else "the source"
        self.recording, self.voices, self.content, self.speaker = recording, voices, content, speaker
        self.audio = voices.audio
        self.n_samples = 0
        measured = F0Statistics.fit(self._tracks(), name=self.name, fallback=voices.loaded.statistics.f0)
        self.f0 = speaker.f0 if speaker else measured

    @property
    def frames(self) -> int:
        """Mel frames."""
        return self.n_samples // self.audio.hop_length + 1

    @cached_property
    def own(self) -> tuple[Voice, Voice]:
        """The voices of the source's own source and filter; see `Voices.find` for how long it has to be."""
        if self.speaker:
            return self.speaker, self.speaker
        wanted = round((MAX_REFERENCE_SECONDS + 1) * self.audio.sample_rate)
        (wav,) = cut_windows(self._blocks(), [(0, wanted)])
        voice = Voice(self.voices.find(wav).style, self.f0)
        return voice, voice

    def passages(self, windows: Iterable[Window]) -> Iterator[Passage]:
        """The windows' passages, in the memory of one."""
        spans = [(w.first, w.end) for w in windows]
        hop = self.audio.hop_length
        waves = cut_windows(self._blocks(), [(first * hop, end * hop) for first, end in spans])
        for wav, (first, end) in zip(waves, spans, strict=True):
            n_frames = end - first
            z, voiced = normalize_f0(extract_f0(wav, self.audio, n_frames), self.f0)
            content = self.content(wav)[:, :n_frames].float().cpu()
            yield Passage(content, torch.from_numpy(z), torch.from_numpy(voiced).float())

    def _blocks(self) -> Iterator[Wav]:
        if isinstance(self.recording, str | Path):
            return read_blocks(self.recording, self.audio.sample_rate)
        return iter([to_wav(self.recording)])

    def _tracks(self) -> Iterator[NDArray[np.float32]]:
        for block in self._blocks():
            self.n_samples += len(block)
            yield extract_f0(block, self.audio, len(block) // self.audio.hop_length + 1)


class AttributeSource:
    """Attributes as a source."""

    name = "the attributes"

    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes
        self.frames, self.f0 = attributes.frames, attributes.f0

    @property
    def own(self) -> tuple[Voice, Voice]:
        """The voices of source and filter."""
        return self.attributes.source, Voice(self.attributes.filter_style, self.f0)

    def passages(self, windows: Iterable[Window]) -> Iterator[Passage]:
        """The windows' passages."""
        a = self.attributes
        for w in windows:
            yield Passage(a.content[:, w.first : w.end], a.pitch[w.first : w.end], a.voiced[w.first : w.end])


Source = RecordedSource | AttributeSource

"""Long speech in pieces: where they lie, how their mels are cross-faded, how they become one wave; memory stays constant."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from tts.config import AudioConfig
from tts.speech.vocoder import Vocoder

CONTEXT_SECONDS, FADE_SECONDS = 1.0, 0.3
MIN_CHUNK_SECONDS, MAX_CHUNK_SECONDS = 1.0, 30.0


@dataclass(frozen=True)
class Window:
    """Frames [first, end) are computed, [start, stop) of them are what the piece is for."""

    first: int
    start: int
    stop: int
    end: int


@dataclass(frozen=True)
class ChunkPlan:
    """Pieces of `chunk` frames with `context` frames on either side, cross-faded over `fade` (even) around each seam."""

    chunk: int
    context: int
    fade: int

    @classmethod
    def of_seconds(cls, seconds: float, audio: AudioConfig) -> "ChunkPlan":
        """The plan for pieces of so many seconds, 1 s of context and fades of 0.3 s.

        Raises:
            ValueError: if `seconds` is not from 1 to 30.
        """
        if isinstance(seconds, bool) or not MIN_CHUNK_SECONDS <= seconds <= MAX_CHUNK_SECONDS:
            raise ValueError(f"chunk_seconds must be from {MIN_CHUNK_SECONDS:g} to {MAX_CHUNK_SECONDS:g}, found {seconds!r}.")
        rate = audio.sample_rate / audio.hop_length
        return cls(round(seconds * rate), round(CONTEXT_SECONDS * rate), 2 * round(FADE_SECONDS * rate / 2))

    @property
    def longest(self) -> int:
        """No piece has more frames."""
        return self.chunk + self.chunk // 2 + self.context

    def windows(self, n_frames: int) -> list[Window]:
        """The pieces of `n_frames` frames; the last one is longer or shorter, by half a chunk or so."""
        n_pieces = max(1, (n_frames - self.context + self.chunk // 2) // self.chunk)
        edges = [*range(0, n_pieces * self.chunk, self.chunk), n_frames]
        return [
            Window(max(0, start - self.context), start, stop, min(n_frames, stop + self.context))
            for start, stop in pairwise(edges)
        ]


def cross_fade(pieces: Iterable[Tensor], windows: list[Window], fade: int) -> Iterator[Tensor]:
    """Consecutive frames of one signal, out of overlapping pieces.

    Around each seam (1 - w) of the piece before and w of the piece after, w rising linearly over `fade` frames. A row that a
    mean would falsify (the last one: F0) changes over at the seam.

    Args:
        pieces: (R, end - first) for each window, when it is asked for.
        windows: where they lie.
        fade: frames, even, at most the overlap.

    Yields:
        (R, t), in all as many frames as the windows cover.
    """
    half = fade // 2
    ramp = (torch.arange(fade) + 0.5) / fade
    tail: Tensor | None = None
    for window, piece in zip(windows, pieces, strict=True):
        low = window.start - (half if tail is not None else 0) - window.first
        last = window.stop == windows[-1].stop
        body = piece[:, low : window.stop - window.first - (0 if last else half)]
        if tail is not None:
            weight = ramp.to(piece)[None].repeat(len(piece), 1)
            weight[-1] = (weight[-1] > 0.5).to(piece)
            body = torch.cat((torch.lerp(tail, body[:, :fade], weight), body[:, fade:]), dim=1)
        tail = None if last else piece[:, window.stop - half - window.first : window.stop + half - window.first]
        yield body


def vocode(vocoder: Vocoder, pieces: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """The wave of a mel that comes in pieces, as if it had come whole: every piece is vocoded with its surroundings.

    Args:
        vocoder: its `context_frames` are kept on either side.
        pieces: consecutive frames (R, t); the first n_mels rows are natural-log mel.

    Yields:
        frames (R, t) and their wave (t * hop_length,), the latter `context_frames` behind what was taken from `pieces`.
    """
    context, hop, n_mels = vocoder.context_frames, vocoder.audio.hop_length, vocoder.audio.n_mels
    held, origin, done = torch.zeros(0), 0, 0  # frames from `origin` on; those before `done` have their wave

    def wave(stop: int) -> tuple[Tensor, Tensor]:
        low = max(origin, done - context)
        mel = held[None, :n_mels, low - origin : stop + context - origin]
        wav = vocoder(mel, low)[0, (done - low) * hop : (stop - low) * hop]
        return held[:, done - origin : stop - origin], wav

    for piece in pieces:
        held = torch.cat((held, piece), dim=1) if held.numel() else piece
        stop = origin + held.shape[1] - context
        if stop > done:
            yield wave(stop)
            keep = max(origin, stop - context)
            held, origin, done = held[:, keep - origin :], keep, stop
    yield wave(origin + held.shape[1])

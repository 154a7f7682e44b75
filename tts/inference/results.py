"""What synthesis gives back."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tts.audio.io import write_audio

PRIORS = ("source_prior", "filter_prior")


@dataclass(frozen=True, kw_only=True)
class Audio:
    """Speech and how it came about.

    wav: (N,) float32 in about [-1, 1].
    sample_rate: Hz.
    mel, source_prior, filter_prior: (n_mels, T) natural log; the priors add up to a mel.
    f0: (T,) Hz, 0 = unvoiced.
    phones, durations: symbols and their mel frames; none in converted speech.
    vocoder: its name.
    seconds: computing time by part (text or content, priors, denoisers, vocoder).
    """

    wav: NDArray[np.float32]
    sample_rate: int
    mel: NDArray[np.float32]
    source_prior: NDArray[np.float32]
    filter_prior: NDArray[np.float32]
    f0: NDArray[np.float32]
    phones: list[str]
    durations: NDArray[np.int64]
    vocoder: str
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """Seconds of speech."""
        return len(self.wav) / self.sample_rate

    @property
    def rtf(self) -> float:
        """Computing time over speech time."""
        return sum(self.seconds.values()) / max(self.duration, 1e-9)

    def save(self, path: str | Path, *, normalize: bool = False, overwrite: bool = True) -> None:
        """Write the wave; see tts.audio.io.write_audio."""
        write_audio(path, self.wav, self.sample_rate, normalize=normalize, overwrite=overwrite)


def join(pieces: Iterable[Audio]) -> Audio:
    """Consecutive pieces as one.

    Raises:
        ValueError: if there is none.
    """
    parts = list(pieces)
    if not parts:
        raise ValueError("nothing to join: there is no piece.")
    seconds: Counter[str] = Counter()
    for part in parts:
        seconds.update(part.seconds)  # type: ignore[arg-type]
    tracks = {n: np.concatenate([getattr(p, n) for p in parts], axis=-1) for n in ("wav", "mel", *PRIORS, "f0", "durations")}
    phones = [phone for part in parts for phone in part.phones]
    return Audio(**tracks, phones=phones, sample_rate=parts[0].sample_rate, vocoder=parts[0].vocoder, seconds=dict(seconds))

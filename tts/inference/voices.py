"""Voices of a model: the style and F0 statistics of a speaker's name, of a recording, or of several."""

import difflib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tts.audio.io import read_audio, to_wav
from tts.audio.mel import MelExtractor
from tts.audio.pitch import F0Statistics, extract_f0
from tts.errors import AudioError, SpeakerError
from tts.inference.attributes import Voice
from tts.inference.model_folder import LoadedModel
from tts.speech.model import SourceFilterModel

logger = logging.getLogger(__name__)

MIN_REFERENCE_SECONDS, SHORT_REFERENCE_SECONDS, MAX_REFERENCE_SECONDS = 0.5, 1.0, 30.0

Wav = NDArray[np.float32]
Reference = str | Path | NDArray[Any] | Voice
References = Reference | Sequence[Reference]


class Voices:
    """Finds voices. A recording gives one from half a second on; its first 30 s are used, lengths count after resampling."""

    def __init__(self, loaded: LoadedModel, model: SourceFilterModel, device: torch.device) -> None:
        self.loaded, self.model, self.device = loaded, model, device
        self.audio = loaded.model.config.audio
        self.mel = MelExtractor(self.audio)

    @property
    def names(self) -> list[str]:
        """Names of the speakers with a stored style."""
        return sorted(self.loaded.speakers)

    def find(self, reference: References) -> Voice:
        """The voice of a reference.

        Args:
            reference: a speaker's name; a recording, as a path or as samples (N,) at the model's rate; several recordings,
                whose styles are averaged and whose F0 is pooled; or a voice, which is given back.

        Raises:
            SpeakerError: if a text is no speaker and no file.
            AudioError: if a recording cannot be read or is too short.
            ValueError: if the list of recordings is empty.
        """
        if isinstance(reference, Voice):
            return reference
        if isinstance(reference, str | Path) and str(reference) in self.loaded.speakers:
            name = str(reference)
            return Voice(self.loaded.speakers[name].cpu(), self.loaded.statistics.of_speaker(name))
        single = isinstance(reference, str | Path | np.ndarray | torch.Tensor)
        recordings = [self._recording(r) for r in ([reference] if single else reference)]
        if not recordings:
            raise ValueError("the list of reference recordings is empty. Give at least one.")
        return self._of_recordings(recordings)

    @torch.inference_mode()
    def _of_recordings(self, recordings: list[tuple[str, Wav]]) -> Voice:
        statistics = self.loaded.statistics
        styles, tracks = [], []
        for _, wav in recordings:
            mel = (self.mel(torch.from_numpy(wav)[None]) - statistics.mel_mean) / statistics.mel_std
            mel = mel.to(self.device)
            styles.append(self.model.style(mel, mel.new_ones(1, 1, mel.shape[-1]))[0].float().cpu())
            tracks.append(extract_f0(wav, self.audio, mel.shape[-1]))
        f0 = F0Statistics.fit(tracks, name=recordings[0][0], fallback=statistics.f0)
        return Voice(torch.stack(styles).mean(0), f0)

    def _recording(self, reference: Reference) -> tuple[str, Wav]:
        """What to call a recording, and the part (N,) of it that is used."""
        rate = self.audio.sample_rate
        if isinstance(reference, str | Path):
            self._require_file(str(reference))
            name, (wav, _) = str(reference), read_audio(reference, rate, max_seconds=MAX_REFERENCE_SECONDS + 1)
        else:
            name, wav = "the reference", to_wav(reference)
        seconds = len(wav) / rate
        if seconds < MIN_REFERENCE_SECONDS:
            raise AudioError(
                f"{name}: {seconds:.2f} s of reference, expected {MIN_REFERENCE_SECONDS} s or more. Give a longer one."
            )
        if seconds < SHORT_REFERENCE_SECONDS:
            logger.warning("%s: %.2f s of reference is little; the style may be off.", name, seconds)
        if seconds > MAX_REFERENCE_SECONDS:
            logger.warning("%s: the first %g s of the reference are used.", name, MAX_REFERENCE_SECONDS)
        return name, wav[: round(MAX_REFERENCE_SECONDS * rate)]

    def _require_file(self, name: str) -> None:
        if not Path(name).exists():
            near = difflib.get_close_matches(name, self.names, n=3) or self.names[:3]
            raise SpeakerError(
                f"no speaker and no file {name!r}. Nearest: {', '.join(near)} ({len(self.names)} speaker(s) in all)."
            )

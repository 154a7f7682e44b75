"""What a conversion is compared with: its source, recordings of the target's voice, and other recordings of both speakers."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tts.config import AudioConfig
from tts.data.files import some
from tts.data.kaldi_dir import read_kaldi_dir
from tts.data.manifest import MANIFEST, Utterance, read_manifest
from tts.data.pairs import Pair
from tts.errors import SpeakerError
from tts.metrics.systems import Array, Clip, ClipReader, System

SOURCES, TARGETS = "source recordings", "target recordings"
MAX_REFERENCES = 10  # recordings that stand for the voice of a target given by name


@dataclass(frozen=True, kw_only=True)
class Case:
    """One pair with what is known of it.

    source, target: the recordings, with text and speaker where known ("" where not); of a target given by name, its first.
    references: what the voice of the target is measured on; the target, or several recordings of a speaker given by name.
    other_source, other_target: another recording of each speaker, None where none is known.
    """

    pair: Pair
    source: Utterance
    target: Utterance
    references: tuple[Path, ...]
    other_source: Path | None
    other_target: Path | None


def read_recordings(path: Path) -> list[Utterance]:
    """The utterances of a Kaldi directory, a features folder or a manifest.

    Raises:
        DataError: as `read_kaldi_dir` and `read_manifest`.
    """
    if path.is_file() or (path / MANIFEST).is_file():
        return [Utterance(id=r.id, audio=Path(r.audio), text=r.text, speaker=r.speaker) for r in read_manifest(path)]
    return read_kaldi_dir(path)


class ConversionSet:
    """The pairs, and how clips are measured to be comparable with their sources."""

    def __init__(self, path: Path, pairs: Sequence[Pair], recordings: Sequence[Utterance], audio: AudioConfig) -> None:
        """Looks the pairs up in the recordings.

        Args:
            path: where the pairs were read, for messages.
            pairs: with different names.
            recordings: text and speaker of the audio files that have any; more recordings of the same speakers.
            audio: the mel that clips are measured with; decoded waves have its sample rate, others any.

        Raises:
            SpeakerError: if the recordings have none of a target given by name.
        """
        self.path, self.audio = path, audio
        self._known = {u.audio.resolve(): u for u in recordings}
        self._of_speaker: defaultdict[str, list[Path]] = defaultdict(list)
        for file, utterance in self._known.items():
            self._of_speaker[utterance.speaker].append(file)
        self.cases = {pair.name: self._case(pair, turn) for turn, pair in enumerate(pairs)}
        self._reader = ClipReader(audio, "this evaluation is")
        self._recording = lru_cache(maxsize=256)(self._reader.recording)

    def reference(self, name: str) -> tuple[Array, Array]:
        """Mel (n_mels, T), natural log, and F0 (T,) Hz of the source."""
        clip = self._recording(self.cases[name].source.audio)
        return clip.wave_mel, clip.f0

    def clip(self, system: System, name: str) -> Clip:
        """One utterance of a system.

        Raises:
            DataError: if a decoded file is missing, incomplete, or made for another sample rate or mel.
            AudioError: if the wave cannot be read.
        """
        return self._reader.decoded(system, name) if system.folder else self._recording(self.audio_path(system, name))

    def audio_path(self, system: System, name: str) -> Path:
        """The file of one utterance of a system."""
        if system.folder is not None:
            return system.folder / f"{name}.wav"
        case = self.cases[name]
        return case.target.audio if system.name == TARGETS else case.source.audio

    def text(self, system: System, name: str) -> str:
        """What is said in it, "" where that is not known."""
        case = self.cases[name]
        return case.target.text if system.name == TARGETS else case.source.text

    def target_f0(self, name: str) -> Array:
        """F0 in Hz, 0 = unvoiced, of the references of the target, one after another."""
        return np.concatenate([self._recording(path).f0 for path in self.cases[name].references])

    def _case(self, pair: Pair, turn: int) -> Case:
        source = self._utterance(pair.source, pair.name)
        target = pair.target_audio
        if target is not None:
            references = (target.resolve(),)
        else:
            recordings = self._of_speaker.get(pair.target, [])
            if not recordings:
                raise SpeakerError(
                    f"{self.path}: no recording of the target {pair.target!r} of {pair.name} is known; known speakers: "
                    f"{some(sorted(self._of_speaker)) or 'none'}. Give a set with recordings of it, or a wave for the target."
                )
            references = tuple(recordings[: min(MAX_REFERENCES, (len(recordings) + 1) // 2)])
        heard = self._utterance(references[0], pair.name)
        return Case(
            pair=pair,
            source=source,
            target=heard,
            references=references,
            other_source=self._other(source.speaker, (source.audio,), turn),
            other_target=self._other(heard.speaker, references, turn),
        )

    def _utterance(self, path: Path, name: str) -> Utterance:
        return self._known.get(path.resolve()) or Utterance(id=name, audio=path.resolve(), text="", speaker="")

    def _other(self, speaker: str, than: Sequence[Path], turn: int) -> Path | None:
        """A recording of a speaker but these, one in turn."""
        others = [path for path in self._of_speaker.get(speaker, []) if path not in {file.resolve() for file in than}]
        return others[turn % len(others)] if others else None

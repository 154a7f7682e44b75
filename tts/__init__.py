"""Glottis: speech synthesis with source-filter diffusion priors.

The names below are imported when first used, so that `import tts` stays fast and needs no PyTorch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Audio": "tts.inference.results",
    "Synthesizer": "tts.inference.synthesizer",
    "VoiceConverter": "tts.inference.converter",
    "read_audio": "tts.audio.io",
    "write_audio": "tts.audio.io",
}
__all__ = ["Audio", "Synthesizer", "VoiceConverter", "__version__", "read_audio", "write_audio"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tts' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""The only file that touches espeak-ng (GPL-3), through the optional extra `glottis[phonemes]`."""

import importlib
import re
from collections.abc import Callable

from tts.errors import ConfigError

_LANGUAGE_FLAG = re.compile(r"\([a-z-]+\)")  # espeak marks words it reads in another language: (fr)bɔ̃(en)


def load_espeak(voice: str) -> Callable[[str], str]:
    """A function from a clause without punctuation to IPA: phones joined by "_", words by " ", stress before the vowel.

    Raises:
        ConfigError: if the extra is not installed or espeak-ng has no such voice.
    """
    try:
        loader = importlib.import_module("espeakng_loader")
        wrapper_class = importlib.import_module("phonemizer.backend.espeak.wrapper").EspeakWrapper
    except ImportError as err:
        raise ConfigError(
            f"the front end 'espeak' cannot be loaded ({err}). Run pip install 'glottis[phonemes]', "
            "or use the front end 'characters'."
        ) from err
    wrapper_class.set_library(loader.get_library_path())
    wrapper_class.set_data_path(loader.get_data_path())
    wrapper = wrapper_class()
    try:
        wrapper.set_voice(voice)
    except RuntimeError as err:
        raise ConfigError(f"espeak-ng has no voice {voice!r} ({err}). Use en-us.") from err

    def to_ipa(clause: str) -> str:
        return _LANGUAGE_FLAG.sub("", wrapper.text_to_phonemes(clause)).replace("\n", " ")

    return to_ipa

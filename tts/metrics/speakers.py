"""The judges of voices: speaker encoders that no training here uses, and which of them are at hand."""

import importlib.util
import os
import warnings
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tts.audio.io import resample
from tts.errors import ModelError
from tts.metrics.asr import NotMeasured
from tts.nets.weights import load_tensors
from tts.speech.public_vocoders import read_checkpoint

ENVIRONMENT = "GLOTTIS_ECAPA"
ECAPA_HUB = "speechbrain/spkrec-ecapa-voxceleb"
ECAPA_FILE = "embedding_model.ckpt"
_ECAPA_CHANNELS = [1024, 1024, 1024, 1024, 3072]
_ECAPA_HOW = f"Give a folder with the {ECAPA_FILE} of {ECAPA_HUB}, or that name to download it, by --ecapa or in {ENVIRONMENT}."
_RESEMBLYZER_HOW = "Install it with pip install 'glottis[similarity]'; it compiles webrtcvad, which takes g++."
_RATE = 16000  # Hz, both encoders'

Array = NDArray[np.float32]


class SpeakerEncoder(Protocol):
    """Anything that turns speech into a vector of its voice."""

    name: str

    def embed(self, wav: Array, rate: int) -> Array:
        """The unit vector (D,) of the voice in `wav` (N,) at `rate` Hz."""
        ...


class ResemblyzerEncoder:
    """Resemblyzer's GE2E encoder, D = 256, whose weights are in its wheel; on the CPU.

    Long silences are cut and the level is raised to -30 dBFS first, as its authors do.

    Source: Wan et al. 2018, "Generalized end-to-end loss for speaker verification"; github.com/resemble-ai/Resemblyzer.
    """

    name = "resemblyzer"

    def __init__(self) -> None:
        """Loads the weights.

        Raises:
            ModelError: if Resemblyzer is not installed.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # webrtcvad imports the deprecated pkg_resources
                from resemblyzer import VoiceEncoder, preprocess_wav
        except ImportError as err:
            raise ModelError(f"speaker encoder {self.name}: cannot be imported ({err}). {_RESEMBLYZER_HOW}") from err
        self._preprocess = preprocess_wav
        with torch.random.fork_rng(devices=[]):  # its layers draw weights that the file replaces
            self._model = VoiceEncoder("cpu", verbose=False)

    def embed(self, wav: Array, rate: int) -> Array:
        """The unit vector (256,) of the voice in `wav` (N,) at `rate` Hz; silence has one too, unlike a voice's."""
        wav = resample(wav, rate, _RATE)
        return self._model.embed_utterance(self._preprocess(wav) if np.any(wav) else wav)


class EcapaEncoder:
    """SpeechBrain's ECAPA-TDNN of VoxCeleb, D = 192, on the CPU.

    Only its weights are read; its configuration file, which names code to run, is not.

    Source: Desplanques et al. 2020, "ECAPA-TDNN"; the hub's speechbrain/spkrec-ecapa-voxceleb.
    """

    name = "ecapa"

    def __init__(self, folder_or_hub: str | Path = ECAPA_HUB) -> None:
        """Loads the weights.

        Args:
            folder_or_hub: a folder with embedding_model.ckpt, or a name on the Hugging Face hub, downloaded once.

        Raises:
            ModelError: if the file is missing, cannot be downloaded, or holds other tensors.
        """
        from speechbrain.lobes.features import Fbank
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

        path = Path(folder_or_hub) / ECAPA_FILE if Path(folder_or_hub).is_dir() else _from_hub(str(folder_or_hub))
        if not path.is_file():
            raise ModelError(f"speaker encoder {self.name}: {path} is not there. {_ECAPA_HOW}")
        self._features = Fbank(sample_rate=_RATE, n_mels=80)
        with torch.device("meta"):
            self._model = ECAPA_TDNN(80, channels=_ECAPA_CHANNELS, lin_neurons=192)
        load_tensors(self._model, read_checkpoint(path), str(path))
        self._model.eval()

    def embed(self, wav: Array, rate: int) -> Array:
        """The unit vector (192,) of the voice in `wav` (N,) at `rate` Hz; the level does not matter."""
        with torch.inference_mode():
            features = self._features(torch.from_numpy(resample(wav, rate, _RATE))[None])  # (1, T, 80) dB
            vector = self._model(features - features.mean(dim=1, keepdim=True))[0, 0]
        return (vector / vector.norm()).numpy()


def find_encoders(ecapa: str | None = None) -> dict[str, SpeakerEncoder | NotMeasured]:
    """Every encoder by name, or why it is not at hand; nothing is downloaded unless it is asked for.

    Args:
        ecapa: what `EcapaEncoder` takes; by default what GLOTTIS_ECAPA says, else the copy in the hub's cache.

    Raises:
        ModelError: if the ECAPA asked for cannot be loaded.
    """
    installed = importlib.util.find_spec("resemblyzer") is not None
    found: dict[str, SpeakerEncoder | NotMeasured] = {
        ResemblyzerEncoder.name: ResemblyzerEncoder() if installed else NotMeasured(f"not installed. {_RESEMBLYZER_HOW}")
    }
    wanted = ecapa or os.environ.get(ENVIRONMENT)
    if wanted or _in_cache():
        found[EcapaEncoder.name] = EcapaEncoder(wanted or ECAPA_HUB)
    else:
        found[EcapaEncoder.name] = NotMeasured(f"its weights are not on this machine. {_ECAPA_HOW}")
    return found


def _in_cache() -> bool:
    from huggingface_hub import try_to_load_from_cache  # comes with speechbrain; slow to import

    return isinstance(try_to_load_from_cache(ECAPA_HUB, ECAPA_FILE), str)


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(hf_hub_download(name, ECAPA_FILE))
    except (OSError, HfHubHTTPError, HFValidationError) as err:
        reason = f"{ECAPA_FILE} of {name!r} could not be downloaded ({type(err).__name__})"
        raise ModelError(f"speaker encoder {EcapaEncoder.name}: {reason}. {_ECAPA_HOW}") from err

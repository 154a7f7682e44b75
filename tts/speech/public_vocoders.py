"""The public HiFi-GAN checkpoints of SpeechBrain, read without running their configuration files."""

import pickle
from pathlib import Path

import torch
from torch import Tensor

from tts.config import AUDIO_CONFIGS, AudioConfig
from tts.errors import ModelError
from tts.nets.weights import load_tensors
from tts.speech.hifigan import HifiGan, folded_state, make_generator, require_same_mel, vocoder_preset

CHECKPOINT = "generator.ckpt"
PUBLIC_VOCODERS = {
    "speechbrain/tts-hifigan-ljspeech": "ljspeech22k",
    "speechbrain/tts-hifigan-libritts-16kHz": "libri16k",
}
_KEYS = {".weight_g": ".parametrizations.weight.original0", ".weight_v": ".parametrizations.weight.original1"}


def load_public_vocoder(name: str, audio: AudioConfig, folder: Path | None = None) -> HifiGan:
    """One of `PUBLIC_VOCODERS`, from a local copy of its folder or else from the Hugging Face hub, on the CPU.

    Raises:
        ModelError: if it takes another mel than `audio` (before anything is downloaded), cannot be downloaded or does not fit.
    """
    config = vocoder_preset("v1", AUDIO_CONFIGS[PUBLIC_VOCODERS[name]])
    require_same_mel(name, config.audio, audio)
    path = download(name) if folder is None else folder / CHECKPOINT
    with torch.device("meta"):
        vocoder, generator = HifiGan(config, name=name), make_generator(config)
    load_tensors(generator, read_checkpoint(path), str(path))
    load_tensors(vocoder.generator, folded_state(generator), str(path))
    return vocoder


def download(name: str) -> Path:
    """The local path of a public checkpoint, fetched unless it is in the hub's cache.

    Raises:
        ModelError: if it is neither there nor to be had.
    """
    from huggingface_hub import hf_hub_download  # comes with speechbrain; slow to import
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(hf_hub_download(name, CHECKPOINT))
    except (OSError, HfHubHTTPError) as err:
        raise ModelError(
            f"vocoder {name}: {CHECKPOINT} could not be downloaded ({type(err).__name__}). Go online, or copy the repository "
            f"to a folder named {name.partition('/')[2]} and give its path, or use griffin_lim."
        ) from err


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a PyTorch state_dict with today's names: weight_g and weight_v become parametrizations of weight.

    Raises:
        ModelError: if the file is missing, or holds anything but tensors.
    """
    try:
        # The two public checkpoints exist as pickles only; weights_only admits nothing but tensors and plain containers.
        state = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as err:
        raise ModelError(f"{path}: not a PyTorch checkpoint of tensors ({type(err).__name__}). Download it again.") from err
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ModelError(f"{path}: expected a table of tensors, found {type(state).__name__} with other values.")
    return {_today(name): tensor for name, tensor in state.items()}


def _today(name: str) -> str:
    for old, new in _KEYS.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name

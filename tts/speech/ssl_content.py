"""Content of self-supervised networks: a middle layer of XLS-R or HuBERT, from a local folder or the Hugging Face hub."""

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tts.audio.io import resample
from tts.config import AudioConfig
from tts.data.content_file import ContentInfo, ContentKind
from tts.errors import AudioError, ModelError

RATE = 16000  # Hz, what all these networks hear
_STRIDE = 320  # samples between their frames
_REACH = 400  # samples under one frame
_MARGIN = (_REACH - _STRIDE) // 2  # reflected at both ends, so that N samples give N // 320 frames
_PUBLISHED = {
    ContentKind.xlsr: ("facebook/wav2vec2-xls-r-300m", 12),
    ContentKind.hubert: ("facebook/hubert-base-ls960", 9),
}
_MODEL_TYPES = {ContentKind.xlsr: "wav2vec2", ContentKind.hubert: "hubert"}


class SslContent:
    """The output h_l of the l-th transformer layer, l = 12 of XLS-R 300M (1024 rows), 9 of HuBERT base (768 rows).

    The wave is brought to 16 kHz and to zero mean and unit variance, so that its level is of no consequence. Only l layers are
    built; the norm that some of these networks put after their last layer is left out, so that h_l is `hidden_states[l]` of
    the whole network. Frame i of the network is centred on sample 320 i + 160; between them values are linear in time, and
    before the first and after the last they stay.

    Args:
        kind: xlsr or hubert.
        source: a local folder or a name on the hub; "" is the published network.
        audio: the mel whose frames the features have.
        layer: l; by default that of the kind.

    Raises:
        ModelError: if transformers is not installed, or the network is not to be had, of another type or not deep enough.
        ValueError: if the kind is ppg, or `layer` < 1.

    Source: the content encoder of DDDM-VC (layer 12 of XLS-R, without the normalised input).
    """

    def __init__(self, kind: ContentKind, source: str, audio: AudioConfig, *, layer: int | None = None) -> None:
        if kind not in _PUBLISHED:
            raise ValueError(f"content {kind.value!r} is no self-supervised network; expected xlsr or hubert.")
        name, published_layer = _PUBLISHED[kind]
        self.audio, self.layer = audio, published_layer if layer is None else layer
        if self.layer < 1:
            raise ValueError(f"layer {self.layer}: expected 1 or more.")
        self.model = _load(source or name, _MODEL_TYPES[kind], self.layer)
        self.info = ContentInfo(
            kind=kind, dim=self.model.config.hidden_size, n_phones=0, fingerprint=_fingerprint(self.model, self.layer)
        )

    @torch.inference_mode()
    def __call__(self, wav: NDArray[np.float32]) -> Tensor:
        """See ContentEncoder; on the network's device."""
        if len(wav) == 0:
            raise AudioError("the waveform has 0 samples; at least 1 is needed for a content frame.")
        n_frames = len(wav) // self.audio.hop_length + 1
        device = next(self.model.parameters()).device
        heard = normalize_wave(torch.tensor(resample(wav, self.audio.sample_rate, RATE), device=device))
        heard = nn.functional.pad(heard, (0, max(0, _STRIDE - len(heard))))
        heard = nn.functional.pad(heard[None], (_MARGIN, _MARGIN), mode="reflect")  # (1, N + 80)
        hidden = self.model(heard).last_hidden_state[0].T  # (D, N // 320)
        samples = torch.arange(n_frames, device=device) * (self.audio.hop_length * RATE / self.audio.sample_rate)
        return interpolate_frames(hidden.float(), (samples - _STRIDE / 2) / _STRIDE)


def normalize_wave(wav: Tensor) -> Tensor:
    """(wav - mean) / sqrt(variance + 1e-7), the input that these networks were trained on; silence stays 0."""
    return (wav - wav.mean()) * torch.rsqrt(wav.var(unbiased=False) + 1e-7)


def interpolate_frames(frames: Tensor, places: Tensor) -> Tensor:
    """The columns of `frames` (D, F) at fractional `places` (T,): linear between them, constant beyond the ends; (D, T)."""
    places = places.clamp(0, frames.shape[1] - 1)
    left = places.floor().long()
    right = (left + 1).clamp(max=frames.shape[1] - 1)
    return torch.lerp(frames[:, left], frames[:, right], (places - left).to(frames))


def _load(source: str, model_type: str, layer: int) -> Any:
    """The first `layer` layers of a network, in evaluation, without a norm after them."""
    try:
        from transformers import AutoConfig, AutoModel
        from transformers.utils import logging as messages
    except ImportError as err:
        raise ModelError(
            f"content of {model_type} networks needs transformers, which cannot be loaded ({err}). Run pip install "
            "'glottis[content]', or use the recogniser's content (ppg)."
        ) from err
    try:
        config = AutoConfig.from_pretrained(source)
        if config.model_type != model_type or config.num_hidden_layers < layer:
            raise ModelError(
                f"{source}: found a {config.model_type} network of {getattr(config, 'num_hidden_layers', 0)} layers, expected "
                f"{model_type} with at least {layer}. Give another network or kind."
            )
        config.num_hidden_layers = layer
        verbosity = messages.get_verbosity()
        messages.set_verbosity_error()  # the tensors of the layers left out would fill pages
        try:
            model = AutoModel.from_pretrained(source, config=config)
        finally:
            messages.set_verbosity(verbosity)
    except (OSError, ValueError) as err:
        reason = str(err).strip().partition("\n")[0]
        raise ModelError(
            f"{source}: no network could be loaded ({reason}). Give a local folder with config.json and model.safetensors, or "
            "a name on the hub while online."
        ) from err
    if config.do_stable_layer_norm:
        model.encoder.layer_norm = nn.Identity()
    return model.float().eval().requires_grad_(False)


def _fingerprint(model: nn.Module, layer: int) -> str:
    digest = hashlib.sha256(f"layer {layer}".encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]

"""Content encoders: what is said in a wave, frame by frame, as features of the filter prior's audio entrance."""

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.audio.mel import MelExtractor
from tts.config import AudioConfig
from tts.data.content_file import ContentInfo, ContentKind
from tts.errors import ModelError
from tts.speech.recognizer import LoadedRecognizer, load_recognizer


class ContentEncoder(Protocol):
    """Waves to content features at the mel's frame rate."""

    info: ContentInfo  # of one clean version; its fingerprint is the encoder's

    def __call__(self, wav: NDArray[np.float32]) -> Tensor:
        """Features (D, T) float32 of a wave (N,) at the mel's sample rate, T = N // hop_length + 1 its mel frames.

        Raises:
            AudioError: if the wave has no samples.
        """
        ...


class PpgContent:
    """[phone posteriors; bottleneck] of a recogniser."""

    def __init__(self, recognizer: LoadedRecognizer) -> None:
        config = recognizer.model.config
        self.recognizer = recognizer
        self.info = ContentInfo(
            kind=ContentKind.ppg, dim=config.content_dim, n_phones=config.n_tokens, fingerprint=recognizer.fingerprint()
        )
        self._mel = MelExtractor(config.audio)

    @torch.inference_mode()
    def __call__(self, wav: NDArray[np.float32]) -> Tensor:
        """See ContentEncoder; on the recogniser's device."""
        device = next(self.recognizer.model.parameters()).device
        statistics = self.recognizer.statistics
        mel = self._mel.to(device)(torch.tensor(wav, device=device)[None])  # (1, n_mels, T)
        mel = (mel - statistics.mel_mean) / statistics.mel_std
        return self.recognizer.model.features(mel, mel.new_ones(1, 1, mel.shape[-1]))[0]


def load_content_encoder(kind: ContentKind, source: str, audio: AudioConfig) -> ContentEncoder:
    """The content encoder of a kind, on the CPU.

    Args:
        kind: ppg, xlsr or hubert.
        source: folder of the recogniser; of a self-supervised network its folder or name, "" being the published one.
        audio: the mel whose frames the features are to have.

    Raises:
        ModelError: if the recogniser hears another mel, or the network cannot be loaded.
    """
    if kind is not ContentKind.ppg:
        from tts.speech.ssl_content import SslContent

        return SslContent(kind, source, audio)
    recognizer = load_recognizer(Path(source))
    differences = recognizer.model.config.audio.differences(audio)
    if differences:
        raise ModelError(
            f"{source}: the recogniser hears another mel than that of the features (recogniser != features): "
            f"{'; '.join(differences)}. Train one on these features."
        )
    return PpgContent(recognizer)

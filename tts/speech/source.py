"""The source prior: pitch and style to the source mel (glottal pulse spectrum and voicing)."""

import torch
from torch import Tensor, nn

from tts.audio.excitation import harmonic_excitation
from tts.config import AudioConfig
from tts.nets.wavenet import WaveNet
from tts.speech.config import PriorConfig


class PriorDecoder(nn.Module):
    """WaveNet decoder of one attribute: embedding (B, E, T) and style (B, S) to a prior mel (B, n_mels, T).

    Source: DDDM-VC, 2,119,632 parameters at the default sizes.
    """

    def __init__(self, embedding_dim: int, n_mels: int, style_dim: int, config: PriorConfig) -> None:
        super().__init__()
        self.enter = nn.Conv1d(embedding_dim, config.channels, 1)
        self.body = WaveNet(config.channels, config.layers, config.kernel_size, style_dim, config.dropout)
        self.leave = nn.Conv1d(config.channels, n_mels, 1)

    def forward(self, embedding: Tensor, style: Tensor, mask: Tensor) -> Tensor:
        """embedding (B, E, T), style (B, S), mask (B, 1, T) -> mel (B, n_mels, T), normalised log."""
        h = self.enter(embedding * mask) * mask
        return self.leave(self.body(h, style, mask)) * mask


class PitchEncoder(nn.Module):
    """Continuous pitch embedding P: one convolution over (z-scored log-F0, voicing, the mel of a pulse train at F0).

    Unlike z-scores with zeros for unvoiced frames, the voicing plane tells "unvoiced" from "average pitch"; the pulse train
    shows where the harmonics are, whoever speaks.
    """

    def __init__(self, dim: int, audio: AudioConfig) -> None:
        super().__init__()
        self.audio = audio
        self.conv = nn.Conv1d(2 + audio.n_mels, dim, 3, padding=1)

    def forward(self, pitch: Tensor, f0: Tensor, mask: Tensor) -> Tensor:
        """pitch (B, T) z-score, f0 (B, T) Hz with 0 = unvoiced, mask (B, 1, T) -> (B, dim, T)."""
        planes = torch.stack((pitch, (f0 > 0).to(pitch)), dim=1)
        return self.conv(torch.cat((planes, harmonic_excitation(f0, self.audio)), dim=1) * mask) * mask


class SourcePrior(nn.Module):
    """mu_src = decoder(P, g)."""

    def __init__(self, dim: int, audio: AudioConfig, style_dim: int, config: PriorConfig) -> None:
        super().__init__()
        self.embed = PitchEncoder(dim, audio)
        self.decode = PriorDecoder(dim, audio.n_mels, style_dim, config)

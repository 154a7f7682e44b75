"""The source prior: pitch and style to the source mel (glottal pulse spectrum and voicing)."""

from torch import Tensor, nn

from tts.config import AudioConfig
from tts.nets.wavenet import WaveNet
from tts.speech.config import F0VqVaeConfig, PitchKind, PriorConfig
from tts.speech.pitch_encoder import build_pitch_encoder


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


class SourcePrior(nn.Module):
    """mu_src = decoder(P, g), where P is what the pitch encoder of the configuration makes of the pitch."""

    def __init__(
        self, dim: int, audio: AudioConfig, style_dim: int, config: PriorConfig, pitch: PitchKind, f0_vqvae: F0VqVaeConfig
    ) -> None:
        super().__init__()
        self.embed = build_pitch_encoder(pitch, dim, audio, f0_vqvae)
        self.decode = PriorDecoder(dim, audio.n_mels, style_dim, config)

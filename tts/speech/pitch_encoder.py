"""Two pitch encoders behind one interface: pitch (B, T), f0 (B, T), mask (B, 1, T) -> embedding P (B, dim, T)."""

import torch
from torch import Tensor, nn

from tts.audio.excitation import harmonic_excitation
from tts.config import AudioConfig
from tts.speech.config import F0VqVaeConfig, PitchKind
from tts.speech.f0_vqvae import FRAMES_PER_CODE, F0VqVae


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


class VqPitchEncoder(nn.Module):
    """Pitch embedding P from the codes of a frozen F0 VQ-VAE: P_t = E[code of t // 4], E learned anew.

    The F0 VQ-VAE is part of the state, so a model folder is whole; it is always in eval mode and gets no gradient, and its own
    code vectors serve to find the codes only. What a code leaves out of the pitch, and voicing, P does not know.

    Source: DDDM-VC.
    """

    def __init__(self, dim: int, config: F0VqVaeConfig) -> None:
        super().__init__()
        self.vqvae = F0VqVae(config).requires_grad_(False).eval()
        self.embedding = nn.Embedding(config.n_codes, dim)

    def train(self, mode: bool = True) -> "VqPitchEncoder":
        """Training mode for the embedding, never for the F0 VQ-VAE."""
        super().train(mode)
        self.vqvae.eval()
        return self

    def forward(self, pitch: Tensor, f0: Tensor, mask: Tensor) -> Tensor:
        """pitch (B, T) z-score, mask (B, 1, T) -> (B, dim, T); f0 (B, T) belongs to the interface and changes nothing."""
        with torch.no_grad(), torch.autocast(pitch.device.type, enabled=False):  # the same codes in any precision
            codes = self.vqvae.encode(pitch, mask)
        stretched = codes.repeat_interleave(FRAMES_PER_CODE, -1)[:, : pitch.shape[-1]]
        return self.embedding(stretched).transpose(1, 2) * mask


def build_pitch_encoder(kind: PitchKind, dim: int, audio: AudioConfig, config: F0VqVaeConfig) -> PitchEncoder | VqPitchEncoder:
    """The pitch encoder of a kind; `config` is that of the F0 VQ-VAE, for `vq`."""
    return VqPitchEncoder(dim, config) if kind is PitchKind.vq else PitchEncoder(dim, audio)

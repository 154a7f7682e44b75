"""Log-mel spectrograms in pure torch; one extractor serves every audio contract."""

import math

import torch
from torch import Tensor, nn

from tts.config import AudioConfig, MelScale
from tts.errors import AudioError

_SLANEY_LINEAR_HZ = 200.0 / 3.0  # Hz a mel below the break
_SLANEY_BREAK_HZ = 1000.0
_SLANEY_BREAK_MEL = _SLANEY_BREAK_HZ / _SLANEY_LINEAR_HZ
_SLANEY_LOG_STEP = math.log(6.4) / 27.0  # ln(Hz) a mel above the break


def hz_to_mel(hz: Tensor, scale: MelScale) -> Tensor:
    """Mel of a frequency in Hz.

        htk:     2595 log10(1 + f / 700)
        slaney:  3 f / 200 below 1 kHz,  15 + 27 ln(f / 1000) / ln 6.4 above

    Source: Young et al., The HTK Book; Slaney 1998, Auditory Toolbox.
    """
    if scale is MelScale.htk:
        return 2595.0 * torch.log10(1.0 + hz / 700.0)
    above = _SLANEY_BREAK_MEL + torch.log(hz.clamp(min=_SLANEY_BREAK_HZ) / _SLANEY_BREAK_HZ) / _SLANEY_LOG_STEP
    return torch.where(hz < _SLANEY_BREAK_HZ, hz / _SLANEY_LINEAR_HZ, above)


def mel_to_hz(mel: Tensor, scale: MelScale) -> Tensor:
    """Frequency in Hz of a mel: the inverse of `hz_to_mel`."""
    if scale is MelScale.htk:
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = _SLANEY_BREAK_HZ * torch.exp(_SLANEY_LOG_STEP * (mel - _SLANEY_BREAK_MEL))
    return torch.where(mel < _SLANEY_BREAK_MEL, mel * _SLANEY_LINEAR_HZ, above)


def mel_filterbank(audio: AudioConfig) -> Tensor:
    """Triangular filters, (n_mels, n_fft // 2 + 1) float32; edges are equally spaced in mel from f_min to f_max.

    Filter m rises from edge m to m + 1 and falls to m + 2, with peak 1, or with unit area in Hz when `slaney_norm`.
    """
    limits = hz_to_mel(torch.tensor([audio.f_min, audio.f_max], dtype=torch.float64), audio.mel_scale)
    steps = torch.linspace(0.0, 1.0, audio.n_mels + 2, dtype=torch.float64)
    edges = mel_to_hz(limits[0] + (limits[1] - limits[0]) * steps, audio.mel_scale)
    bins = torch.linspace(0.0, audio.sample_rate / 2, audio.n_fft // 2 + 1, dtype=torch.float64)
    width = edges.diff()
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    filters = torch.minimum(rising, falling).clamp(min=0.0)
    if audio.slaney_norm:
        filters = filters * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return filters.float()


class MelExtractor(nn.Module):
    """Natural-log mel of a waveform under one audio contract.

        mel = ln(max(F |STFT(wav)|^power, log_floor))     or     ln(F |STFT(wav)|^power + log_offset)

    Frame i is centred on sample i * hop_length (reflected at both ends), so N samples give N // hop_length + 1 frames.
    Differentiable; float32 even under autocast.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, audio: AudioConfig) -> None:
        super().__init__()
        self.audio = audio
        self.register_buffer("window", torch.hann_window(audio.win_length), persistent=False)
        self.register_buffer("filters", mel_filterbank(audio), persistent=False)

    def n_frames(self, n_samples: int) -> int:
        """Frames of a waveform of `n_samples` samples."""
        return n_samples // self.audio.hop_length + 1

    def forward(self, wav: Tensor) -> Tensor:
        """Log-mel of a batch of equally long waveforms.

        Args:
            wav: (B, N) in [-1, 1] at `audio.sample_rate`. An N too short to be reflected is followed by zeros.

        Returns:
            (B, n_mels, N // hop_length + 1) natural log.

        Raises:
            ValueError: if `wav` is not (B, N).
            AudioError: if it has no samples.
        """
        if wav.dim() != 2:
            raise ValueError(f"wav must be (batch, samples), found shape {tuple(wav.shape)}.")
        if wav.shape[1] == 0:
            raise AudioError("the waveform has 0 samples; at least 1 is needed for a mel frame.")
        audio, n_frames = self.audio, self.n_frames(wav.shape[1])
        shortest = audio.n_fft // 2 + 1  # reflection needs more samples than it adds
        if wav.shape[1] < shortest:
            wav = nn.functional.pad(wav, (0, shortest - wav.shape[1]))
        with torch.autocast(wav.device.type, enabled=False):
            spectrum = torch.stft(
                wav.float(),
                audio.n_fft,
                audio.hop_length,
                audio.win_length,
                self.window,
                center=True,
                pad_mode="reflect",
                return_complex=True,
            )
            magnitude = spectrum[..., :n_frames].abs()
            mel = self.filters @ magnitude.pow(audio.power)  # (B, n_mels, T)
            if audio.log_offset > 0:
                return torch.log(mel + audio.log_offset)
            return torch.log(mel.clamp(min=audio.log_floor))

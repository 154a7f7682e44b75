"""What an ideal glottis gives at a pitch: the log-mel of a pulse train, from a table over F0."""

import math
from functools import lru_cache

import torch
from torch import Tensor

from tts.audio.mel import mel_filterbank
from tts.config import AudioConfig

BREATH = 0.05  # of the mean level, between the harmonics
LOWEST, HIGHEST, ENTRIES = 30.0, 1200.0, 1024  # of the table: Hz, Hz, equally spaced in ln F0


def harmonic_excitation(f0: Tensor, audio: AudioConfig) -> Tensor:
    """Log-mel of a band-limited pulse train at each frame's F0, less its mean over the bands; 0 where unvoiced.

        p(m, t) = sum_k F(m, k) |X(k)|^power,   X = windowed DFT of sum_h cos(2 pi h f0 n / rate)
        e(m, t) = ln(p / mean over m of p + 0.05) - its mean over m

    It shows where the harmonics lie in the bands, which no network has to learn, and nothing else of the voice: neither level
    nor tilt. Values between two entries of the table (0.4 % apart) are interpolated linearly.

    Args:
        f0: (B, T) Hz, 0 = unvoiced; held at 30 and 1200 Hz.
        audio: the mel contract.

    Returns:
        (B, n_mels, T) float32.

    Source: Fant 1960, the source of the source-filter model.
    """
    table = _table(audio).to(f0.device)
    place = (f0.float().clamp(min=LOWEST, max=HIGHEST).log() - math.log(LOWEST)) / math.log(HIGHEST / LOWEST) * (ENTRIES - 1)
    low = place.floor().clamp(max=ENTRIES - 2)
    index, share = low.long(), (place - low).unsqueeze(-1)
    excitation = torch.lerp(table[index], table[index + 1], share)  # (B, T, n_mels)
    return (excitation * (f0 > 0).unsqueeze(-1)).transpose(1, 2)


@lru_cache(maxsize=4)
def _table(audio: AudioConfig) -> Tensor:
    """(ENTRIES, n_mels) float32, on the CPU."""
    f0 = torch.logspace(math.log10(LOWEST), math.log10(HIGHEST), ENTRIES, dtype=torch.float64)[:, None]
    n = torch.arange(audio.win_length, dtype=torch.float64) - audio.win_length // 2
    half = math.pi * f0 * n / audio.sample_rate  # half the phase of the first harmonic
    harmonics = (audio.sample_rate / 2 / f0).ceil() - 1  # those below the Nyquist frequency
    # sum_{h=1}^{H} cos(h x) = (sin((H + 1/2) x) / sin(x / 2) - 1) / 2
    at_pulse = half.sin().abs() < 1e-9
    ratio = ((2 * harmonics + 1) * half).sin() / torch.where(at_pulse, 1.0, half.sin())
    pulses = (torch.where(at_pulse, 2 * harmonics + 1, ratio) - 1) / 2
    spectrum = torch.fft.rfft(pulses * torch.hann_window(audio.win_length, dtype=torch.float64), audio.n_fft).abs()
    mel = spectrum.pow(audio.power) @ mel_filterbank(audio).double().T
    log_mel = (mel / mel.mean(1, keepdim=True) + BREATH).log()
    return (log_mel - log_mel.mean(1, keepdim=True)).float()

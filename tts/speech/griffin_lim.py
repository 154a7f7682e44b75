"""Griffin-Lim: a vocoder without weights, for a model that has no better one."""

import torch
from torch import Tensor, nn

from tts.audio.mel import mel_filterbank
from tts.config import AudioConfig
from tts.speech.frame_noise import draw_frames

TINY = 1e-10  # keeps divisions of magnitudes finite, far below 16-bit audio


def check_mel(mel: Tensor, audio: AudioConfig) -> None:
    """Raises ValueError unless `mel` is a floating (B, n_mels, T) tensor with at least one item and one frame."""
    if mel.dim() != 3 or mel.shape[1] != audio.n_mels or mel.numel() == 0 or not mel.is_floating_point():
        raise ValueError(f"mel must be floats (batch, {audio.n_mels}, frames), found {mel.dtype} {tuple(mel.shape)}.")


class GriffinLim(nn.Module):
    """Wave from a mel by a non-negative inverse of the filterbank and the fast Griffin-Lim algorithm.

        S = argmin_{S >= 0} KL(e^mel | F S) ,  A = S^(1 / power)
        c_n = A e^{i arg(p_n + momentum (p_n - p_{n-1}))} ,  p_{n+1} = STFT(ISTFT(c_n))

    Deterministic: the first phases are a function of the seed and of the frame's absolute number, so a batch equals its singles
    and a long mel can be inverted piece by piece. The global RNG is untouched.

    Source: Perraudin, Balazs and Soendergaard 2013, "A fast Griffin-Lim algorithm".
    """

    name = "griffin_lim"
    context_frames = 40  # iterations reach further, but move a sample by less than 1e-5 from there
    filters: Tensor
    inverse_filters: Tensor
    window: Tensor

    def __init__(self, audio: AudioConfig, *, n_iterations: int = 32, momentum: float = 0.99, seed: int = 0) -> None:
        """Prepares the filterbank.

        Args:
            audio: the mel contract.
            n_iterations: projections, at least 1; cost is proportional.
            momentum: from 0, the classic algorithm, to below 1.
            seed: of the first phases.

        Raises:
            ValueError: on a value out of range.
        """
        super().__init__()
        if n_iterations < 1 or not 0 <= momentum < 1:
            raise ValueError(f"need n_iterations >= 1 and 0 <= momentum < 1, found {n_iterations} and {momentum}.")
        self.audio = audio
        self.n_iterations, self.momentum, self.seed = n_iterations, momentum, seed
        filters = mel_filterbank(audio)
        self.register_buffer("filters", filters, persistent=False)  # (n_mels, n_fft / 2 + 1)
        self.register_buffer("inverse_filters", torch.linalg.pinv(filters), persistent=False)
        self.register_buffer("window", torch.hann_window(audio.win_length), persistent=False)

    @torch.no_grad()
    def forward(self, mel: Tensor, first_frame: int = 0) -> Tensor:
        """The wave of a mel.

        Args:
            mel: natural-log mel, (B, n_mels, T).
            first_frame: absolute number of its first frame, where it is a piece of a longer one.

        Returns:
            wav, (B, T * hop_length) float32; frame i is centred on sample i * hop_length. A loud mel may exceed [-1, 1].

        Raises:
            ValueError: if the shape is not (B, n_mels, T) with B, T > 0.
        """
        check_mel(mel, self.audio)
        magnitude = self.magnitude(mel.float())
        magnitude = torch.cat([magnitude, magnitude[..., -1:]], dim=-1)  # (B, F, T + 1): the frames of T * hop samples
        phase = draw_frames(torch.rand, (self.seed,), first_frame, magnitude.shape[2], magnitude.shape[1])
        phase = phase.to(mel.device).T * 2 * torch.pi
        spectrum = magnitude * torch.polar(torch.ones_like(phase), phase)
        previous = torch.zeros_like(spectrum)
        for _ in range(self.n_iterations):
            projected = self._stft(self._istft(spectrum))
            accelerated = projected + self.momentum * (projected - previous)
            spectrum = magnitude * accelerated / (accelerated.abs() + TINY)
            previous = projected
        return self._istft(spectrum)

    def magnitude(self, mel: Tensor, n_updates: int = 50) -> Tensor:
        """Non-negative linear magnitudes (B, n_fft / 2 + 1, T) whose mel is nearest to `mel`.

        Multiplicative updates from the clamped pseudo-inverse lower the Kullback-Leibler divergence of m = e^mel from F S:

            S <- S (F^T (m / F S)) / (F^T 1)

        They weigh errors relative to the level, as the log-mel does; least squares leaves the quiet bands unfitted.

        Source: Lee and Seung 2001, "Algorithms for non-negative matrix factorization".
        """
        energy = (mel.exp() - self.audio.log_offset).clamp(min=TINY)
        estimate = (self.inverse_filters @ energy).clamp(min=TINY)
        total = self.filters.sum(dim=0)[:, None] + TINY
        for _ in range(n_updates):
            estimate = estimate * (self.filters.T @ (energy / (self.filters @ estimate + TINY))) / total
        return estimate ** (1 / self.audio.power)

    def _stft(self, wav: Tensor) -> Tensor:
        audio = self.audio
        return torch.stft(
            wav, audio.n_fft, audio.hop_length, audio.win_length, self.window, pad_mode="constant", return_complex=True
        )

    def _istft(self, spectrum: Tensor) -> Tensor:
        audio = self.audio
        n_samples = (spectrum.shape[-1] - 1) * audio.hop_length
        return torch.istft(spectrum, audio.n_fft, audio.hop_length, audio.win_length, self.window, length=n_samples)

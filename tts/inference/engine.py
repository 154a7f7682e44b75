"""What speaking and converting share: the loaded model on its device, voices, from priors to natural mels, the clock."""

import time

import torch
from torch import Tensor

from tts.inference.model_folder import LoadedModel
from tts.inference.voices import Voices
from tts.speech.model import Priors
from tts.speech.sampling import Noise, SamplingOptions, sample_mel
from tts.speech.vocoder import Vocoder


class Engine:
    """A model, a vocoder and a device."""

    def __init__(self, loaded: LoadedModel, vocoder: Vocoder, device: torch.device) -> None:
        self.loaded, self.vocoder, self.device = loaded, vocoder, device
        self.model = loaded.model.to(device)
        self.audio = loaded.model.config.audio
        self.voices = Voices(loaded, self.model, device)

    @property
    def speakers(self) -> list[str]:
        """Names of the speakers with a stored style."""
        return self.voices.names

    def natural_mels(self, priors: Priors, mask: Tensor, options: SamplingOptions, noise: Noise) -> dict[str, Tensor]:
        """`mel`, `source_prior`, `filter_prior`, each (B, n_mels, T) float32, natural log; both priors add up to a mel.

        An average prior counts to the filter's.

        Args:
            priors: from `model.priors`.
            mask: (B, 1, T).
            options: of the reverse diffusion.
            noise: see `sample_mel`.
        """
        mel = sample_mel(self.model, priors, mask, options, noise)
        std, mean = self.loaded.statistics.mel_std, self.loaded.statistics.mel_mean
        return {
            "mel": mel.float() * std + mean,
            "source_prior": priors.mels["source"].float() * std,
            "filter_prior": (priors.mean - priors.mels["source"]).float() * std + mean,
        }


class Clock:
    """Seconds by part, added up until they are taken."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.laps: dict[str, float] = {}
        self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Count the time since the last lap as that of a part."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        self.laps[name], self.last = self.laps.get(name, 0.0) + now - self.last, now

    def restart(self) -> None:
        """Count from now on, not the time since the last lap."""
        self.last = time.perf_counter()

    def take(self) -> dict[str, float]:
        """The seconds so far; they start from none again."""
        laps, self.laps = self.laps, {}
        return laps

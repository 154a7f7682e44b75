"""Text to speech: the Python API over a model folder."""

import dataclasses
import difflib
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.audio.io import read_audio
from tts.audio.mel import MelExtractor
from tts.audio.pitch import denormalize_f0
from tts.data.features import phonemize_texts
from tts.device import resolve_device
from tts.errors import AudioError, SpeakerError, TextError
from tts.inference.model_folder import LoadedModel, load_model_folder
from tts.inference.results import Audio
from tts.nets.blocks import lengths_to_mask
from tts.speech.model import Priors
from tts.speech.sampling import UtteranceNoise, sample_mel
from tts.speech.text_encoder import DurationPredictor
from tts.speech.vocoder import Vocoder, load_vocoder
from tts.text.sentences import split_sentences

logger = logging.getLogger(__name__)

MIN_REFERENCE_SECONDS, SHORT_REFERENCE_SECONDS, MAX_REFERENCE_SECONDS = 0.5, 1.0, 30.0


class Synthesizer:
    """Speaks text with a source-filter diffusion model.

    Example:
        tts = Synthesizer.from_pretrained("exp/ljspeech_mini")
        tts.synthesize("Hello.").save("hello.wav")
    """

    def __init__(self, loaded: LoadedModel, vocoder: Vocoder, device: torch.device) -> None:
        self.loaded, self.vocoder, self.device = loaded, vocoder, device
        self.model = loaded.model.to(device)
        self.audio = loaded.model.config.audio

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, device: str = "auto", vocoder: str = "griffin_lim") -> "Synthesizer":
        """The synthesizer of a model folder.

        Args:
            folder: as `glottis pack` writes it, or the experiment folder of a recipe, which holds it as `model/`.
            device: "auto", "cpu", "cuda", "cuda:N" or "mps".
            vocoder: "griffin_lim", a vocoder folder, or the name of a public SpeechBrain checkpoint.

        Raises:
            ModelError: if the folder is not whole, or the vocoder has another mel contract.
        """
        where = resolve_device(device)
        loaded = load_model_folder(Path(folder))
        return cls(loaded, load_vocoder(vocoder, loaded.model.config.audio, where), where)

    @property
    def speakers(self) -> list[str]:
        """Names of the speakers with a stored style."""
        return sorted(self.loaded.speakers)

    def synthesize(
        self,
        text: str,
        *,
        style: str | Path | None = None,
        speed: float = 1.0,
        pitch_shift: float = 0.0,
        seed: int = 0,
        **sampling: object,
    ) -> Audio:
        """Speech of one text, spoken as one piece; use `stream` for long ones.

        Args:
            text: at least one word.
            style: a speaker's name, or a recording of at least half a second to take it from (its first 30 s are used);
                default: the first speaker.
            speed: above 1 is faster, 0.25 to 4.
            pitch_shift: semitones, -24 to 24.
            seed: of the noise; the same seed gives the same wave.
            sampling: fields of SamplingOptions (steps, sampler, temperature, grid, start) in place of the model's own.

        Raises:
            TextError: if there is nothing to speak.
            SpeakerError: if the style is no speaker and no file.
            AudioError: if the recording cannot be read or is too short.
            ValueError: naming an option out of its range.
        """
        return self.synthesize_batch([text], style=style, speed=speed, pitch_shift=pitch_shift, seeds=[seed], **sampling)[0]

    @torch.inference_mode()
    def synthesize_batch(
        self,
        texts: list[str],
        *,
        style: str | Path | None = None,
        speed: float = 1.0,
        pitch_shift: float = 0.0,
        seeds: list[int] | None = None,
        **sampling: object,
    ) -> list[Audio]:
        """Speech of several texts at once; each is what `synthesize` gives for it and its seed (0 by default). See there."""
        options = dataclasses.replace(self.loaded.sampling, **sampling)
        _check_range("speed", speed, 0.25, 4.0)
        _check_range("pitch_shift", pitch_shift, -24.0, 24.0)
        seeds = seeds if seeds is not None else [0] * len(texts)
        if not texts or len(seeds) != len(texts):
            raise ValueError(f"need at least one text and as many seeds, found {len(texts)} text(s) and {len(seeds)} seed(s).")
        clock = _Clock(self.device)
        speaker, g = self._style(style)
        phones = phonemize_texts(texts, self.model.config.frontend)
        for text, symbols in zip(texts, phones, strict=True):
            if not symbols:
                raise TextError(f"nothing to speak after normalisation in {text[:60]!r}. Give a text with words.")
        tokens, token_mask, encoded = self._tokens(phones)
        g = g.expand(len(texts), -1)
        vectors = self.model.text(tokens, token_mask)
        durations = DurationPredictor.to_frames(self.model.duration(vectors, g, token_mask), speed, token_mask)
        durations[:, 0] += (durations.sum(1) == 0).long()
        lengths = durations.sum(1)
        mask = lengths_to_mask(lengths)
        content = self.model.content(vectors, durations, mask)
        clock.lap("text")
        pitch, voicing = self.model.pitch(content, g, mask)
        statistics = self.loaded.statistics.of_speaker(speaker) if speaker else self.loaded.statistics.f0
        pitch = pitch + pitch_shift * np.log(2) / 12 / statistics.std
        f0 = denormalize_f0(pitch, voicing > 0, statistics)
        priors = self.model.priors(content, pitch, f0, mask, source_style=g, filter_style=g)
        clock.lap("priors")
        mel = sample_mel(self.model, priors, g, mask, options, UtteranceNoise(seeds, lengths.tolist()))
        clock.lap("denoisers")
        results = []
        for i, length in enumerate(lengths.tolist()):
            natural = self._natural(mel[i : i + 1, :, :length])
            wav = self.vocoder(natural)[0]
            results.append(self._result(i, length, natural[0], wav, priors, f0, encoded[i], durations[i]))
        clock.lap("vocoder")
        total = sum(r.duration for r in results)
        return [dataclasses.replace(r, seconds={k: v * r.duration / total for k, v in clock.laps.items()}) for r in results]

    def stream(self, text: str, *, max_chars: int = 200, seed: int = 0, **options: object) -> Iterator[Audio]:
        """Speech of a text of any length, sentence by sentence, in memory that does not grow with it.

        A piece with nothing to speak (a line of dashes, a sentence in another script) is passed over, with a warning where it
        has letters.

        Args:
            text: any length.
            max_chars: longest piece spoken at once.
            seed: of the first sentence; the next ones count up.
            options: of `synthesize`.

        Raises:
            TextError: if the whole text has nothing to speak.
        """
        spoken = 0
        for piece in split_sentences(text, max_chars):
            if not any(c.isalnum() for c in piece):
                continue
            try:
                audio = self.synthesize(piece, seed=seed + spoken, **options)
            except TextError as err:
                logger.warning("a sentence was passed over: %s", err)
                continue
            yield audio
            spoken += 1
        if not spoken:
            raise TextError(f"nothing to speak in {text[:60]!r}. Give a text with words.")

    def _tokens(self, phones: list[tuple[str, ...]]) -> tuple[Tensor, Tensor, list[list[str]]]:
        ids = [torch.tensor(self.loaded.tokens.encode(symbols)) for symbols in phones]
        lengths = torch.tensor([len(i) for i in ids])
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        symbols = [[self.loaded.tokens.symbols[k] for k in i.tolist()] for i in ids]
        return padded.to(self.device), lengths_to_mask(lengths).to(self.device), symbols

    def _style(self, style: str | Path | None) -> tuple[str | None, Tensor]:
        """(speaker or None, style (1, S)) of a name, a recording, or nothing."""
        name = self.speakers[0] if style is None else str(style)
        if name in self.loaded.speakers:
            return name, self.loaded.speakers[name][None].to(self.device)
        if not Path(name).exists():
            near = difflib.get_close_matches(name, self.speakers, n=3) or self.speakers[:3]
            raise SpeakerError(
                f"no speaker and no file {name!r}. Nearest: {', '.join(near)} ({len(self.speakers)} speaker(s) in all)."
            )
        wav = self._reference(name)
        mel = MelExtractor(self.audio)(torch.from_numpy(wav)[None])
        mel = ((mel - self.loaded.statistics.mel_mean) / self.loaded.statistics.mel_std).to(self.device)
        return None, self.model.style(mel, mel.new_ones(1, 1, mel.shape[-1]))

    def _reference(self, path: str) -> NDArray[np.float32]:
        """The recording (N,) that a style is taken from; its length counts after resampling."""
        rate = self.audio.sample_rate
        wav, _ = read_audio(path, rate, max_seconds=MAX_REFERENCE_SECONDS + 1)
        seconds = len(wav) / rate
        if seconds < MIN_REFERENCE_SECONDS:
            raise AudioError(
                f"{path}: {seconds:.2f} s of reference, expected {MIN_REFERENCE_SECONDS} s or more. Give a longer one."
            )
        if seconds < SHORT_REFERENCE_SECONDS:
            logger.warning("%s: %.2f s of reference is little; the style may be off.", path, seconds)
        if seconds > MAX_REFERENCE_SECONDS:
            logger.warning("%s: the first %g s of the reference are used.", path, MAX_REFERENCE_SECONDS)
        return wav[: round(MAX_REFERENCE_SECONDS * rate)]

    def _natural(self, mel: Tensor) -> Tensor:
        return mel.float() * self.loaded.statistics.mel_std + self.loaded.statistics.mel_mean

    def _result(
        self, i: int, length: int, mel: Tensor, wav: Tensor, priors: Priors, f0: Tensor, phones: list[str], durations: Tensor
    ) -> Audio:
        std, mean = self.loaded.statistics.mel_std, self.loaded.statistics.mel_mean
        return Audio(
            wav=wav.float().cpu().numpy(),
            sample_rate=self.audio.sample_rate,
            mel=mel.cpu().numpy(),
            source_prior=(priors.mels["source"][i, :, :length] * std).cpu().numpy(),
            filter_prior=(priors.mels["filter"][i, :, :length] * std + mean).cpu().numpy(),
            f0=f0[i, :length].float().cpu().numpy(),
            phones=phones,
            durations=durations[: len(phones)].cpu().numpy(),
            vocoder=self.vocoder.name,
        )


class _Clock:
    """Seconds by part."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.laps = device, {}
        self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        self.laps[name], self.last = now - self.last, now


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} must be from {low:g} to {high:g}, found {value!r}.")

"""Text to speech: the Python API over a model folder."""

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tts.audio.pitch import denormalize_f0
from tts.data.features import phonemize_texts
from tts.device import resolve_device
from tts.errors import TextError
from tts.inference.attributes import Voice
from tts.inference.engine import Clock, Engine
from tts.inference.model_folder import load_model_folder
from tts.inference.results import Audio
from tts.inference.voices import References
from tts.nets.blocks import lengths_to_mask
from tts.speech.sampling import UtteranceNoise
from tts.speech.text_encoder import DurationPredictor
from tts.speech.vocoder import load_vocoder
from tts.text.sentences import split_sentences

logger = logging.getLogger(__name__)


class Synthesizer(Engine):
    """Speaks text with a source-filter diffusion model.

    Example:
        tts = Synthesizer.from_pretrained("exp/ljspeech_mini")
        tts.synthesize("Hello.").save("hello.wav")
    """

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

    def synthesize(
        self,
        text: str,
        *,
        style: References | None = None,
        source_style: References | None = None,
        filter_style: References | None = None,
        speed: float = 1.0,
        pitch_shift: float = 0.0,
        seed: int = 0,
        **sampling: object,
    ) -> Audio:
        """Speech of one text, spoken as one piece; use `stream` for long ones.

        Args:
            text: at least one word.
            style: whose voice: a speaker's name, a recording of at least half a second (its first 30 s are used), several
                recordings, or a `Voice`; default: the first speaker.
            source_style: whose pitch and phonation, the same kinds; default: `style`.
            filter_style: whose vocal tract, the same kinds; default: `style`, which always sets the durations.
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
        styles = {"style": style, "source_style": source_style, "filter_style": filter_style}
        return self.synthesize_batch([text], **styles, speed=speed, pitch_shift=pitch_shift, seeds=[seed], **sampling)[0]

    @torch.inference_mode()
    def synthesize_batch(
        self,
        texts: list[str],
        *,
        style: References | None = None,
        source_style: References | None = None,
        filter_style: References | None = None,
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
        clock = Clock(self.device)
        voices = self._cast(style, source_style, filter_style)
        phones = phonemize_texts(texts, self.model.config.frontend)
        for text, symbols in zip(texts, phones, strict=True):
            if not symbols:
                raise TextError(f"nothing to speak after normalisation in {text[:60]!r}. Give a text with words.")
        tokens, token_mask, encoded = self._tokens(phones)
        g, g_source, g_filter = (voice.style.to(self.device).expand(len(texts), -1) for voice in voices)
        vectors = self.model.text(tokens, token_mask)
        durations = DurationPredictor.to_frames(self.model.duration(vectors, g, token_mask), speed, token_mask)
        durations[:, 0] += (durations.sum(1) == 0).long()
        lengths = durations.sum(1)
        mask = lengths_to_mask(lengths)
        content = self.model.content(vectors, durations, mask)
        clock.lap("text")
        pitch, voicing = self.model.pitch(content, g_source, mask)
        statistics = voices[1].f0
        pitch = pitch + pitch_shift * np.log(2) / 12 / statistics.std
        f0 = denormalize_f0(pitch, voicing > 0, statistics)
        styled = {"source_style": g_source, "filter_style": g_filter}
        known = self.model.text_phones(tokens, durations, mask)
        priors = self.model.priors(content, pitch, f0, mask, **styled, phones=known)
        clock.lap("priors")
        mels = self.natural_mels(priors, mask, options, UtteranceNoise(seeds, lengths.tolist()))
        clock.lap("denoisers")
        results = []
        for i, length in enumerate(lengths.tolist()):
            tracks = {name: mel[i, :, :length].cpu().numpy() for name, mel in mels.items()}
            result = Audio(
                wav=self.vocoder(mels["mel"][i : i + 1, :, :length])[0].float().cpu().numpy(),
                sample_rate=self.audio.sample_rate,
                **tracks,
                f0=f0[i, :length].float().cpu().numpy(),
                phones=encoded[i],
                durations=durations[i, : len(encoded[i])].cpu().numpy(),
                vocoder=self.vocoder.name,
            )
            results.append(result)
        clock.lap("vocoder")
        total, laps = sum(r.duration for r in results), clock.take()
        return [dataclasses.replace(r, seconds={k: v * r.duration / total for k, v in laps.items()}) for r in results]

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

    def _cast(
        self, style: References | None, source_style: References | None, filter_style: References | None
    ) -> tuple[Voice, Voice, Voice]:
        """The voices of `style`, of the source prior and of the filter prior."""
        voice = self.voices.find(self.speakers[0] if style is None else style)
        source, filter_ = (voice if other is None else self.voices.find(other) for other in (source_style, filter_style))
        return voice, source, filter_

    def _tokens(self, phones: list[tuple[str, ...]]) -> tuple[Tensor, Tensor, list[list[str]]]:
        ids = [torch.tensor(self.loaded.tokens.encode(symbols)) for symbols in phones]
        lengths = torch.tensor([len(i) for i in ids])
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        symbols = [[self.loaded.tokens.symbols[k] for k in i.tolist()] for i in ids]
        return padded.to(self.device), lengths_to_mask(lengths).to(self.device), symbols


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} must be from {low:g} to {high:g}, found {value!r}.")

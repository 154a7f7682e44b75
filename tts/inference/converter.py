"""Voice conversion: any recording in any voice, attribute by attribute; the Python API over a model folder."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tts.data.content_file import ContentKind
from tts.device import resolve_device
from tts.errors import ModelError
from tts.inference.attributes import TRANSPOSE, Attributes, Pitch
from tts.inference.casting import SOURCE, TARGET, Casting, Swap
from tts.inference.chunks import ChunkPlan
from tts.inference.conversion import convert_pieces, convert_short
from tts.inference.engine import Engine
from tts.inference.model_folder import LoadedModel, load_model_folder
from tts.inference.results import Audio, join
from tts.inference.sources import AttributeSource, ContentFunction, RecordedSource, Source
from tts.inference.voices import References
from tts.speech.content import ContentEncoder, PpgContent
from tts.speech.sampling import SamplingOptions
from tts.speech.ssl_content import SslContent
from tts.speech.vocoder import Vocoder, load_vocoder

CHUNK_SECONDS = 6.0

Speech = str | Path | NDArray[np.floating[Any]] | Attributes


class VoiceConverter(Engine):
    """Says what a recording says in another voice, with a source-filter diffusion model.

    Example:
        vc = VoiceConverter.from_pretrained("exp/arctic_mini")
        vc.convert("a.wav", "b.wav").save("a_as_b.wav")
    """

    def __init__(self, loaded: LoadedModel, vocoder: Vocoder, device: torch.device, content: ContentFunction) -> None:
        super().__init__(loaded, vocoder, device)
        self.content = content

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, device: str = "auto", vocoder: str = "griffin_lim", content: str | Path = ""
    ) -> "VoiceConverter":
        """The converter of a model folder.

        Args:
            folder: see `Synthesizer.from_pretrained`.
            device: see there.
            vocoder: see there.
            content: see `load_content`; of no use to a model with a recogniser of its own.

        Raises:
            ModelError: if the folder is not whole, its model has no audio entrance, or the vocoder has another mel contract.
        """
        where = resolve_device(device)
        loaded = load_model_folder(Path(folder))
        encoder = load_content(loaded, where, content)
        return cls(loaded, load_vocoder(vocoder, loaded.model.config.audio, where), where, encoder)

    def convert(
        self,
        source: Speech,
        target: References | None = None,
        *,
        source_style: References = TARGET,
        filter_style: References = TARGET,
        pitch: Pitch = TRANSPOSE,
        blend: tuple[References, float] | None = None,
        seed: int = 0,
        **sampling: object,
    ) -> Audio:
        """The source's words in another voice, of any length; what is longer than 10 s is worked on in pieces.

        A voice is a speaker's name, a recording of half a second or more (a path, or samples at the model's rate), a list of
        recordings, or a `Voice`.

        Args:
            source: a recording, as a path or as samples (N,) at the model's rate, or `Attributes`.
            target: the voice that "target" stands for below.
            source_style: whose pitch range and phonation: "target", "source", or a voice.
            filter_style: whose vocal tract: "target", "source", or a voice.
            pitch: "transpose": F0 gets the mean and deviation that ln F0 has in the voice of `source_style`, so with "source"
                it stays; "keep": F0 stays in Hz whatever the voice; a number: F0 is moved by so many semitones, -24 to 24; or
                the F0 in Hz of every frame, 0 = unvoiced.
            blend: a second target and its weight from 0 to 1: prior mels and styles lie between those of both.
            seed: of the noise; the same seed gives the same wave.
            sampling: fields of SamplingOptions (steps, sampler, temperature, grid, start) in place of the model's own.

        Raises:
            AudioError: if a recording cannot be read, is empty or not finite, or is too short for a voice.
            SpeakerError: if a voice is no speaker and no file.
            ModelError: if the attributes are of another model.
            ValueError: if a target is missing, or naming an option out of its range.
        """
        styles = {"source_style": source_style, "filter_style": filter_style}
        return join(self.stream(source, target, **styles, pitch=pitch, blend=blend, seed=seed, **sampling))

    def stream(
        self,
        source: Speech,
        target: References | None = None,
        *,
        chunk_seconds: float = CHUNK_SECONDS,
        seed: int = 0,
        **options: Any,
    ) -> Iterator[Audio]:
        """What `convert` gives, in consecutive pieces and in memory that does not grow with the source.

        A file is first read once for its F0 statistics. Then a sample waits for at most `latency` seconds of the source after
        it, and for the computing.

        Args:
            source: see `convert`.
            target: see `convert`.
            chunk_seconds: length of a piece, 1 to 30; another length is another draw of the same voice.
            seed: see `convert`.
            options: of `convert`.

        Raises:
            what `convert` raises; before the first piece, but for samples that cannot be read.
        """
        swap, sampling = self._options(options | {"target": target})
        plan = ChunkPlan.of_seconds(chunk_seconds, self.audio)
        casting = Casting.of(self._source(source), swap, self.voices)
        return convert_pieces(self, casting, plan, seed, sampling)

    def latency(self, chunk_seconds: float = CHUNK_SECONDS) -> float:
        """Seconds of a source after a sample that `stream` works on, at the most, before it gives the sample."""
        plan = ChunkPlan.of_seconds(chunk_seconds, self.audio)
        frames = plan.longest + plan.fade // 2 + self.vocoder.context_frames
        return frames * self.audio.hop_length / self.audio.sample_rate

    def convert_batch(
        self,
        sources: Sequence[Speech],
        target: References | None = None,
        *,
        seeds: Sequence[int] | None = None,
        chunk_seconds: float = CHUNK_SECONDS,
        **options: Any,
    ) -> list[Audio]:
        """Several sources in one voice, short ones at once; each is what `convert` gives for it and its seed (0 by default).

        See `convert` and `stream`; an error of one source is an error of all.
        """
        seeds = list(seeds) if seeds is not None else [0] * len(sources)
        if not len(sources) or len(seeds) != len(sources):
            raise ValueError(f"need at least one source and as many seeds, found {len(sources)} and {len(seeds)}.")
        swap, sampling = self._options(options | {"target": None if target is None else self.voices.find(target)})
        plan = ChunkPlan.of_seconds(chunk_seconds, self.audio)
        castings = [Casting.of(self._source(source), swap, self.voices) for source in sources]
        short = [i for i, casting in enumerate(castings) if len(plan.windows(casting.source.frames)) == 1]
        results: dict[int, Audio] = {}
        if short:
            made = convert_short(self, [castings[i] for i in short], plan, [seeds[i] for i in short], sampling)
            results |= dict(zip(short, made, strict=True))
        for i in set(range(len(sources))) - set(short):
            results[i] = join(convert_pieces(self, castings[i], plan, seeds[i], sampling))
        return [results[i] for i in range(len(sources))]

    @torch.inference_mode()
    def encode(self, source: str | Path | NDArray[Any], *, speaker: References | None = None) -> Attributes:
        """The attributes of a recording of half a second or more, to edit and to `render`.

        Args:
            source: a path, or samples (N,) at the model's rate.
            speaker: whose recording it is, where more is known of the voice than this recording tells; see `convert`.

        Raises:
            AudioError: if a recording cannot be read, is empty, not finite or too short.
            SpeakerError: if the speaker is no speaker and no file.
        """
        voice = None if speaker is None else self.voices.find(speaker)
        recorded = RecordedSource(source, self.voices, self.content, speaker=voice)
        own, _ = recorded.own
        windows = ChunkPlan.of_seconds(CHUNK_SECONDS, self.audio).windows(recorded.frames)
        parts = []
        for passage, w in zip(recorded.passages(windows), windows, strict=True):
            inner = slice(w.start - w.first, w.stop - w.first)
            parts.append((passage.content[:, inner], passage.pitch[inner], passage.voiced[inner]))
        content, pitch, voiced = (torch.cat(part, dim=-1) for part in zip(*parts, strict=True))
        styles = {"source_style": own.style, "filter_style": own.style}
        return Attributes(content=content, pitch=pitch, voiced=voiced, f0=own.f0, sample_rate=self.audio.sample_rate, **styles)

    def render(self, attributes: Attributes, *, seed: int = 0, **sampling: object) -> Audio:
        """Speech of attributes, in the voices that they hold. See `convert`."""
        return self.convert(attributes, source_style=SOURCE, filter_style=SOURCE, seed=seed, **sampling)

    def _options(self, options: dict[str, Any]) -> tuple[Swap, SamplingOptions]:
        """The options of `convert`: what is swapped, and how to sample."""
        swap = {f.name: options[f.name] for f in dataclasses.fields(Swap) if f.name in options}
        sampling = {name: value for name, value in options.items() if name not in swap}
        return Swap(**swap), dataclasses.replace(self.loaded.sampling, **sampling)

    def _source(self, source: Speech) -> Source:
        if not isinstance(source, Attributes):
            return RecordedSource(source, self.voices, self.content)
        config = self.model.config
        found = (source.content.shape[0], len(source.source_style), len(source.filter_style), source.sample_rate)
        expected = (config.content.dim, config.style_dim, config.style_dim, self.audio.sample_rate)
        if found != expected:
            raise ModelError(
                f"the attributes have content, styles and rate of sizes {found}, this model {expected}. Encode with this model."
            )
        return AttributeSource(source)


def load_content(loaded: LoadedModel, device: torch.device, source: str | Path = "") -> ContentEncoder:
    """What a model hears recordings with: its own recogniser, or the self-supervised network it was trained with.

    Args:
        loaded: the model.
        device: where it is to hear.
        source: folder or hub name of the self-supervised network; "" is the published one.

    Raises:
        ModelError: if the model has no audio entrance, or the network cannot be loaded or has features of another size.
    """
    config = loaded.model.config
    if config.content.kind is ContentKind.none:
        raise ModelError("this model speaks text only, it cannot hear recordings. Train one with content (recipes/arctic).")
    if loaded.recognizer is not None:
        loaded.recognizer.model.to(device)
        return PpgContent(loaded.recognizer)
    encoder = SslContent(config.content.kind, str(source), config.audio)
    if encoder.info.dim != config.content.dim:
        raise ModelError(
            f"{source or config.content.kind.value}: {encoder.info.dim} features a frame, the model was trained with "
            f"{config.content.dim}. Give the network it was trained with."
        )
    encoder.model.to(device)
    return encoder

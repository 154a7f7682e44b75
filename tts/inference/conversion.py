"""From cast sources to converted audio: one source window by window, or several short ones at once."""

import dataclasses
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tts.inference.casting import Casting, Line, blend_hz, blend_priors
from tts.inference.chunks import ChunkPlan, Window, cross_fade, vocode
from tts.inference.engine import Clock, Engine
from tts.inference.results import PRIORS, Audio, join
from tts.inference.sources import Passage
from tts.nets.blocks import lengths_to_mask
from tts.speech.frame_noise import FrameNoise
from tts.speech.sampling import SamplingOptions

_TRACKS = ("mel", *PRIORS)  # of n_mels rows each, and below them F0: what a window is computed to


@torch.inference_mode()
def convert_pieces(engine: Engine, casting: Casting, plan: ChunkPlan, seed: int, options: SamplingOptions) -> Iterator[Audio]:
    """Consecutive pieces of one conversion, in memory that does not grow with it."""
    clock = Clock(engine.device)
    windows = plan.windows(casting.source.frames)

    def computed() -> Iterator[Tensor]:
        for passage, window in zip(casting.source.passages(windows), windows, strict=True):
            clock.lap("content")
            yield _compute(engine, [casting], [passage], [window], [seed], options, clock)[0]

    for tracks, wav in vocode(engine.vocoder, cross_fade(computed(), windows, plan.fade)):
        clock.lap("vocoder")
        yield _audio(engine, tracks, wav, clock.take())
        clock.restart()


@torch.inference_mode()
def convert_short(
    engine: Engine, castings: Sequence[Casting], plan: ChunkPlan, seeds: Sequence[int], options: SamplingOptions
) -> list[Audio]:
    """Conversions of one window each, computed as one batch; the time is shared out by length."""
    clock = Clock(engine.device)
    windows = [plan.windows(casting.source.frames)[0] for casting in castings]
    passages = [next(c.source.passages([w])) for c, w in zip(castings, windows, strict=True)]
    clock.lap("content")
    computed = _compute(engine, castings, passages, windows, seeds, options, clock)
    results = [join(_audio(engine, tracks, wav, {}) for tracks, wav in vocode(engine.vocoder, [c])) for c in computed]
    clock.lap("vocoder")
    total, laps = sum(r.duration for r in results), clock.take()
    return [dataclasses.replace(r, seconds={k: v * r.duration / total for k, v in laps.items()}) for r in results]


def _compute(
    engine: Engine,
    castings: Sequence[Casting],
    passages: Sequence[Passage],
    windows: Sequence[Window],
    seeds: Sequence[int],
    options: SamplingOptions,
    clock: Clock,
) -> list[Tensor]:
    """The tracks (3 n_mels + 1, T) of every window: mel, both priors, F0. All castings have the same weight of their blend."""
    model, weight = engine.model, castings[0].weight
    lengths = [w.end - w.first for w in windows]
    mask = lengths_to_mask(torch.tensor(lengths)).to(engine.device)
    features = _pad([p.content.T for p in passages]).mT.to(engine.device)
    content, phones = model.audio_content(features, mask), model.audio_phones(features)
    lines = [casting.lines(p, w.first) for casting, p, w in zip(castings, passages, windows, strict=True)]
    casts = list(zip(*lines, strict=True))  # the first cast of every item, the second of every item
    priors = []
    for cast in casts:
        pitch, hz, source_style, filter_style = (t.to(engine.device) for t in _stack(cast))
        styled = {"source_style": source_style, "filter_style": filter_style, "phones": phones}
        priors.append(model.priors(content, pitch, hz, mask, **styled))
    clock.lap("priors")
    noise = FrameNoise(seeds, lengths, [w.first for w in windows])
    mels = engine.natural_mels(blend_priors(priors, weight), mask, options, noise)
    clock.lap("denoisers")
    hz = [blend_hz([line.hz for line in item], weight).to(engine.device) for item in lines]
    return [torch.cat([*(mels[name][i, :, :length] for name in _TRACKS), hz[i][None]]) for i, length in enumerate(lengths)]


def _stack(cast: Sequence[Line]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """z-scores (B, T), F0 in Hz (B, T), source styles (B, S), filter styles (B, S)."""
    return (
        _pad([line.pitch for line in cast]),
        _pad([line.hz for line in cast]),
        torch.stack([line.source_style for line in cast]),
        torch.stack([line.filter_style for line in cast]),
    )


def _pad(sequences: list[Tensor]) -> Tensor:
    return pad_sequence(sequences, batch_first=True)


def _audio(engine: Engine, tracks: Tensor, wav: Tensor, seconds: dict[str, float]) -> Audio:
    mels = tracks[:-1].unflatten(0, (len(_TRACKS), -1)).cpu().numpy()
    return Audio(
        wav=wav.float().cpu().numpy(),
        sample_rate=engine.audio.sample_rate,
        **dict(zip(_TRACKS, mels, strict=True)),
        f0=tracks[-1].cpu().numpy(),
        phones=[],
        durations=torch.zeros(0, dtype=torch.int64).numpy(),
        vocoder=engine.vocoder.name,
        seconds=seconds,
    )

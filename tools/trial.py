"""The sampler study: priors alone, then every sampler at every number of steps, over one evaluation set.

    python tools/trial.py --model exp/a/model exp/b/model --data dump/x/data/eval --features dump/x/features/eval --out trial

Several models (say, of several parametrisations) are further rows. `table.md` grows as settings end; the same call goes on
where it was stopped, and does nothing anew that is done: a setting is decoded again only when the weights, the sentences or
the vocoder changed, and measured again only when it was decoded again or another ASR hears it. A setting whose waves are not
finite is a row that says so.
"""

import argparse
import hashlib
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tts.data.files import read_json, write_json, write_text
from tts.data.kaldi_dir import read_kaldi_dir
from tts.data.manifest import Utterance
from tts.diffusion import SAMPLERS
from tts.errors import AudioError, DataError, GlottisError
from tts.inference.decode import decode_set
from tts.inference.synthesizer import Synthesizer
from tts.inference.whole_folder import CONFIG, WEIGHTS
from tts.metrics.asr import NotMeasured, Recognizer, find_recognizer
from tts.metrics.evaluation import describe, json_ready, score_system
from tts.metrics.systems import EvaluationSet, System, path_names, read_decoded, recordings, vocode_recordings
from tts.metrics.tables import DETAIL, F0_CORRELATION, LOG_MEL_L1, VARIANCE, WER, WER_INTERVAL, facts, markdown_table
from tts.speech.sampling import PRIOR_ONLY
from tts.speech.vocoder import load_vocoder

COLUMNS = (WER, WER_INTERVAL, LOG_MEL_L1, DETAIL, VARIANCE, F0_CORRELATION)
KEY, SCORE, TABLE = "key.txt", "score.json", "table.md"


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, nargs="+", required=True, metavar="DIR", help="model folder(s)")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="Kaldi directory of the sentences")
    parser.add_argument("--features", type=Path, required=True, metavar="DIR", help="features folder of their recordings")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sampler", nargs="*", default=sorted(SAMPLERS), metavar="NAME", help="%(default)s")
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 8, 16, 30], help="%(default)s")
    parser.add_argument("--temperature", type=float, nargs="+", default=[0.9], help="%(default)s")
    parser.add_argument("--start", type=float, nargs="+", default=[1.0], help="time the diffusion starts at: %(default)s")
    parser.add_argument("--anchor", type=float, nargs="+", default=[1.0], help="of the smooth part: %(default)s")
    parser.add_argument("--grid", nargs="+", default=["quadratic"], help="uniform, quadratic, log_snr: %(default)s")
    parser.add_argument("--vocoder", default="griffin_lim")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    hearing = parser.add_mutually_exclusive_group()
    hearing.add_argument("--asr", metavar="NAME", help="faster-whisper model: a folder or a name")
    hearing.add_argument("--no-asr", action="store_true")
    return parser.parse_args(words)


def settings(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Sampling options of every row of a model, the priors alone first."""
    yield {"sampler": PRIOR_ONLY}
    names = ("sampler", "steps", "temperature", "start", "anchor", "grid")
    for values in itertools.product(args.sampler, args.steps, args.temperature, args.start, args.anchor, args.grid):
        yield dict(zip(names, values, strict=True))


def label(options: Mapping[str, Any]) -> str:
    """A setting in words, which also name its folder."""
    if options["sampler"] == PRIOR_ONLY:
        return "priors alone"
    numbers = ", ".join(f"{name} {options[name]:g}" for name in ("temperature", "anchor", "start"))
    rest = f"{options['steps']} steps, {numbers}, {options['grid']}"
    return f"{options['sampler']}, {rest}"


class Trial:
    """One study: what it compares with, and what is done of it."""

    def __init__(self, args: argparse.Namespace, recognizer: Recognizer | NotMeasured) -> None:
        self.args, self.recognizer = args, recognizer
        self.data = EvaluationSet(args.features)
        self.utterances: list[Utterance] = [u for u in read_kaldi_dir(args.data) if u.id in self.data.rows]
        self.ids = [u.id for u in self.utterances]
        if not self.ids:
            raise DataError(f"{args.features} has no sentence of {args.data}. Give the features of that set.")
        self.ear = recognizer.name if isinstance(recognizer, Recognizer) else None
        self.synthesizer = cache(lambda model: Synthesizer.from_pretrained(model, device=args.device, vocoder=args.vocoder))

    def run(self) -> None:
        """Every row, with the table after each."""
        rows = self._references()
        for model, name in zip(self.args.model, path_names(self.args.model), strict=True):
            kind = read_json(model / CONFIG)["model"]["denoiser"]["parametrization"]
            weights = hashlib.sha256((model / WEIGHTS).read_bytes()).hexdigest()
            for options in settings(self.args):
                title = f"{name} ({kind}): {label(options)}"
                try:
                    scored = self._row(model, weights, self.args.out / name.replace("/", "_") / label(options), options)
                except AudioError as err:
                    print(f"trial.py: {title}: {err}", file=sys.stderr)
                    scored, title = {"summary": {}, "vocoder": self.args.vocoder}, f"{title}: refused, its wave is not finite"
                rows.insert(len(rows) - 2, scored | {"name": title})
                self._write(rows)
            self.synthesizer.cache_clear()

    def _references(self) -> list[dict[str, Any]]:
        """The recordings through the vocoder, and as they are."""
        folder = self.args.out / "recordings"
        vocoder = load_vocoder(self.args.vocoder, self.data.audio)

        def vocoded() -> System:
            return vocode_recordings(self.data, self.ids, vocoder.name, vocoder, folder / "vocoded")

        return [self._score(folder / "vocoded", "", vocoded), self._score(folder / "natural", "", recordings)]

    def _row(self, model: Path, weights: str, folder: Path, options: Mapping[str, Any]) -> dict[str, Any]:
        texts = [(u.id, u.text) for u in self.utterances]
        key = _digest([weights, options, self.args.vocoder, self.args.seed, texts])
        if not (folder / KEY).exists() or (folder / KEY).read_text() != key:
            print(f"{folder}: decoding", flush=True)
            decode_set(self.synthesizer(model), self.utterances, folder, seed=self.args.seed, **options)
            write_text(folder / KEY, key)
        return self._score(folder, key, lambda: read_decoded([folder])[0])

    def _score(self, folder: Path, decoded: str, system: Callable[[], System]) -> dict[str, Any]:
        """What was measured in `folder` before, if it was the same, else now."""
        key = _digest([decoded, self.ear, self.args.vocoder, str(self.args.features), self.ids])
        if (folder / SCORE).exists() and (found := read_json(folder / SCORE))["key"] == key:
            return found
        scored = score_system(self.data, system(), self.ids, self.recognizer) | {"key": key}
        write_json(folder / SCORE, json_ready(scored))
        return scored

    def _write(self, rows: list[dict[str, Any]]) -> None:
        head = describe(self.data, self.ids, self.recognizer, "") | {"systems": rows}
        lines = [f"- {name}: {text}" for name, text in facts(head).items()]
        unit = f"- log-mel L1 in units of the normalised mel (ln / {head['mel_std']:.3f}, {head['mel_std_from']})"
        write_text(self.args.out / TABLE, "\n".join([*lines, unit, "", markdown_table(rows, COLUMNS)]))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def main(words: Sequence[str] | None = None) -> int:
    """Run the study and print its table."""
    args = arguments(words)
    try:
        trial = Trial(args, NotMeasured("--no-asr was given.") if args.no_asr else find_recognizer(args.asr))
        trial.run()
    except GlottisError as err:
        print(f"trial.py: {err}", file=sys.stderr)
        return 1
    print((args.out / TABLE).read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

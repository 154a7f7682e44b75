"""Compare converted speech with its sources and targets: results.json, RESULTS.md and a page to listen to.

Several converted sets of the same pairs, say with only the filter, only the source, both and nothing swapped, stand in one
table: how near they are to target and source, how far F0 went, and how much of its contour stayed. Beside them stand the
sources through the same vocoder, the target recordings (the ceiling) and the source recordings (the floor).
"""

import argparse
import logging
import shlex
from pathlib import Path

from tts.apps.cli._hearing import add_hearing_arguments, find_ear, hearing_words
from tts.config import AUDIO_CONFIGS

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis evaluate-conversion`."""
    parser.add_argument("--decoded", type=Path, nargs="+", required=True, metavar="DIR", help="what glottis convert-set wrote")
    parser.add_argument("--pairs", type=Path, required=True, metavar="FILE", help="the pairs.tsv they were made of")
    texts = "Kaldi directories, features folders or manifests: texts, speakers and more recordings of the files of the pairs"
    parser.add_argument("--texts", type=Path, nargs="+", default=[], metavar="DIR", help=texts)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets results.json, RESULTS.md, report.html")
    parser.add_argument("--audio", choices=sorted(AUDIO_CONFIGS), default="libri16k", help="mel contract of the converted sets")
    probe = "model folder whose content is probed for the speaker, on the clips of --probe-features"
    parser.add_argument("--probe-model", type=Path, metavar="DIR", help=probe)
    parser.add_argument("--probe-features", type=Path, metavar="DIR", help="features folder with content for --probe-model")
    parser.add_argument("--ecapa", metavar="NAME", help="also ask ECAPA: a folder with its weights, or a name on the hub")
    add_hearing_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, write, print the table."""
    from tts.data.pairs import read_pairs
    from tts.inference.model_folder import load_model_folder
    from tts.metrics.content_leak import content_leak, describe_leak
    from tts.metrics.conversion import Judges, evaluate_conversion
    from tts.metrics.conversion_set import ConversionSet, read_recordings
    from tts.metrics.conversion_tables import conversion_columns
    from tts.metrics.evaluation import BLOCK, REPORT
    from tts.metrics.speakers import find_encoders
    from tts.metrics.systems import read_decoded
    from tts.metrics.tables import markdown_table
    from tts.speech.vocoder import load_vocoder

    if (args.probe_model is None) != (args.probe_features is None):
        raise ValueError("--probe-model and --probe-features go together; give both or none.")
    audio = AUDIO_CONFIGS[args.audio]
    recordings = [utterance for path in args.texts for utterance in read_recordings(path)]
    data = ConversionSet(args.pairs, read_pairs(args.pairs), recordings, audio)
    names = {system.vocoder for system in read_decoded(args.decoded)}
    judges = Judges(find_ear(args), find_encoders(args.ecapa))
    if args.probe_model is not None:
        loaded = load_model_folder(args.probe_model)
        judges.facts["leak probe"] = describe_leak(content_leak(loaded.model, args.probe_features))
    results = evaluate_conversion(
        args.decoded,
        data,
        args.out,
        vocoders={name: load_vocoder(name, audio) for name in names},
        judges=judges,
        command=args.command or _this_command(args),
    )
    print(markdown_table(results["systems"], conversion_columns(list(judges.encoders))))
    for name, text in {"ASR": results["asr"] or judges.recognizer, **judges.facts}.items():
        print(f"{name}: {text}")
    logger.info("%s and %s", args.out / BLOCK, args.out / REPORT)
    return 0


def _this_command(args: argparse.Namespace) -> str:
    words = ["glottis", "evaluate-conversion", "--decoded", *args.decoded, "--pairs", args.pairs]
    words += ["--texts", *args.texts] if args.texts else []
    words += ["--out", args.out, "--audio", args.audio]
    words += ["--probe-model", args.probe_model, "--probe-features", args.probe_features] if args.probe_model else []
    words += ["--ecapa", args.ecapa] if args.ecapa else []
    return shlex.join(map(str, words + hearing_words(args)))

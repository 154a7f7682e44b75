"""Compare decoded speech with its recordings: results.json, RESULTS.md and a page to listen to.

Beside each decoded set stand the recordings through the same vocoder, which no acoustic model can beat, and the recordings.
"""

import argparse
import logging
import shlex
from pathlib import Path

from tts.apps.cli._hearing import add_hearing_arguments, find_ear, hearing_words

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis evaluate`."""
    parser.add_argument("--decoded", type=Path, nargs="+", required=True, metavar="DIR", help="what glottis decode wrote")
    parser.add_argument("--features", type=Path, required=True, metavar="DIR", help="features folder of the same sentences")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets results.json, RESULTS.md, report.html")
    add_hearing_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, write, print the table."""
    from tts.data.manifest import read_audio_config
    from tts.metrics.evaluation import BLOCK, REPORT, evaluate
    from tts.metrics.systems import read_decoded
    from tts.metrics.tables import markdown_table
    from tts.speech.vocoder import load_vocoder

    recognizer = find_ear(args)
    audio = read_audio_config(args.features)
    names = {system.vocoder for system in read_decoded(args.decoded)}
    results = evaluate(
        args.decoded,
        args.features,
        args.out,
        vocoders={name: load_vocoder(name, audio) for name in names},
        recognizer=recognizer,
        command=args.command or _this_command(args),
    )
    print(markdown_table(results["systems"]))
    print(f"ASR: {results['asr'] or recognizer}")
    logger.info("%s and %s", args.out / BLOCK, args.out / REPORT)
    return 0


def _this_command(args: argparse.Namespace) -> str:
    words = ["glottis", "evaluate", "--decoded", *args.decoded, "--features", args.features, "--out", args.out]
    return shlex.join(map(str, words + hearing_words(args)))

"""Convert recordings into another voice: one, a folder or a list, of any length."""

import argparse
import logging
from pathlib import Path

from tts.apps.cli._conversion import add_conversion_arguments, conversion_options, load_converter, voice_arguments

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis convert`."""
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="model folder, or an experiment with one")
    parser.add_argument(
        "--source",
        type=Path,
        required=True,
        help="recording, folder (searched with its subfolders), or list (.txt, a path a line)",
    )
    parser.add_argument("--target", nargs="+", metavar="VOICE", help="speaker's name, or one or several recordings")
    parser.add_argument("--out", type=Path, required=True, help="wave to write; for a folder or a list the folder of the waves")
    parser.add_argument("--chunk-seconds", type=float, default=6.0, help="length of the pieces of a long recording, 1 to 30")
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help="short recordings that are computed at once")
    parser.add_argument("--overwrite", action="store_true", help="replace waves that are there")
    add_conversion_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Convert; 1 if a recording could not be."""
    from tts.inference.convert_files import convert_files, find_jobs, report_failures

    jobs = find_jobs(args.source, args.out)
    converter = load_converter(args)
    options = conversion_options(args) | {"seed": args.seed, "chunk_seconds": args.chunk_seconds, "batch_size": args.batch_size}
    failed = convert_files(converter, jobs, voice_arguments(args.target), overwrite=args.overwrite, **options)
    report_failures(failed, len(jobs))
    logger.info("%d of %d recordings in %s, vocoder %s", len(jobs) - len(failed), len(jobs), args.out, converter.vocoder.name)
    return 1 if failed else 0

"""Convert the pairs of an evaluation, with all that it wants to know of each."""

import argparse
from pathlib import Path

from tts.apps.cli._conversion import add_conversion_arguments, conversion_options, load_converter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis convert-set`."""
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="model folder, or an experiment with one")
    parser.add_argument(
        "--pairs",
        type=Path,
        required=True,
        metavar="FILE",
        help="lines: name, source wave, target wave or speaker; tabs between",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets a wave and a feature file a pair")
    add_conversion_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Convert the set; 1 if a pair could not be."""
    from tts.data.pairs import read_pairs
    from tts.inference.convert_files import report_failures
    from tts.inference.convert_set import convert_set

    pairs = read_pairs(args.pairs)
    converter = load_converter(args)
    failed = convert_set(converter, pairs, args.out, seed=args.seed, **conversion_options(args))
    report_failures(failed, len(pairs))
    return 1 if failed else 0

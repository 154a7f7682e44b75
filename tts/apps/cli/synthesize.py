"""Speak text: one wave, or one a line of a file."""

import argparse
import logging
from pathlib import Path

from tts.apps.cli._synthesis import add_synthesis_arguments, synthesis_options

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis synthesize`."""
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="model folder, or an experiment with one")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", help="text of any length, spoken into --out")
    what.add_argument(
        "--text-file", type=Path, metavar="FILE", help="UTF-8; every line is spoken into --out-dir as 1.wav, 2.wav, …"
    )
    what.add_argument("--long-file", type=Path, metavar="FILE", help="UTF-8; the whole file is spoken into --out")
    parser.add_argument("--out", type=Path, metavar="FILE", help="wave to write (.wav, .flac, .ogg or .mp3)")
    parser.add_argument("--out-dir", type=Path, metavar="DIR", help="folder for --text-file")
    parser.add_argument("--style", help="speaker name or reference recording; default: the model's first speaker")
    for attribute, what in (("source", "pitch and phonation"), ("filter", "vocal tract")):
        parser.add_argument(f"--{attribute}-style", metavar="VOICE", help=f"whose {what}; default: that of --style")
    parser.add_argument("--overwrite", action="store_true", help="replace waves of --text-file that are there")
    add_synthesis_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Speak."""
    if (args.text_file is None) == (args.out is None):
        raise ValueError("give --out with --text or --long-file, or --out-dir with --text-file.")
    if args.text_file is not None and args.out_dir is None:
        raise ValueError("--text-file needs --out-dir.")
    from tts.inference.long_form import read_text, speak_lines, speak_long
    from tts.inference.synthesizer import Synthesizer

    synthesizer = Synthesizer.from_pretrained(args.model, device=args.device, vocoder=args.vocoder)
    styles = {"style": args.style, "source_style": args.source_style, "filter_style": args.filter_style}
    options = synthesis_options(args) | styles | {"seed": args.seed}
    if args.text_file is not None:
        count = speak_lines(synthesizer, args.text_file, args.out_dir, overwrite=args.overwrite, **options)
        logger.info("%d waves in %s, vocoder %s", count, args.out_dir, synthesizer.vocoder.name)
        return 0
    text = args.text if args.text is not None else read_text(args.long_file)
    seconds = speak_long(synthesizer, text, args.out, **options)
    logger.info("%.2f s of speech in %s, vocoder %s", seconds, args.out, synthesizer.vocoder.name)
    return 0

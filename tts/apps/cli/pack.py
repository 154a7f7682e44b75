"""Pack a trained model: a folder with its card, and a zip of it."""

import argparse
import logging
from pathlib import Path

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis pack`."""
    parser.add_argument("--exp", type=Path, required=True, metavar="DIR", help="experiment folder with an averaged model")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="model folder to write; DIR.zip goes beside it")
    parser.add_argument("--data", default="", help="for the card: what it was trained on, and under which licence")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="for the card: Markdown with results; default EXP/evaluate/RESULTS.md"
    )


def run(args: argparse.Namespace) -> int:
    """Pack."""
    from tts.inference.pack import pack_model

    results = args.results or args.exp / "evaluate" / "RESULTS.md"
    text = results.read_text(encoding="utf-8") if args.results or results.exists() else ""
    archive = pack_model(args.exp / "averaged", args.out, data=args.data, results=text)
    logger.info("packed: %s and %s", args.out, archive)
    return 0

"""Pack an image model: a folder with its card, and a zip of it."""

import argparse
import logging
from pathlib import Path

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image pack`."""
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="model folder, or an experiment with one")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="model folder to write; DIR.zip goes beside it")
    parser.add_argument("--data", default="", help="for the card: what it was trained on, and under which licence")
    parser.add_argument("--results", type=Path, metavar="FILE", help="for the card: Markdown with results")


def run(args: argparse.Namespace) -> int:
    """Pack."""
    from tts.inference.image_card import image_card
    from tts.inference.image_folder import load_image_folder, pack_image_model

    loaded = load_image_folder(args.model)
    results = args.results.read_text(encoding="utf-8") if args.results else ""
    card = image_card(args.out.name, loaded, folder=args.out.name, licence=args.data, results=results)
    archive = pack_image_model(args.model, args.out, card)
    logger.info("packed: %s and %s", args.out, archive)
    return 0

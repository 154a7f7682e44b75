"""All pictures of a model: samples, reconstructions, traversals, interpolations, swaps, edits, each a PNG in one folder."""

import argparse
import logging

from tts.apps.cli.image._options import add_sampling_arguments, add_set_arguments, chosen_set, options_for

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image draw`."""
    add_set_arguments(parser, "gets the pictures", "of the choice of images")
    parser.add_argument("--label", default="", help="label along which images are edited; default: the first")
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Draw."""
    from tts.inference.image_grids import save_grid
    from tts.inference.image_model import ImageModel
    from tts.inference.image_pictures import all_pictures

    model = ImageModel.from_pretrained(args.model, args.device)
    options = options_for(args, model)
    pictures = all_pictures(model, chosen_set(args, model), label=args.label, seed=args.seed, **options)
    for name, rows in pictures.items():
        save_grid(args.out / f"{name}.png", rows)
    logger.info("%d pictures in %s", len(pictures), args.out)
    return 0

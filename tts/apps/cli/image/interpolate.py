"""From image to image, codes on the line and their own noise on the arc: a row for each pair, as a PNG."""

import argparse

from tts.apps.cli.image._options import (
    add_image_arguments,
    add_model_arguments,
    add_sampling_arguments,
    chosen_pairs,
    sampling_options,
)

COUNT = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image interpolate`."""
    add_model_arguments(parser, "PNG to write")
    add_image_arguments(parser, COUNT)
    parser.add_argument("--count", type=int, default=8, help="images a row")
    parser.add_argument("--drawn-noise", action="store_true", help="one drawn noise for all instead of the images' own")
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Interpolate."""
    from tts.inference.image_grids import save_grid
    from tts.inference.image_model import ImageModel

    model = ImageModel.from_pretrained(args.model, args.device)
    images = chosen_pairs(args, model, COUNT)
    options = {"count": args.count, "inverted": not args.drawn_noise, "seed": args.seed} | sampling_options(args)
    save_grid(
        args.out, [model.interpolate(images[i : i + 1], images[i + 1 : i + 2], **options) for i in range(0, len(images), 2)]
    )
    return 0

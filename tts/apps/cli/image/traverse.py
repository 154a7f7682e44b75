"""Move one unit of the code after the other, between the 5 % and 95 % quantiles of the data: a row each, as a PNG."""

import argparse

from tts.apps.cli.image._options import (
    add_image_arguments,
    add_model_arguments,
    add_noise_argument,
    add_sampling_arguments,
    add_unit_argument,
    chosen_images,
    sampling_options,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image traverse`."""
    add_model_arguments(parser, "PNG to write")
    add_image_arguments(parser, 1)
    add_unit_argument(parser, "units to move; default all")
    parser.add_argument("--count", type=int, default=8, help="images a row")
    add_noise_argument(parser)
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Traverse."""
    from tts.inference.image_grids import save_grid
    from tts.inference.image_model import ImageModel

    model = ImageModel.from_pretrained(args.model, args.device)
    options = {"count": args.count, "inverted": args.inverted, "seed": args.seed} | sampling_options(args)
    units = range(model.config.n_units) if args.units is None else args.units
    images = chosen_images(args, model, 1)
    save_grid(args.out, [model.traverse(images[i : i + 1], unit, **options) for i in range(len(images)) for unit in units])
    return 0

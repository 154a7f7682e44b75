"""Exchange units of the code between images: images, givers, then a row for each unit that was taken over, as a PNG."""

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

COUNT = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image swap`."""
    add_model_arguments(parser, "PNG to write: the images, those that give to them, then a row for each unit")
    add_image_arguments(parser, COUNT)
    add_unit_argument(parser, "units to exchange, each alone; default all")
    add_noise_argument(parser)
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Swap."""
    import numpy as np

    from tts.inference.image_grids import save_grid
    from tts.inference.image_model import ImageModel

    model = ImageModel.from_pretrained(args.model, args.device)
    model.check_codes()
    takers = chosen_images(args, model, COUNT)
    givers = np.roll(takers, -1, axis=0)
    options = {"inverted": args.inverted, "seed": args.seed} | sampling_options(args)
    units = range(model.config.n_units) if args.units is None else args.units
    save_grid(args.out, [takers, givers, *(model.swap(takers, givers, [unit], **options) for unit in units)])
    return 0

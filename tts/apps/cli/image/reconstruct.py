"""Images above their reconstructions, as a PNG."""

import argparse

from tts.apps.cli.image._options import (
    add_image_arguments,
    add_model_arguments,
    add_noise_argument,
    add_sampling_arguments,
    chosen_images,
    sampling_options,
)

COUNT = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image reconstruct`."""
    add_model_arguments(parser, "PNG to write")
    add_image_arguments(parser, COUNT)
    add_noise_argument(parser)
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Reconstruct."""
    from tts.inference.image_grids import save_grid
    from tts.inference.image_model import ImageModel

    model = ImageModel.from_pretrained(args.model, args.device)
    images = chosen_images(args, model, COUNT)
    save_grid(args.out, [images, model.reconstruct(images, inverted=args.inverted, seed=args.seed, **sampling_options(args))])
    return 0

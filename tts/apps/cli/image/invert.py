"""Turn images into their noise, kept in a file, and back: images above what their noise gives, as a PNG."""

import argparse
import logging
from pathlib import Path

from tts.apps.cli.image._options import add_image_arguments, add_model_arguments, chosen_images

logger = logging.getLogger(__name__)

COUNT = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image invert`."""
    add_model_arguments(parser, "PNG to write: the images, then those drawn from their noise")
    add_image_arguments(parser, COUNT)
    parser.add_argument("--noise", type=Path, metavar="FILE", help="safetensors file to write the noise to")
    parser.add_argument(
        "--back", type=Path, metavar="FILE", help="draw from the noise in this file instead; no images are read"
    )
    parser.add_argument(
        "--kind", choices=("ddim", "edit_friendly"), default="ddim", help="one state an image, or all steps, which is exact"
    )
    parser.add_argument("--steps", type=int, default=50, help="of the uniform grid, 1 to 1000")
    parser.add_argument(
        "--fixed-points", type=int, default=2, metavar="N", help="iterations that bring each step near its exact inverse"
    )


def run(args: argparse.Namespace) -> int:
    """Invert, or go back."""
    import numpy as np

    from tts.inference.image_grids import above, in_rows, save_grid
    from tts.inference.image_inversion import InversionKind, read_inversion, save_inversion
    from tts.inference.image_model import ImageModel

    if args.back is not None and (args.noise or args.data or args.index):
        raise ValueError("--back reads noise and no images, and writes none: give it without --noise, --data and --index.")
    model = ImageModel.from_pretrained(args.model, args.device)
    if args.back is not None:
        images = model.restore(read_inversion(args.back))
        save_grid(args.out, in_rows(images, COUNT))
        return 0
    images = chosen_images(args, model, COUNT)
    found = model.inversion(
        images, kind=InversionKind(args.kind), steps=args.steps, fixed_points=args.fixed_points, seed=args.seed
    )
    again = model.restore(found)
    if args.noise is not None:
        save_inversion(args.noise, found)
    error = float(np.abs(images.astype(float) - again).mean())
    logger.info("mean error of %d images: %.2f of 255", len(images), error)
    save_grid(args.out, above(images, again, COUNT))
    return 0

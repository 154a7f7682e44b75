"""New images from noise, and codes of the data's Gaussian where the model has codes, as a PNG."""

import argparse

from tts.apps.cli.image._options import add_model_arguments, add_sampling_arguments, sampling_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image sample`."""
    add_model_arguments(parser, "PNG to write")
    parser.add_argument("--count", type=int, default=64, help="images")
    parser.add_argument("--columns", type=int, default=8, help="images a row")
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Sample."""
    from tts.inference.image_grids import save_grid
    from tts.inference.image_model import ImageModel

    if args.count < 1 or args.columns < 1:
        raise ValueError(f"--count and --columns must be 1 or more, found {args.count} and {args.columns}.")
    model = ImageModel.from_pretrained(args.model, args.device)
    images = model.sample(args.count, seed=args.seed, **sampling_options(args))
    save_grid(args.out, [images[i : i + args.columns] for i in range(0, len(images), args.columns)])
    return 0

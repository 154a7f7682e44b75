"""Move one unit of the code after the other between the data's 5 % and 95 % quantiles, or walk from noise to noise, as a PNG.

Units make a row each. With --path, and for models without codes, each row is a walk between two noises instead: on the arc
(slerp), which keeps to where noise lies, or on the line (lerp). The noises are drawn, or with --inverted those of image pairs.
"""

import argparse
from typing import Any

from tts.apps.cli.image._options import (
    add_image_arguments,
    add_model_arguments,
    add_noise_argument,
    add_sampling_arguments,
    add_unit_argument,
    chosen_images,
    chosen_pairs,
    sampling_options,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image traverse`."""
    add_model_arguments(parser, "PNG to write")
    add_image_arguments(parser, 1)
    add_unit_argument(parser, "units to move; default all")
    parser.add_argument("--count", type=int, default=8, help="images a row")
    parser.add_argument("--path", choices=("slerp", "lerp"), help="walk from noise to noise (default slerp without codes)")
    parser.add_argument("--rows", type=int, default=4, help="walks, unless --index gives pairs of images")
    add_noise_argument(parser)
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Traverse."""
    from tts.inference.image_grids import save_grid
    from tts.inference.image_model import ImageModel

    model = ImageModel.from_pretrained(args.model, args.device)
    if args.path is not None or not model.has_codes:
        save_grid(args.out, _walks(args, model))
        return 0
    options = {"count": args.count, "inverted": args.inverted, "seed": args.seed} | sampling_options(args)
    units = range(model.config.n_units) if args.units is None else args.units
    images = chosen_images(args, model, 1)
    save_grid(args.out, [model.traverse(images[i : i + 1], unit, **options) for i in range(len(images)) for unit in units])
    return 0


def _walks(args: argparse.Namespace, model: Any) -> list[Any]:
    """A row of images for each walk."""
    from tts.image.geometry.paths import Path

    if args.units is not None or args.rows < 1:
        raise ValueError(f"a walk of noise moves no units and --rows must be 1 or more, found {args.units} and {args.rows}.")
    options = sampling_options(args)
    if args.inverted:
        images = chosen_pairs(args, model, 2 * args.rows)
        codes = model.encode(images) if model.has_codes else None
        noise = model.invert(images, codes, **options)
    else:
        noise = model.noises(2 * args.rows, seed=args.seed)
        codes = model.sample_codes(len(noise), seed=args.seed) if model.has_codes else None
    rows = []
    for i in range(0, len(noise), 2):
        ends = None if codes is None else (codes[[i]], codes[[i + 1]])
        walk = {"count": args.count, "path": Path(args.path or "slerp"), "codes": ends, "drawn": not args.inverted}
        rows.append(model.walk(noise[[i]], noise[[i + 1]], **walk, **options))
    return rows

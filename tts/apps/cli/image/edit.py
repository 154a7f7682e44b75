"""Move images along the direction of a label, found by a linear probe on codes: a row for each image, as a PNG."""

import argparse

from tts.apps.cli.image._options import (
    add_image_arguments,
    add_model_arguments,
    add_sampling_arguments,
    chosen_images,
    chosen_set,
    sampling_options,
)

COUNT = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image edit`."""
    add_model_arguments(parser, "PNG to write")
    add_image_arguments(parser, COUNT)
    parser.add_argument("--label", metavar="NAME", help="column of the data's labels; default: the first")
    parser.add_argument("--value", type=int, default=1, help="value of the label to move towards")
    parser.add_argument(
        "--strengths", type=float, nargs="+", default=[-0.3, -0.15, 0.0, 0.15, 0.3], metavar="S", help="how far to move"
    )
    parser.add_argument("--probe-images", type=int, default=2000, metavar="N", help="images the probe is fitted on")
    parser.add_argument("--drawn-noise", action="store_true", help="drawn noise instead of the images' own")
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Edit."""
    import numpy as np

    from tts.inference.image_grids import save_grid
    from tts.inference.image_model import ImageModel
    from tts.inference.image_pictures import label_direction

    model = ImageModel.from_pretrained(args.model, args.device)
    data = chosen_set(args, model)
    label = args.label or next(iter(data.label_names), "")
    direction = label_direction(model, data, label, args.value, args.probe_images, args.seed)
    images, n = chosen_images(args, model, COUNT), len(args.strengths)
    edited = model.edit(images, direction, args.strengths, inverted=not args.drawn_noise, **sampling_options(args))
    save_grid(args.out, [np.concatenate((images[[i]], edited[i * n : (i + 1) * n])) for i in range(len(images))])
    return 0

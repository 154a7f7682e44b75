"""Images of the codes in a file of `encode`, as they are or as they were changed, as a PNG."""

import argparse
from pathlib import Path

from tts.apps.cli.image._options import (
    add_model_arguments,
    add_noise_argument,
    add_sampling_arguments,
    check_index,
    chosen_set,
    options_for,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image decode`."""
    add_model_arguments(parser, "PNG to write")
    parser.add_argument("--codes", type=Path, required=True, metavar="FILE", help="safetensors file with codes (n, N, d)")
    parser.add_argument("--columns", type=int, default=8, help="images a row")
    parser.add_argument("--one-noise", action="store_true", help="draw the noise once, for all images")
    add_noise_argument(parser)
    parser.add_argument("--data", metavar="SET", help="images of --inverted; default: what the model was trained on")
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Decode."""
    from tts.inference.image_code_file import read_codes
    from tts.inference.image_grids import in_rows, save_grid
    from tts.inference.image_model import ImageModel
    from tts.inference.whole_folder import fingerprint

    if args.columns < 1:
        raise ValueError(f"--columns must be 1 or more, found {args.columns}.")
    if args.inverted and args.one_noise:
        raise ValueError("--inverted starts from each image's own noise, --one-noise from one that is drawn: give one of them.")
    if args.data is not None and not args.inverted:
        raise ValueError("--data has the images whose noise --inverted finds: give both, or leave it out.")
    model = ImageModel.from_pretrained(args.model, args.device)
    codes, index = read_codes(args.codes, fingerprint(model.model))
    options, noise = options_for(args, model), None
    if args.inverted:
        if index is None:
            raise ValueError(f"--inverted: {args.codes} does not say of which images its codes are, in `index`.")
        images = chosen_set(args, model)
        noise = model.invert(images.images(check_index(index.tolist(), len(images))), **options)
    drawn = model.decode(codes, noise, seed=args.seed, one_noise=args.one_noise, **options)
    save_grid(args.out, in_rows(drawn, args.columns))
    return 0

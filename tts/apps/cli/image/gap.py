"""What the frozen base of a guided model misses of images at each time, and what its code fills in: gap.png, GAP.md."""

import argparse

from tts.apps.cli.image._options import add_set_arguments, chosen_index, chosen_set


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image gap`."""
    add_set_arguments(parser, "gets gap.png and GAP.md", "of the choice of images and of the noise")
    parser.add_argument("--images", type=int, default=256, metavar="N", help="images that the gap is measured on")
    parser.add_argument("--times", type=int, default=25, metavar="N", help="times it is measured at, 1 to 1000")


def run(args: argparse.Namespace) -> int:
    """Measure."""
    from tts.data.files import write_text
    from tts.inference.image_gap import gap_table, measure_gap, save_gap_plot
    from tts.inference.image_model import ImageModel

    if args.images < 1:
        raise ValueError(f"--images must be 1 or more, found {args.images}.")
    model = ImageModel.from_pretrained(args.model, args.device)
    images = chosen_set(args, model)
    pixels = images.images(chosen_index(args, images, args.images))
    profile = measure_gap(model, pixels, times=args.times, seed=args.seed)
    save_gap_plot(args.out / "gap.png", profile)
    write_text(args.out / "GAP.md", gap_table(profile))
    print(gap_table(profile))
    return 0

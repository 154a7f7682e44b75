"""Measure the geometry of a model's h-space: GEOMETRY.md, geometry.json and plots over time.

Of the map from noisy images to h: relative trajectory length (RTL) of arcs of noise beside that of a linear isometry, mRTL,
its mean over times, the isometry loss beside d = min(n - 1, dim h), where k equal directions lose d / k - 1, mean condition
number (MCN) and variance of the metric (VoR). Of images along paths of noise: perceptual path length (PPL) and the distances
of adjacent frames. Where labels are known, linear separability. And the profile that times of edits are chosen from.
"""

import argparse

from tts.apps.cli.image._options import add_set_arguments, chosen_set


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image geometry`."""
    add_set_arguments(parser, "gets GEOMETRY.md, geometry.json and PNG plots", "of noise, images and probes")
    parser.add_argument("--pairs", type=int, default=16, help="of noises")
    parser.add_argument("--times", type=float, nargs="+", default=[1.0, 0.8, 0.6, 0.4], metavar="T", help="in (0, 1]")
    parser.add_argument("--steps", type=int, default=20, help="of DDIM")
    parser.add_argument("--parts", type=int, default=20, help="of each path")
    parser.add_argument("--images", type=int, default=32, help="whose profile of editing times is measured")
    parser.add_argument("--labelled", type=int, default=400, metavar="N", help="images for linear separability; 0: none")
    parser.add_argument(
        "--distance",
        choices=("pixels", "features"),
        default="pixels",
        help="of images; features are ImageNet's (extra features)",
    )


def run(args: argparse.Namespace) -> int:
    """Measure."""
    from tts.data.files import write_json, write_text
    from tts.inference.image_distance import DistanceKind
    from tts.inference.image_geometry import GeometrySettings
    from tts.inference.image_geometry_report import geometry_table, geometry_values
    from tts.inference.image_model import ImageModel
    from tts.inference.image_plots import geometry_plots, save_plot

    settings = GeometrySettings(
        pairs=args.pairs,
        times=tuple(args.times),
        steps=args.steps,
        parts=args.parts,
        images=args.images,
        labelled=args.labelled,
        distance=DistanceKind(args.distance),
        seed=args.seed,
    )
    model = ImageModel.from_pretrained(args.model, args.device)
    report = model.geometry(chosen_set(args, model), settings)
    table = geometry_table(report, settings)
    for name, figure in geometry_plots(report).items():
        save_plot(args.out / f"{name}.png", figure)
    write_json(args.out / "geometry.json", geometry_values(report, settings))
    write_text(args.out / "GEOMETRY.md", table)
    print(table)
    return 0

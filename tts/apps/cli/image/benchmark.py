"""Train and score every method on the same images and one base, with several seeds: one table."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image benchmark`."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets RESULTS.md, rows/ and every experiment")
    parser.add_argument("--data", default="shapes", metavar="SET", help="sprites, shapes, or a path")
    parser.add_argument("--size", type=int, default=32, help="height and width in pixels")
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="METHOD",
        help="default: all that the labels of the data allow; METHOD:KEY=VALUE,... is a variant, e.g. disdiff:model.n_units=4",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="SEED", help="of each method")
    parser.add_argument("--profile", choices=("mini", "paper"), default="mini", help="presets METHOD_PROFILE of conf/image")
    parser.add_argument("--minutes", type=float, default=0.0, help="CPU minutes each method trains; 0: the steps of its preset")
    parser.add_argument("--sampling-steps", type=int, default=50, help="of reconstructions and samples")
    parser.add_argument("--images", type=int, default=64, metavar="N", help="images reconstructed")
    parser.add_argument("--samples", type=int, default=400, metavar="N", help="images drawn for the Fréchet distance")
    parser.add_argument(
        "--trees",
        choices=("histogram", "exact"),
        default="histogram",
        help="of DCI: seconds, or as published minutes a row",
    )
    parser.add_argument("--fast", action="store_true", help="a few steps and small measurements, to see it work")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings of all methods, e.g. threads=1")


def run(args: argparse.Namespace) -> int:
    """Compare."""
    from tts.metrics.learners import Trees
    from tts.training.image_benchmark import Benchmark, run_benchmark

    benchmark = Benchmark(
        data=args.data,
        size=args.size,
        methods=tuple(args.methods or ()),
        seeds=tuple(args.seeds),
        profile=args.profile,
        minutes=args.minutes,
        sampling_steps=args.sampling_steps,
        images=args.images,
        samples=args.samples,
        trees=Trees(args.trees),
        overrides=tuple(args.overrides),
        fast=args.fast,
    )
    print(run_benchmark(benchmark, args.out, args.device))
    return 0

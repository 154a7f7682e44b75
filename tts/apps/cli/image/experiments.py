"""Run the experiments E0 to E7 of the image geometry: one table each of what was expected, found, and whether it passes."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image experiments`."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="gets RESULTS.md, plots/, rows/, models/, parts/"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="E", help="some of E0 to E7; default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="SEED", help="of each experiment")
    parser.add_argument("--threads", type=int, default=2, help="of the processor")
    parser.add_argument("--fast", action="store_true", help="tiny models and measurements, to see it work")


def run(args: argparse.Namespace) -> int:
    """Experiment."""
    from tts.training.experiments.run import run_experiments

    print(run_experiments(args.out, args.only, args.seeds, threads=args.threads, fast=args.fast))
    return 0

"""Make a model folder of a run: the moving average of its weights, or its mean over the last checkpoints."""

import argparse
import logging
from pathlib import Path

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis average`."""
    parser.add_argument("--exp", type=Path, required=True, metavar="DIR", help="experiment folder of `glottis train`")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="checkpoints to average, the last ones")
    parser.add_argument("--out", type=Path, metavar="DIR", help="model folder to write; default EXP/averaged")


def run(args: argparse.Namespace) -> int:
    """Write the averaged model."""
    from tts.inference.model_folder import save_model_folder
    from tts.training.average import average_checkpoints

    if args.count < 1:
        raise ValueError(f"--count must be at least 1, found {args.count}.")
    out = args.out or args.exp / "averaged"
    save_model_folder(out, average_checkpoints(args.exp, args.count), "Averaged checkpoints; `glottis pack` writes the card.\n")
    logger.info("model folder: %s", out)
    return 0

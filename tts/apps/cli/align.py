"""Align phones and mel frames of a features folder (durations.safetensors)."""

import argparse
import logging
from pathlib import Path

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis align`."""
    parser.add_argument(
        "--features", type=Path, required=True, metavar="DIR", help="training set; the alignment is learnt here"
    )
    parser.add_argument(
        "--dev", type=Path, nargs="*", default=[], metavar="DIR", help="other sets, aligned with the same model"
    )
    parser.add_argument("--iterations", type=int, default=20, help="rounds of Viterbi EM")


def run(args: argparse.Namespace) -> int:
    """Learn on the training set, write the durations of every set."""
    from tts.speech.alignment_stage import align_folders

    for folder, frames in align_folders(args.features, args.dev, args.iterations).items():
        logger.info("%s: durations of %d frames", folder, frames)
    return 0

"""Train a source-filter model on a features folder."""

import argparse
import logging
from pathlib import Path

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis train`."""
    parser.add_argument("--features", type=Path, required=True, metavar="DIR", help="training set with tokens and durations")
    parser.add_argument("--dev", type=Path, metavar="DIR", help="utterances to draw figures of; default: of the training set")
    parser.add_argument(
        "--exp", type=Path, required=True, metavar="DIR", help="experiment folder: checkpoints, TensorBoard, images"
    )
    parser.add_argument(
        "--config", default="mini", help="preset of conf/ (mini, small, base; mini_vc … convert too) or a YAML file"
    )
    parser.add_argument("--init", type=Path, metavar="MODEL", help="model folder to go on from, e.g. to teach it a new voice")
    parser.add_argument("--ngpu", type=int, default=0, metavar="N", help="CUDA devices; 0 trains on the CPU")
    parser.add_argument(
        "--resume", choices=("auto", "never"), default="auto", help="go on with a run that is there, or refuse it"
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings in place of the preset's, e.g. steps=1000")


def run(args: argparse.Namespace) -> int:
    """Train to the last step."""
    from tts.training.presets import load_train_config
    from tts.training.run import train

    config = load_train_config(args.config, [f"devices={args.ngpu}", *args.overrides])
    last = train(config, args.features, args.exp, dev=args.dev, init=args.init, resume=args.resume)
    logger.info("trained %d steps: %s", config.steps, last)
    return 0

"""Train the phone recogniser, whose posteriors are content for conversion."""

import argparse
import logging
from pathlib import Path

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis train-recognizer`."""
    parser.add_argument("--features", type=Path, required=True, metavar="DIR", help="training set, a features folder, aligned")
    parser.add_argument("--dev", type=Path, required=True, metavar="DIR", help="development set, aligned; scored on")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets the recogniser, last.ckpt and TensorBoard")
    parser.add_argument("--steps", type=int, default=1500, help="train until this step")
    parser.add_argument("--max-frames", type=int, default=800, help="mel frames in a batch")
    parser.add_argument("--versions", type=int, default=4, help="of each recording: one clean, the others perturbed")
    parser.add_argument("--lr", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--checkpoint-every", type=int, default=200, metavar="STEPS", help="save, score and export this often")
    parser.add_argument("--resume", choices=("auto", "never"), default="auto", help="go on with the run in --out, or refuse it")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto", help="arithmetic")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--workers", type=int, default=0, help="processes that read and perturb; 0 = this one")
    parser.add_argument("--seed", type=int, default=0, help="of weights, data order and perturbations")


def run(args: argparse.Namespace) -> int:
    """Train to the last step."""
    from tts.training.recognizer import train_recognizer
    from tts.training.recognizer_task import RecognizerTrainConfig

    config = RecognizerTrainConfig(
        steps=args.steps,
        max_frames=args.max_frames,
        versions=args.versions,
        lr=args.lr,
        checkpoint_every=args.checkpoint_every,
        device=args.device,
        precision=args.precision,
        threads=args.threads,
        workers=args.workers,
        seed=args.seed,
    )
    out = train_recognizer(config, args.features, args.dev, args.out, resume=args.resume)
    logger.info("trained %d steps: %s", config.steps, out)
    return 0

"""Train a diffusion model of the codes of a finished model, to draw new codes from, and put it into the model's folder."""

import argparse
import logging
from pathlib import Path

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image train-prior`."""
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="model folder, or an experiment with one")
    parser.add_argument("--steps", type=int, default=3000, help="steps of training")
    parser.add_argument("--codes", type=int, default=20000, metavar="N", help="images whose codes are learnt from")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and the data order")


def run(args: argparse.Namespace) -> int:
    """Train."""
    from tts.training.image_prior import PriorTraining, train_latent_prior

    config = PriorTraining(steps=args.steps, n_codes=args.codes, threads=args.threads, seed=args.seed)
    loss = train_latent_prior(config, args.model, device=args.device)
    logger.info("trained %d steps, loss %.4f: %s", args.steps, loss, args.model)
    return 0

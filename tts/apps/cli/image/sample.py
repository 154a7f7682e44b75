"""New images from noise, and codes where the model has codes, as a PNG.

Codes are of the latent prior (`train-prior`) where one was trained, else of the method's own, else of the data's Gaussian.

With --pooled the early steps are those of a smaller model, trained with `pool=` on the same images.
"""

import argparse
import logging
from pathlib import Path
from typing import Any

from tts.apps.cli.image._options import add_model_arguments, add_sampling_arguments, chosen_set, sampling_options

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image sample`."""
    add_model_arguments(parser, "PNG to write")
    parser.add_argument("--count", type=int, default=64, help="images")
    parser.add_argument("--columns", type=int, default=8, help="images a row")
    parser.add_argument("--own-prior", action="store_true", help="codes of the prior that VAEs and InfoDiffusion train to")
    parser.add_argument("--pooled", type=Path, metavar="DIR", help="ddpm of pooled images, for steps before the switch")
    parser.add_argument("--switch-time", type=float, help="when the full model takes over (default: measured on --data)")
    parser.add_argument("--threshold", type=float, default=3e-3, help="of the measure that decides the switch; 1e-2 saves more")
    parser.add_argument("--langevin", type=int, default=2, metavar="N", help="corrections after the switch")
    parser.add_argument("--snr", type=float, default=0.01, help="size of a correction; a large one adds variance")
    parser.add_argument("--data", metavar="SET", help="images of --pooled; default: what the model was trained on")
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Sample."""
    from tts.inference.image_grids import in_rows, save_grid
    from tts.inference.image_model import ImageModel

    if args.count < 1 or args.columns < 1:
        raise ValueError(f"--count and --columns must be 1 or more, found {args.count} and {args.columns}.")
    model = ImageModel.from_pretrained(args.model, args.device)
    options = sampling_options(args)
    if args.pooled is None:
        images = model.sample(args.count, seed=args.seed, own_prior=args.own_prior, **options)
    else:
        images = _through_subspace(args, model, options)
    save_grid(args.out, in_rows(images, args.columns))
    return 0


def _through_subspace(args: argparse.Namespace, model: Any, options: dict[str, Any]) -> Any:
    """Images whose early steps are those of the pooled model."""
    from tts.image.subspace.switch import Langevin
    from tts.inference.image_model import ImageModel

    if {"code_from", "code_to", "strength", "factors"} & {*options}:
        raise ValueError("--code-from, --code-to, --strength and --factors: the models of --pooled have no codes.")
    langevin = Langevin(steps=args.langevin, snr=args.snr)
    pooled = ImageModel.from_pretrained(args.pooled, args.device)
    images = chosen_set(args, model)
    subspace = model.subspace(pooled, images, time=args.switch_time, threshold=args.threshold, seed=args.seed)
    logger.info("the full model takes over at t = %.3f", subspace.time)
    return model.sample_subspaces(args.count, [subspace], langevin=langevin, seed=args.seed, **options)

"""Train an image model: a method of `conf/image`, on generated or published images."""

import argparse
import dataclasses
import logging
from pathlib import Path

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image train`."""
    parser.add_argument("--exp", type=Path, required=True, metavar="DIR", help="gets model/, last.ckpt, TensorBoard, images")
    parser.add_argument("--config", default="encdiff_mini", help="preset of conf/image or a YAML file")
    parser.add_argument("--data", metavar="SET", help="sprites, shapes, or a path; default: the preset's")
    parser.add_argument("--base", type=Path, metavar="MODEL", help="frozen diffusion model of pdae, disdiff and clip_guided")
    parser.add_argument("--first-stage", type=Path, metavar="MODEL", help="first_stage whose latents are diffused, not pixels")
    parser.add_argument("--encoder", type=Path, metavar="MODEL", help="contrastive model of clip_guided; else model.open_clip")
    parser.add_argument("--init", type=Path, metavar="MODEL", help="ddpm to go on from, e.g. to make it isometric")
    parser.add_argument("--resume", choices=("auto", "never"), default="auto", help="go on with the run in --exp, or refuse it")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="in place of the preset's settings, e.g. steps=100")


def run(args: argparse.Namespace) -> int:
    """Train to the last step."""
    from tts.training.image_config import load_image_config
    from tts.training.image_parts import Parts
    from tts.training.image_run import train_image_model

    if args.data is not None and any(override.startswith("data=") for override in args.overrides):
        raise ValueError(f"found --data {args.data} and a data= among the overrides: give one of them.")
    config = load_image_config(args.config, [f"device={args.device}", *args.overrides])
    if args.data is not None:  # a path as it is, whatever characters are in it
        config = dataclasses.replace(config, data=args.data)
    parts = Parts(args.base, args.first_stage, args.encoder, args.init)
    folder = train_image_model(config, args.exp, parts=parts, resume=args.resume)
    logger.info("trained %d steps: %s", config.steps, folder)
    return 0

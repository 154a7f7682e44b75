"""Train a classifier of a diffusion model's noisy images, for `glottis image guide`: its folder and a plot beside it."""

import argparse
import logging
from pathlib import Path

from tts.apps.cli.image._options import chosen_set

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image train-classifier`."""
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="diffusion model, or an experiment with one")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="classifier to write; DIR.png beside it")
    parser.add_argument("--data", metavar="SET", help="images with labels; default: what the model was trained on")
    parser.add_argument("--values", nargs="+", default=[], metavar="NAME", help="labels that are numbers in order, e.g. scale")
    parser.add_argument("--steps", type=int, default=6000, help="steps of training")
    parser.add_argument("--batch-size", type=int, default=64, help="images at once")
    parser.add_argument(
        "--held-out", type=int, default=1000, metavar="N", help="images never trained on, which it is judged by"
    )
    parser.add_argument("--lr", type=float, default=2e-3, help="learning rate, which falls to 0")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--seed", type=int, default=0, help="of first weights, noise and order")


def run(args: argparse.Namespace) -> int:
    """Train."""
    import torch

    from tts.inference.classifier_folder import save_classifier
    from tts.inference.image_model import ImageModel
    from tts.inference.image_plots import line_plot, save_plot
    from tts.inference.image_tables import skill_table
    from tts.training.classifier import ClassifierTraining, classifier_config, train_classifier

    settings = ClassifierTraining(
        steps=args.steps, batch_size=args.batch_size, n_held_out=args.held_out, lr=args.lr, seed=args.seed
    )
    torch.set_num_threads(args.threads)
    model = ImageModel.from_pretrained(args.model, args.device)
    images = chosen_set(args, model)
    config = classifier_config(model.diffusion, images, tuple(args.values))
    classifier, skill = train_classifier(settings, config, images, model.device)
    table = skill_table(config, skill)
    save_classifier(args.out, classifier.cpu(), f"# Classifier of noisy images: {images.name}\n\n{table}")
    at = [(b + 0.5) / config.n_bins for b in range(config.n_bins)]
    lines = {head.name: (at, column) for head, column in zip(config.heads, skill.T.tolist(), strict=True)}
    save_plot(args.out.with_name(f"{args.out.name}.png"), line_plot(lines, "t", "accuracy; 1 - residual of numbers"))
    print(table)
    return 0

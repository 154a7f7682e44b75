"""Disentanglement, reconstruction and samples of a model beside a random encoder and PCA: results.json, RESULTS.md."""

import argparse
from pathlib import Path

from tts.apps.cli.image._options import add_sampling_arguments, chosen_set, sampling_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image evaluate`."""
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="model folder, or an experiment with one")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets results.json and RESULTS.md")
    parser.add_argument("--data", metavar="SET", help="sprites, shapes, or a path; default: what the model was trained on")
    parser.add_argument("--fast", action="store_true", help="small numbers and histogram trees: to be compared with nothing")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--seed", type=int, default=0, help="of the images, noise and classifiers")
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate."""
    from tts.data.files import write_json, write_text
    from tts.inference.image_evaluation import EvaluationSettings, evaluate_image_model, fast_settings
    from tts.inference.image_model import ImageModel
    from tts.inference.image_report import image_table

    model = ImageModel.from_pretrained(args.model, args.device)
    settings = fast_settings(args.seed) if args.fast else EvaluationSettings(seed=args.seed)
    options = sampling_options(args) if model.is_diffusion else {}
    results = evaluate_image_model(model, chosen_set(args, model), settings, **options)
    table = image_table(results["systems"])
    write_json(args.out / "results.json", results)
    write_text(args.out / "RESULTS.md", f"{table}\n{results['protocol']}\n")
    print(table)
    return 0

"""Disentanglement, reconstruction and samples of a model beside a random encoder, PCA and real images, as a table."""

import argparse
import dataclasses

from tts.apps.cli.image._options import add_sampling_arguments, add_set_arguments, chosen_set, options_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image evaluate`."""
    add_set_arguments(parser, "gets results.json and RESULTS.md", "of the images, noise and classifiers")
    parser.add_argument(
        "--split",
        choices=("iid", "compositional", "held_out"),
        default="iid",
        help="scores are read on other images than classifiers are fitted on, on other combinations of factor values, or on "
        "images that the model was trained without (train with held_out=0.2)",
    )
    parser.add_argument(
        "--trees",
        choices=("exact", "histogram"),
        default="exact",
        help="of DCI: as published (minutes to an hour), or in bins (seconds; figures of both are not comparable)",
    )
    parser.add_argument(
        "--features",
        choices=("random", "lite0"),
        default="random",
        help="of the Fréchet distance: a random network, always at hand, or efficientnet-lite0 (extra features)",
    )
    parser.add_argument("--fast", action="store_true", help="small numbers and histogram trees: to be compared with nothing")
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate."""
    from tts.data.files import write_json, write_text
    from tts.inference.image_baselines import FrechetFeatures
    from tts.inference.image_evaluation import EvaluationSettings, evaluate_image_model, fast_settings
    from tts.inference.image_model import ImageModel
    from tts.inference.image_report import image_table
    from tts.metrics.learners import Trees
    from tts.metrics.partition import Split

    split = Split(args.split)
    if split is Split.HELD_OUT and args.data:
        raise ValueError("--split held_out is of the images that the model was trained on: leave out --data.")
    model = ImageModel.from_pretrained(args.model, args.device)
    settings = EvaluationSettings(seed=args.seed, trees=Trees(args.trees), split=split)
    if args.fast:
        settings = fast_settings(args.seed, split)
    settings = dataclasses.replace(settings, features=FrechetFeatures(args.features))
    options = options_for(args, model)
    results = evaluate_image_model(model, chosen_set(args, model), settings, **options)
    table = image_table(results["systems"])
    write_json(args.out / "results.json", results)
    write_text(args.out / "RESULTS.md", f"{table}\n{results['protocol']}\n")
    print(table)
    return 0

"""New images of wished attributes, or edited ones, by a trained classifier or by a model that is told labels, as a PNG.

A wish is NAME=V, or NAME=V,V… for any of these values; values of a classifier's number heads are in [0, 1]. --avoid asks for
none of them. With --inverted the noise is that of images, so that guidance edits them: they are in the first row. A model of
kind `labelled` needs no classifier: then a wish has one value, and --scale or --weight set how much is asked.
"""

import argparse
from pathlib import Path
from typing import Any

from tts.apps.cli.image._options import (
    add_image_arguments,
    add_model_arguments,
    add_noise_argument,
    add_sampling_arguments,
    chosen_images,
    sampling_options,
)

COLUMNS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image guide`."""
    add_model_arguments(parser, "PNG to write: without guidance, then guided, from the same noise")
    parser.add_argument("--classifier", type=Path, metavar="DIR", help="folder of `glottis image train-classifier`")
    parser.add_argument("--want", nargs="+", default=[], metavar="NAME=V", help="what images shall have")
    parser.add_argument("--avoid", nargs="+", default=[], metavar="NAME=V", help="what they shall not have")
    parser.add_argument("--weight", type=float, nargs="+", metavar="W", help="of each wish, or one of all (default 1)")
    parser.add_argument("--temperature", type=float, default=1.0, help="of the classifier; above 1 asks more gently")
    parser.add_argument("--from-time", type=float, default=0.0, help="guidance is off at times up to this, 0 to 1")
    parser.add_argument(
        "--to-time", type=float, default=0.95, help="guidance is off above it: near 1 a step multiplies a classifier's errors"
    )
    parser.add_argument("--keep", nargs="+", default=[], metavar="NAME", help="attributes that guidance must not change")
    parser.add_argument(
        "--cap", type=float, help="longest gradient in units of the model's own score, e.g. 0.5 (default: none)"
    )
    parser.add_argument("--smooth", type=float, default=0.0, help="decay of a moving average of gradients over steps, 0 to 1")
    parser.add_argument("--resolve", action="store_true", help="take from each gradient what works against another")
    parser.add_argument("--through-x0", action="store_true", help="judge the predicted image, not the noisy one; slower")
    parser.add_argument(
        "--apply", choices=("both", "P"), help="guide both parts of a step (default), or its predicted image alone, with ddim"
    )
    parser.add_argument("--scale", type=float, help="of a labelled model: 0 is its condition, above it more (default 1)")
    parser.add_argument("--count", type=int, default=8, help="images, unless they are --inverted ones")
    add_image_arguments(parser, COLUMNS)
    add_noise_argument(parser)
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Guide."""
    from tts.inference.image_grids import above, save_grid
    from tts.inference.image_model import ImageModel

    if args.count < 1:
        raise ValueError(f"--count must be 1 or more, found {args.count}.")
    model = ImageModel.from_pretrained(args.model, args.device)
    options, codes, noise = sampling_options(args), None, None
    if args.inverted:
        before = chosen_images(args, model, COLUMNS)
        codes = model.encode(before) if model.has_codes else None
        noise = model.invert(before, codes, **options)
    else:
        before = model.sample(args.count, seed=args.seed, **options)
    common = {"noise": noise, "seed": args.seed} | options
    if args.classifier is None:
        after = _labelled(args, model, len(before), common)
    else:
        after = model.guide(len(before), _guidance(args), codes=codes, **common)
    save_grid(args.out, above(before, after, COLUMNS))
    return 0


def _guidance(args: argparse.Namespace) -> Any:
    """What the classifier is asked."""
    from tts.image.guidance.asymmetric import Apply
    from tts.image.guidance.wishes import Wish
    from tts.inference.classifier_folder import load_classifier
    from tts.inference.image_guided import Guidance

    if args.scale is not None:
        raise ValueError("--scale is of a labelled model without --classifier. Give --weight.")
    asked = [(*_wish(text), False) for text in args.want] + [(*_wish(text), True) for text in args.avoid]
    weights = _weights(args, len(asked))
    return Guidance(
        classifier=load_classifier(args.classifier),
        wishes=tuple(
            Wish(
                name=name,
                values=values,
                negated=negated,
                weight=weight,
                temperature=args.temperature,
                interval=(args.from_time, args.to_time),
            )
            for (name, values, negated), weight in zip(asked, weights, strict=True)
        ),
        keep=tuple(args.keep),
        cap=args.cap,
        smooth=args.smooth,
        resolve=args.resolve,
        through_x0=args.through_x0,
        apply=Apply(args.apply or "both"),
    )


def _labelled(args: argparse.Namespace, model: Any, n: int, common: dict[str, Any]) -> Any:
    """Images of a model that is told labels."""
    if args.avoid or args.keep or args.cap is not None or args.smooth or args.resolve or args.through_x0 or args.apply:
        names = "--avoid, --keep, --cap, --smooth, --resolve, --through-x0 and --apply"
        raise ValueError(f"{names} are of a classifier. Give --classifier.")
    asked = [_wish(text) for text in args.want]
    several = [name for name, values in asked if len(values) != 1 or values[0] != int(values[0])]
    if several or len({name for name, _ in asked}) != len(asked):
        raise ValueError(f"--want: a labelled model takes one whole value of each name, found {' '.join(args.want)}.")
    if args.weight is not None and args.scale is not None:
        raise ValueError("--scale guides by all labels at once, --weight by each alone: give one of them.")
    labels = {name: int(values[0]) for name, values in asked}
    if args.weight is None:
        return model.sample_labelled(n, labels, scale=1.0 if args.scale is None else args.scale, **common)
    return model.sample_labelled(n, labels, weights=dict(zip(labels, _weights(args, len(labels)), strict=True)), **common)


def _weights(args: argparse.Namespace, n: int) -> list[float]:
    """A weight for each of n wishes."""
    if n == 0:
        raise ValueError("--want or --avoid: nothing is asked. Give at least one NAME=V.")
    weights = args.weight or [1.0]
    if len(weights) not in (1, n):
        raise ValueError(f"--weight: found {len(weights)} for {n} wishes, expected one, or one for each.")
    return list(weights) * (n if len(weights) == 1 else 1)


def _wish(text: str) -> tuple[str, tuple[float, ...]]:
    """NAME=V,V… as name and values.

    Raises:
        ValueError: if it is not written so.
    """
    name, _, listed = text.partition("=")
    try:
        values = tuple(float(value) for value in listed.split(","))
    except ValueError as err:
        raise ValueError(f"--want, --avoid: found {text!r}, expected NAME=V or NAME=V,V with numbers.") from err
    return name, values

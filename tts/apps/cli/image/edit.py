"""Edit images, a row each, as a PNG: along a label (a linear probe on codes), a trained edit, or a direction of h.

--edit takes folders of `glottis image train-edit`, all applied at once; with --average each is one change of h, the mean of
what it makes of the images here. --direction takes pca:K, principal direction K of h of images that the model draws, or
pullback:K, what in each image's own noise moves h most; K counts from 0. With neither, codes move along the probe of --label.
The unit of --strengths is as far as a trained edit's groups are apart, one deviation of h, or a step of length 1 in noise; a
probe breaks images beyond 0.3.
"""

import argparse
from pathlib import Path
from typing import Any

from tts.apps.cli.image._options import (
    add_image_arguments,
    add_model_arguments,
    add_sampling_arguments,
    chosen_images,
    chosen_set,
    flags,
    given,
    sampling_options,
)

COUNT = 4
STRENGTHS = {
    "probe": (-0.3, -0.15, 0.0, 0.15, 0.3),
    "edit": (-1.0, -0.5, 0.0, 0.5, 1.0),
    "pca": (-3.0, -1.5, 0.0, 1.5, 3.0),
    "pullback": (-4.0, -2.0, 0.0, 2.0, 4.0),
}
WAYS = {"probe": "--label", "edit": "--edit", "pca": "--direction pca:K", "pullback": "--direction pullback:K"}
OPTIONS = {  # which ways of editing each is of
    "value": ("probe",),
    "probe_images": ("probe",),
    "drawn_noise": ("probe",),
    "together": ("edit",),
    "average": ("edit",),
    "inversion": ("edit", "pca"),
    "noise": ("edit", "pca"),
    "t_edit": ("edit", "pca"),
    "t_boost": ("edit", "pca"),
    "tap": ("pca", "pullback"),
    "at": ("pullback",),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image edit`."""
    add_model_arguments(parser, "PNG to write")
    add_image_arguments(parser, COUNT)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--label", metavar="NAME", help="column of the data's labels; default: the first")
    way.add_argument("--edit", type=Path, nargs="+", metavar="DIR", help="trained edits of this model")
    way.add_argument("--direction", metavar="KIND:K", help="pca:K or pullback:K")
    parser.add_argument(
        "--together", action="store_true", help="of several --edit: each by 1 / sqrt(their number), so that images hold"
    )
    parser.add_argument(
        "--average", choices=("images", "all"), help="of --edit: the mean change over these images, or over all steps too"
    )
    parser.add_argument("--value", type=int, help="value of the label to move towards (default 1)")
    parser.add_argument(
        "--strengths", type=float, nargs="+", metavar="S", help="how far to move; default: five of a sensible size"
    )
    parser.add_argument("--probe-images", type=int, metavar="N", help="images the probe is fitted on (default 2000)")
    parser.add_argument("--drawn-noise", action="store_true", help="of a probe: drawn noise instead of the images' own")
    parser.add_argument(
        "--inversion", choices=("ddim", "edit_friendly"), help="of --edit and pca: how images become noise (default ddim)"
    )
    parser.add_argument("--noise", type=Path, metavar="FILE", help="of --edit and pca: edit what `glottis image invert` wrote")
    parser.add_argument("--t-edit", type=float, help="edit from t = 1 down to here (default: as trained; 0.5 for pca)")
    parser.add_argument(
        "--t-boost", type=float, help="fresh noise below here (default: as trained; 0, none, where that cannot be)"
    )
    parser.add_argument("--tap", metavar="NAME", help="of --direction: where h is taken (default: middle), as in train-edit")
    parser.add_argument("--at", type=float, help="of pullback: the time at which noise is moved (default 0.7)")
    add_sampling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Edit."""
    from tts.inference.image_grids import save_grid, with_edits
    from tts.inference.image_model import ImageModel

    model = ImageModel.from_pretrained(args.model, args.device)
    kind, number = _way(args)
    strengths = args.strengths or STRENGTHS[kind]
    for option, ways in OPTIONS.items():
        if getattr(args, option) not in (None, False) and kind not in ways:
            of = " and ".join(WAYS[way] for way in ways)
            raise ValueError(f"{flags([option])}: is of {of}, found {WAYS[kind]}. Leave it out.")
    if args.noise is not None and (args.data or args.index or args.inversion):
        raise ValueError("--noise: no other images are read and none inverted. Leave out --data, --index and --inversion.")
    if kind in ("edit", "pca"):
        images, edited = _edit_h(args, model, kind, number, strengths)
    else:
        images = chosen_images(args, model, COUNT)
        if kind == "probe":
            edited = _probe(args, model, images, strengths)
        else:
            edited = _pullback(args, model, images, number, strengths)
    save_grid(args.out, with_edits(images, edited))
    return 0


def _way(args: argparse.Namespace) -> tuple[str, int]:
    """`probe`, `edit`, `pca` or `pullback`, and the number of the direction.

    Raises:
        ValueError: if --direction is none of them.
    """
    if args.edit:
        return "edit", 0
    if args.direction is None:
        return "probe", 0
    name, _, number = args.direction.partition(":")
    if name not in ("pca", "pullback") or not number.isdecimal():
        raise ValueError(f"--direction: found {args.direction!r}, expected pca:K or pullback:K with K from 0 on.")
    return name, int(number)


def _steps(args: argparse.Namespace, default: int) -> int:
    """The number of steps, the one option of sampling that edits of noise take."""
    options = sampling_options(args)
    steps = int(options.pop("steps", default))
    if options:
        raise ValueError(f"{flags(options)}: edits of h and of noise take --steps alone, on a uniform grid with ddim.")
    return steps


def _edit_h(args: argparse.Namespace, model: Any, kind: str, number: int, strengths: Any) -> tuple[Any, Any]:
    """The images and what trained edits, or a principal direction, make of them."""
    from dataclasses import replace

    from tts.image.asyrp import Average, together
    from tts.inference.image_inversion import InversionKind, read_inversion

    kept = None if args.noise is None else read_inversion(args.noise)
    found = [model.load_edit(folder) for folder in args.edit or ()]
    steps = _steps(args, max((config.steps for _, config in found), default=50) if kept is None else kept.config.steps)
    if kept is not None and steps != kept.config.steps:
        raise ValueError(f"--steps: found {steps}, the noise in --noise has {kept.config.steps}. Leave it out.")
    edits, t_boost = [edit for edit, _ in found], max((config.t_boost for _, config in found), default=0.0)
    if kind == "pca":
        edits = model.pca_edits(number + 1, steps=steps, seed=args.seed, **given(args, "tap"))[-1:]
    if args.t_edit is not None:
        edits = [replace(edit, t_edit=args.t_edit) for edit in edits]
    if kept is None:
        images = chosen_images(args, model, COUNT)
        kept = model.inversion(images, kind=InversionKind(args.inversion or "ddim"), steps=steps, seed=args.seed)
    else:
        images = model.restore(kept)
    if args.average:
        edits = [model.averaged(kept, edit, Average(args.average)) for edit in edits]
    if args.together:
        edits = together(edits)
    if args.t_boost is not None:
        t_boost = args.t_boost
    elif kept.config.kind is InversionKind.edit_friendly:
        t_boost = 0.0
    return images, model.edit_h(kept, edits, strengths, t_boost=t_boost, seed=args.seed)


def _probe(args: argparse.Namespace, model: Any, images: Any, strengths: Any) -> Any:
    """The images moved along the direction of a label."""
    from tts.inference.image_pictures import label_direction

    data = chosen_set(args, model)
    label = args.label or next(iter(data.label_names), "")
    if not label:
        raise ValueError(f"{data.name}: nothing is known of these images to edit them along. Give --edit or --direction.")
    direction = label_direction(model, data, label, seed=args.seed, **given(args, "value", "probe_images"))
    return model.edit(images, direction, strengths, inverted=not args.drawn_noise, **sampling_options(args))


def _pullback(args: argparse.Namespace, model: Any, images: Any, number: int, strengths: Any) -> Any:
    """The images moved along their own directions."""
    steps = _steps(args, 50)
    return model.edit_pullback(images, number, strengths, steps=steps, seed=args.seed, **given(args, "at", "tap"))

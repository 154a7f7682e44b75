"""Train an edit of a diffusion model's h (Asyrp), for `glottis image edit --edit`: its folder, and beside it a grid and a plot.

What it is to do is told by one of: --label and --value of labelled images; two folders of images, --without and --having the
attribute; two folders of pairs of equal names, --before and --after an edit; --source-text and --target-text for an --encoder
that knows words. The model stays as it is.
"""

import argparse
import logging
from pathlib import Path
from typing import Any

from tts.apps.cli.image._options import chosen_set

logger = logging.getLogger(__name__)

SHOWN, STRENGTHS = 4, (-1.0, -0.5, 0.0, 0.5, 1.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image train-edit`."""
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="diffusion model, or an experiment with one")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="edit to write; DIR.png and DIR_profile.png beside it"
    )
    parser.add_argument("--name", help="of the attribute (default: the last part of --out)")
    parser.add_argument("--data", metavar="SET", help="sprites, shapes, or a path; default: what the model was trained on")
    parser.add_argument("--label", metavar="NAME", help="column of the data's labels")
    parser.add_argument("--value", type=int, default=1, help="value of the label that images shall get")
    parser.add_argument("--without", type=Path, metavar="DIR", help="images without the attribute")
    parser.add_argument("--having", type=Path, metavar="DIR", help="images that have it")
    parser.add_argument("--before", type=Path, metavar="DIR", help="images before a known edit")
    parser.add_argument("--after", type=Path, metavar="DIR", help="the same after it, by the same names")
    parser.add_argument("--source-text", metavar="WORDS", help="what images are")
    parser.add_argument("--target-text", metavar="WORDS", help="what they shall be")
    parser.add_argument(
        "--encoder",
        default="",
        metavar="NAME",
        help="features (ImageNet), clip:ARCHITECTURE:WEIGHTS (open_clip), or a model folder; default: the model's own codes",
    )
    parser.add_argument("--images", type=int, default=200, metavar="N", help="images trained on, again where there are fewer")
    parser.add_argument("--looked-at", type=int, default=1000, metavar="N", help="labelled images that the direction is from")
    parser.add_argument("--steps", type=int, default=40, help="of the reverse diffusion")
    parser.add_argument("--epochs", type=int, help="passes over the images; default: as many as show --images")
    parser.add_argument("--batch-size", type=int, default=8, help="images at once")
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--reconstruction", type=float, default=3.0, help="weight of leaving all else as it is")
    parser.add_argument("--t-edit", type=float, help="edit from t = 1 down to here (default: measured)")
    parser.add_argument(
        "--tap", default="middle", metavar="NAME", help="where h is taken: down.0 … middle … up.0 …, a wrong name lists them"
    )
    parser.add_argument("--boost", action="store_true", help="fresh noise below a measured time, which mends quality")
    parser.add_argument("--everywhere", action="store_true", help="one change of h for all images and times, not a network")
    parser.add_argument(
        "--distance", choices=("pixels", "features"), default="pixels", help="of the measured times; features need the extra"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--seed", type=int, default=0, help="of first weights, order and choice of images")


def run(args: argparse.Namespace) -> int:
    """Train."""
    from dataclasses import replace

    import torch

    from tts.image.directional import EditLossConfig
    from tts.inference.image_distance import DistanceKind
    from tts.inference.image_grids import save_grid, with_edits
    from tts.inference.image_model import ImageModel
    from tts.inference.image_plots import profile_plot, save_plot
    from tts.training.asyrp import AsyrpTraining
    from tts.training.edit_goals import edit_encoder
    from tts.training.image_edit import EditSettings, train_edit

    way = _way(args)
    settings = EditSettings(
        name=args.name or args.out.name,
        asyrp=AsyrpTraining(
            steps=args.steps,
            epochs=1 if args.epochs is None else args.epochs,
            batch_size=args.batch_size,
            lr=args.lr,
            tap=args.tap,
            loss=EditLossConfig(reconstruction=args.reconstruction),
        ),
        t_edit=args.t_edit,
        boost=args.boost,
        everywhere=args.everywhere,
        distance=DistanceKind(args.distance),
        seed=args.seed,
    )
    torch.set_num_threads(args.threads)
    model = ImageModel.from_pretrained(args.model, args.device)
    encoder, texts = edit_encoder(args.encoder, model)
    goal = _goal(args, way, model, encoder, texts)
    if args.epochs is None:
        epochs = -(-args.images // len(goal.images))
        settings = replace(settings, asyrp=replace(settings.asyrp, epochs=epochs))
    found = train_edit(settings, model, goal, encoder, args.out)
    edit, config = model.load_edit(args.out)
    shown = goal.images[:SHOWN]
    kept = model.inversion(shown, steps=config.steps)
    edited = model.edit_h(kept, [edit], STRENGTHS, t_boost=config.t_boost, seed=args.seed)
    save_grid(args.out.with_name(f"{args.out.name}.png"), with_edits(shown, edited))
    marks = {"t_edit": config.t_edit} | ({"t_boost": config.t_boost} if config.t_boost else {})
    save_plot(args.out.with_name(f"{args.out.name}_profile.png"), profile_plot(found.profile, marks))
    seen, out = len(goal.images), args.out
    logger.info(
        "trained on %d images, loss %.4f, t_edit %.3f, gain %.3g: %s", seen, found.loss, config.t_edit, config.gain, out
    )
    return 0


def _way(args: argparse.Namespace) -> str:
    """`label`, `groups`, `pairs` or `words`.

    Raises:
        ValueError: unless exactly one of them is told, and wholly.
    """
    ways = {
        "label": [args.label],
        "groups": [args.without, args.having],
        "pairs": [args.before, args.after],
        "words": [args.source_text, args.target_text],
    }
    told = [name for name, values in ways.items() if any(value is not None for value in values)]
    if len(told) != 1 or None in ways[told[0]]:
        raise ValueError(
            "expected one of --label, --without and --having, --before and --after, --source-text and --target-text; found "
            f"{', '.join(told) or 'none'}{' in part' if len(told) == 1 else ''}."
        )
    if args.images < 1 or args.looked_at < 2:
        raise ValueError(f"--images and --looked-at must be 1 and 2 at least, found {args.images} and {args.looked_at}.")
    return told[0]


def _goal(args: argparse.Namespace, way: str, model: Any, encoder: Any, texts: Any) -> Any:
    """What the edit is to do."""
    import numpy as np

    from tts.image.folder import ImageFolder
    from tts.training.edit_goals import group_goal, label_goal, pair_goal, text_goal

    like = {"size": model.config.size, "channels": model.config.channels}
    if way == "label":
        options = {"n": args.images, "looked_at": args.looked_at, "seed": args.seed}
        return label_goal(encoder, model, chosen_set(args, model), args.label, args.value, **options)
    if way == "groups":
        groups = [ImageFolder(folder, **like) for folder in (args.without, args.having)]
        without, having = (of.images(np.arange(min(len(of), args.looked_at))) for of in groups)
        return group_goal(encoder, model, without, having, n=args.images)
    if way == "pairs":
        before, after = (ImageFolder(folder, **like) for folder in (args.before, args.after))
        return pair_goal(encoder, model, before, after, (args.before, args.after), n=args.images)
    images = chosen_set(args, model)
    index = np.random.default_rng(args.seed).integers(len(images), size=args.images)
    return text_goal(texts, images.images(index), args.source_text, args.target_text)

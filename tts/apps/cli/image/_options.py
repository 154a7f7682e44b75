"""Options that the verbs of images share: the model, its sampling, and the images it works on."""

import argparse
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

SAMPLING = ("sampler", "steps", "grid", "code_from", "code_to", "strength", "factors")


def add_model_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """Declare the model, its device, the seed and what is written."""
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="model folder, or an experiment with one")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=out)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")


def add_set_arguments(parser: argparse.ArgumentParser, out: str, seed: str) -> None:
    """Declare the model, its data set, its device, the seed and the folder that is written."""
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="model folder, or an experiment with one")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=out)
    parser.add_argument("--data", metavar="SET", help="sprites, shapes, or a path; default: what the model was trained on")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--seed", type=int, default=0, help=seed)


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the reverse diffusion; those left out are the defaults of `ImageSampling`."""
    parser.add_argument(
        "--sampler", help="of drawn noise: dpmpp_2m (default), ddim, heun, ancestral, euler_maruyama; inverted noise has ddim"
    )
    parser.add_argument("--steps", type=int, help="steps of the reverse diffusion, 1 to 1000 (default 50)")
    parser.add_argument("--grid", help="where the steps lie: quadratic (default), uniform or log_snr")
    drawn = "of drawn codes as in the model"
    parser.add_argument(
        "--code-from", type=float, help=f"the code is left out at times up to this, 0 to 1 (default 0; {drawn})"
    )
    parser.add_argument("--code-to", type=float, help=f"the code is left out at times above this, 0 to 1 (default 1; {drawn})")
    guided = "of pdae, disdiff, clip_guided"
    parser.add_argument("--strength", type=float, help=f"{guided}: how far the base is drawn to the code, 0 not (default 1)")
    parser.add_argument("--factors", type=int, nargs="+", metavar="C", help=f"{guided}: which factors draw it (default all)")


def sampling_options(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of ImageSampling that were given."""
    return given(args, *SAMPLING) | ({"factors": tuple(args.factors)} if args.factors else {})


def given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Those of the options without a default that were given, by name."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def flags(names: Iterable[str]) -> str:
    """Options as they are written on a command line, in a sentence."""
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def options_for(args: argparse.Namespace, model: Any) -> dict[str, Any]:
    """The fields of ImageSampling that were given, for a verb that works on models of every kind.

    Raises:
        ValueError: if one was given and the model is none of diffusion.
    """
    options = sampling_options(args)
    if options and not model.is_diffusion:
        kind = model.config.kind.value
        raise ValueError(f"{flags(options)}: a model of kind {kind} takes no sampling options. Leave them out.")
    return options


def add_image_arguments(parser: argparse.ArgumentParser, count: int) -> None:
    """Declare where the images come from."""
    parser.add_argument("--data", metavar="SET", help="sprites, shapes, or a path; default: what the model was trained on")
    parser.add_argument(
        "--index",
        type=int,
        nargs="+",
        metavar="I",
        help=f"which images of it; default {count} drawn with --seed, or all",
    )


def chosen_images(args: argparse.Namespace, model: Any, count: int) -> Any:
    """The images (n, C, H, W) that were asked for.

    Raises:
        ValueError: if an index is not in the data set.
    """
    images = chosen_set(args, model)
    return images.images(check_index(args.index or chosen_index(args, images, count), len(images)))


def chosen_pairs(args: argparse.Namespace, model: Any, count: int) -> Any:
    """The images (n, C, H, W) that were asked for, n even; of a small set that is taken whole an odd last one is left out.

    Raises:
        ValueError: if an index is not in the data set, or their number is odd.
    """
    images = chosen_images(args, model, count)
    if not args.index and len(images) > 1 and len(images) % 2:
        logger.warning("%d images make pairs but for the last, which is left out.", len(images))
        images = images[:-1]
    if len(images) % 2:
        raise ValueError(f"--index: images come in pairs, found {len(images)}.")
    return images


def chosen_set(args: argparse.Namespace, model: Any) -> Any:
    """The data set that was asked for, at the model's size, a folder of images with the model's channels."""
    from tts.image.datasets import open_images

    return open_images(args.data or model.loaded.trained.data, size=model.config.size, channels=model.config.channels)


def chosen_index(args: argparse.Namespace, images: Any, count: int) -> list[int]:
    """`count` indices of the set drawn with the seed; where it holds no more than that, all of them in order."""
    import numpy as np

    if len(images) <= count:
        return list(range(len(images)))
    return np.random.default_rng(args.seed).integers(len(images), size=count).tolist()


def check_index(index: Sequence[int], size: int) -> Any:
    """The indices as an array.

    Raises:
        ValueError: if one is not in a data set of this size.
    """
    import numpy as np

    wrong = [i for i in index if not 0 <= i < size]
    if wrong:
        raise ValueError(f"--index: found {wrong[0]}, expected 0 to {size - 1}.")
    return np.asarray(index, dtype=np.int64)


def add_unit_argument(parser: argparse.ArgumentParser, help_text: str) -> None:
    """Declare the units of the code."""
    parser.add_argument("--units", type=int, nargs="+", metavar="U", help=help_text)


def add_noise_argument(parser: argparse.ArgumentParser) -> None:
    """Declare where the noise comes from."""
    parser.add_argument("--inverted", action="store_true", help="start from the images' own noise instead of drawing it")

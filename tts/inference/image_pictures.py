"""The pictures that show what a model has learnt: samples, reconstructions, traversals, interpolations, swaps, edits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.errors import DataError
from tts.image.datasets import ImageSet
from tts.image.guided import GuidedModel
from tts.image.stage_model import FirstStageModel
from tts.inference.image_grids import with_edits
from tts.inference.image_model import ImageModel
from tts.inference.image_probe import fit_probe
from tts.inference.image_runner import Images

Rows = list[Images]

N_UNITS = 12  # of those that vary most, in traversals and swaps
N_PROBE = 2000  # images that the direction of an edit is found on
HIDDEN = (1.0, 0.9, 0.7, 0.5)  # times of single steps
STRENGTHS = (-0.3, -0.15, 0.0, 0.15, 0.3)


def first_pictures(model: ImageModel, shown: Images, **options: Any) -> dict[str, Rows]:
    """What a run shows of itself: `samples`, `reconstructions` (images, drawn noise, own noise), `traversals` of the first.

    Args:
        model: any; one without a decoder shows nothing, a first stage its reconstructions.
        shown: images (n, C, H, W).
        options: fields of `ImageSampling`; none for a VAE.
    """
    if isinstance(model.model, FirstStageModel):
        return {"reconstructions": [shown, model.reconstruct(shown)]}
    if not model.draws:
        return {}
    pictures: dict[str, Rows] = {"samples": list(model.sample(32, **options).reshape(4, 8, *shown.shape[1:]))}
    if not model.has_codes:
        return pictures
    pictures["reconstructions"] = [shown, model.reconstruct(shown, **options)]
    if model.is_diffusion:
        pictures["reconstructions"].append(model.reconstruct(shown, inverted=True, **options))
    pictures["traversals"] = [model.traverse(shown[:1], unit, count=8, **options) for unit in widest_units(model)]
    return pictures


def all_pictures(model: ImageModel, images: ImageSet, *, label: str = "", seed: int = 0, **options: Any) -> dict[str, Rows]:
    """`first_pictures` of 8 images drawn with the seed, then `interpolations`, `swaps` and, where there are labels, `edits`.

    Without codes a diffusion model shows `reconstructions` and `interpolations` of the images' own noise, and no more.
    For diffusion `swaps` and `traversals` are there again on the images' own noise, `…_inverted`. Rows of `swaps`: the images,
    those that give to them, then for each unit the images with that unit of the givers. `one_step` are the images, then at
    each time of HIDDEN what one step makes of them: of guided methods the base first, then the model that is told the code.

    Args:
        model: any.
        images: where they come from.
        label: column of the labels that is edited, towards its value 1; "" is the first.
        seed: of the choice of images.
        options: fields of `ImageSampling`.

    Raises:
        DataError: if there is no such label.
    """
    rng = np.random.default_rng(seed)
    shown = images.images(rng.integers(len(images), size=8))
    pictures = first_pictures(model, shown, **options)
    if not model.draws or not (model.has_codes or model.is_diffusion):
        return pictures
    if not model.has_codes:
        pictures["reconstructions"] = [shown, model.reconstruct(shown, inverted=True, **options)]
    pictures["interpolations"] = [model.interpolate(shown[[i]], shown[[i + 3]], count=8, **options) for i in range(3)]
    if not model.has_codes:
        return pictures
    givers = np.roll(shown, -1, axis=0)
    for name, inverted in (("swaps", False), ("swaps_inverted", True))[: 1 + model.is_diffusion]:
        swapped = [model.swap(shown, givers, [u], inverted=inverted, **options) for u in widest_units(model)]
        pictures[name] = [shown, givers, *swapped]
    if model.is_diffusion:
        moved = [model.traverse(shown[:1], u, count=8, inverted=True, **options) for u in widest_units(model)]
        pictures["traversals_inverted"] = moved
        told = (False, True) if isinstance(model.model, GuidedModel) else (True,)
        pictures["one_step"] = [shown, *(model.denoise(shown, t, coded=coded, seed=seed) for t in HIDDEN for coded in told)]
    if images.label_names:
        direction = label_direction(model, images, label or images.label_names[0], seed=seed)
        pictures["edits"] = with_edits(shown[:4], model.edit(shown[:4], direction, STRENGTHS, **options))
    return pictures


def widest_units(model: ImageModel) -> list[int]:
    """The units that vary most, at most 12, in their order."""
    width = model.codes.high - model.codes.low
    return sorted(width.argsort(descending=True)[:N_UNITS].tolist())


def label_direction(
    model: ImageModel, images: ImageSet, label: str, *, value: int = 1, probe_images: int = N_PROBE, seed: int = 0
) -> NDArray[np.float32]:
    """The direction (N, d) in normalised codes towards a value of a label, by a probe on images drawn with the seed.

    Raises:
        DataError: if there is no such label, or every image has the value, or none.
    """
    index = np.random.default_rng(seed).integers(len(images), size=probe_images)
    labels = images.labels(index)
    if labels is None or label not in images.label_names:
        raise DataError(f"{images.name}: no label {label!r}. Labels: {', '.join(images.label_names) or 'none'}.")
    codes = model.normalized(images.images(index))
    return fit_probe(codes, labels[:, images.label_names.index(label)], value, seed=seed)

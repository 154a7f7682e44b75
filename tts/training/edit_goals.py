"""What an edit is to do: of labelled images, two folders, pairs or words, as the features of an encoder see it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tts.errors import DataError, ModelError
from tts.image.contrastive import ContrastiveModel
from tts.image.datasets import ImageSet, labels_of, to_model
from tts.image.directional import ImageEncoder, TextEncoder, group_direction, pair_directions, text_direction
from tts.image.folder import ImageFolder
from tts.image.open_clip_features import OpenClipFeatures
from tts.inference.image_distance import imagenet_features
from tts.inference.image_model import ImageModel
from tts.inference.image_runner import Images

FEATURES = "features"
CLIP = "clip:"


@dataclass(frozen=True, eq=False, kw_only=True)
class EditGoal:
    """What an edit is to do to images (n, C, H, W), uint8.

    direction: in the encoder's features, (F,), or (n, F) of each image.
    distance: along it, from what lacks the attribute to what has it; 0 where pairs show how far to go.
    after: the images as they shall be, where pairs show it.
    cosine: of the descriptions of source and target, for t_edit.
    """

    images: Images
    direction: Tensor
    distance: float = 0.0
    after: Images | None = None
    cosine: float = 1.0


def edit_encoder(name: str, model: ImageModel) -> tuple[ImageEncoder, TextEncoder | None]:
    """Images in [-1, 1] -> features (B, F); and sentences -> features in the same space, where the encoder knows words.

    Args:
        name: "features" of an ImageNet network (extra `features`); "clip:NAME:WEIGHTS" of open_clip, by its name of the weights
            or a file of them (extra `clip`); the folder of an image model with codes; or "" for the model's own codes.
        model: that is edited.

    Raises:
        ModelError: if there is no such model, it has no codes, or takes images of another shape; if the extra is missing.
        ValueError: if a CLIP is named without its weights.
    """
    if name.startswith(CLIP):
        architecture, _, weights = name.removeprefix(CLIP).partition(":")
        if not weights:
            raise ValueError(f"--encoder: found {name}, expected clip:NAME:WEIGHTS, such as clip:ViT-B-32:laion2b_s34b_b79k.")
        clip = OpenClipFeatures(architecture, weights).requires_grad_(False).to(model.device)
        return clip, clip.encode_text
    if name == FEATURES:
        return imagenet_features().to(model.device).vectors, None
    of = ImageModel.from_pretrained(name, str(model.device)) if name else model
    if not of.has_codes:
        raise ModelError(
            f"{name or 'the model'}: of kind {of.config.kind.value}, which has no codes to tell images by. Give --encoder "
            f"features, or the folder of a model that has them."
        )
    shapes = [(c.channels, c.size) for c in (of.config, model.config)]
    if shapes[0] != shapes[1]:
        raise ModelError(f"{name}: takes images of (channels, pixels) {shapes[0]}, the edited model {shapes[1]}.")
    network = of.model
    return lambda x: network.encode(x).flatten(1), network.encode_text if isinstance(network, ContrastiveModel) else None


def label_goal(
    encoder: ImageEncoder, model: ImageModel, images: ImageSet, label: str, value: int, *, n: int, looked_at: int, seed: int
) -> EditGoal:
    """To give images a value of a label that they do not have: n of those that lack it, of so many looked at.

    Raises:
        DataError: if there is no such label, or every image looked at has the value, or none.
    """
    index = np.random.default_rng(seed).integers(len(images), size=looked_at)
    has = labels_of(images, index, [label])[:, 0] == value
    pixels = images.images(index)
    return group_goal(encoder, model, pixels[~has], pixels[has], n=n)


def group_goal(encoder: ImageEncoder, model: ImageModel, without: Images, having: Images, *, n: int) -> EditGoal:
    """To make the first n images without an attribute like those that have it.

    Raises:
        DataError: if a group is empty, or the two look the same to the encoder.
    """
    before, after = (_features_of(encoder, model, pixels) for pixels in (without, having))
    direction = group_direction(lambda features: features, before, after)
    distance = float((after.mean(dim=0) - before.mean(dim=0)) @ direction)
    return EditGoal(images=without[:n], direction=direction, distance=distance)


def pair_goal(
    encoder: ImageEncoder, model: ImageModel, before: ImageFolder, after: ImageFolder, roots: tuple[Path, Path], *, n: int
) -> EditGoal:
    """To do to images what was done to the first n pairs of equal names in two folders.

    Raises:
        DataError: if the folders do not hold the same names, or a pair does not differ in its features.
    """
    names = [[path.relative_to(root) for path in of.files] for root, of in zip(roots, (before, after), strict=True)]
    if [p.with_suffix("") for p in names[0]] != [p.with_suffix("") for p in names[1]]:
        lone = sorted({p.with_suffix("").as_posix() for p in names[0]} ^ {p.with_suffix("").as_posix() for p in names[1]})
        raise DataError(f"{roots[0]} and {roots[1]}: pairs need equal names, without a partner: {', '.join(lone[:5])}.")
    index = np.arange(min(n, len(before)))
    first, second = before.images(index), after.images(index)
    features = [_features_of(encoder, model, pixels) for pixels in (first, second)]
    return EditGoal(images=first, direction=pair_directions(lambda x: x, *features), after=second)


def text_goal(texts: TextEncoder | None, images: Images, source: str, target: str) -> EditGoal:
    """To make images (n, C, H, W) of the source what the target says.

    Raises:
        DataError: if both say the same.
        ModelError: if the encoder knows no words.
        ValueError: if a word is not of its vocabulary.
    """
    if texts is None:
        raise ModelError(
            "words need an encoder that knows them: give --encoder clip:NAME:WEIGHTS, or the folder of a model of kind "
            "contrastive."
        )
    direction, cosine = text_direction(texts, [source], [target])
    cosine = min(1.0, max(cosine, 1e-3))
    # of two vectors of length 1
    return EditGoal(images=images, direction=direction, distance=(2 - 2 * cosine) ** 0.5, cosine=cosine)


def _features_of(encoder: ImageEncoder, model: ImageModel, images: Images) -> Tensor:
    """Features (n, F) of images, a batch at a time."""
    if len(images) == 0:
        raise DataError("a direction needs images in both groups, found one of them empty.")
    return torch.from_numpy(model.batches(encoder, to_model(images)))

"""How near a model comes to an image: from its code, from its own noise, and what a base does without the code."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tts.image.datasets import to_model
from tts.image.guided import GuidedModel
from tts.image.stage_model import FirstStageModel
from tts.inference.image_model import ImageModel
from tts.inference.image_runner import Images
from tts.metrics.efficientnet import load_efficientnet_lite0
from tts.metrics.images import mse, ssim
from tts.nets.perceptual import FeatureDistance

AT_ONCE = 16  # images of 224 x 224 pixels in the features


def reconstructions(model: ImageModel, pixels: Images, *, seed: int = 0, **options: Any) -> dict[str, Images]:
    """The images (n, C, H, W) made again in every way that the model has, by name.

    ""               code and drawn noise; of a VAE or first stage all there is
    "inverted"       code and the images' own noise; of a model without codes that noise alone
    "base"           of a guided model: its base alone, without the code, on the same drawn noise
    "base_inverted"  of a guided model: its base alone on the noise that was inverted with the code
    """
    if isinstance(model.model, FirstStageModel) or not model.is_diffusion:
        return {"": model.reconstruct(pixels)}
    if not model.has_codes:
        return {"inverted": model.reconstruct(pixels, inverted=True, **options)}
    codes = model.encode(pixels)
    noise = model.invert(pixels, codes, **options)
    made = {"": model.decode(codes, seed=seed, **options), "inverted": model.decode(codes, noise, **options)}
    if isinstance(model.model, GuidedModel):
        made["base"] = model.unconditional(len(pixels), seed=seed, **options)
        made["base_inverted"] = model.unconditional(len(pixels), noise, **options)
    return made


def reconstruction_figures(pixels: Images, made: dict[str, Images], distance: FeatureDistance | None) -> dict[str, float]:
    """`mse`, `ssim` and, where a distance is at hand, `perceptual` of each kind of reconstruction, as `mse_inverted`."""
    truth, figures = to_model(pixels), {}
    for name, images in made.items():
        ending, found = f"_{name}" if name else "", to_model(images)
        figures[f"mse{ending}"] = mse(truth, found).mean().item()
        figures[f"ssim{ending}"] = ssim(truth, found).mean().item()
        if distance is not None:
            figures[f"perceptual{ending}"] = float(np.mean(_distances(distance, pixels, images)))
    return figures


def perceptual_distance() -> FeatureDistance | None:
    """The distance on the features of efficientnet-lite0; None where the extra `features` is not installed."""
    try:
        return FeatureDistance(load_efficientnet_lite0())
    except ImportError:
        return None


@torch.no_grad()
def _distances(distance: FeatureDistance, a: Images, b: Images) -> NDArray[np.float32]:
    parts = range(0, len(a), AT_ONCE)
    return np.concatenate([distance(to_model(a[i : i + AT_ONCE]), to_model(b[i : i + AT_ONCE])).numpy() for i in parts])

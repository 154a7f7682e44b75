"""How good a representation is: disentanglement, reconstruction and samples, beside a random encoder and PCA."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.config import check_ranges
from tts.image.datasets import ImageSet, to_model
from tts.image.stage_model import FirstStageModel
from tts.inference.image_model import ImageModel
from tts.metrics.attributes import tad
from tts.metrics.codes import pca_codes
from tts.metrics.disentanglement import disentanglement_report
from tts.metrics.images import frechet, mse, ssim
from tts.metrics.learners import Trees
from tts.metrics.partition import Split, partition
from tts.nets.image_encoder import ImageEncoder

BASELINE_UNITS = 10
FEATURES = 64  # of the random network that the Fréchet distance is measured on
CHUNK = 256  # images at once


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What is measured on how much. The defaults are the published protocol; `fast_settings` is for a first look."""

    codes: int = 15_000  # images whose codes are scored, two thirds to fit on
    images: int = 256  # reconstructed
    samples: int = 1000  # drawn, and as many real ones beside them
    trees: Trees = Trees.EXACT
    split: Split = Split.IID
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, "evaluation", "codes images samples", 2, 1e9)
        check_ranges(self, "evaluation", "seed", 0, 1e18)


def fast_settings(seed: int = 0) -> EvaluationSettings:
    """Small numbers and histogram trees: seconds, not to be compared with anything."""
    return EvaluationSettings(codes=1500, images=32, samples=64, trees=Trees.HISTOGRAM, seed=seed)


def evaluate_image_model(model: ImageModel, images: ImageSet, settings: EvaluationSettings, **options: Any) -> dict[str, Any]:
    """The figures of a model, of a random encoder and of PCA on the same images.

    Args:
        model: any.
        images: the data; a factor grid gives disentanglement scores, binary attributes TAD, no labels neither.
        settings: on how much.
        options: fields of `ImageSampling`, for reconstructions and samples.

    Returns:
        `systems`: name to figures by name (`dci_d`, `ssim`, …), and `protocol`, one line.
    """
    rng = np.random.default_rng(settings.seed)
    systems: dict[str, dict[str, float]] = {model.config.kind.value: {}}
    protocol = ""
    if model.has_codes:
        index = rng.permutation(len(images))[: settings.codes]
        codes = {
            model.config.kind.value: in_chunks(images, index, model.encode),
            "random encoder": random_codes(images, index, settings.seed),
            "PCA of pixels": pca_codes(images.images(index), BASELINE_UNITS),
        }
        for name, values in codes.items():
            figures, protocol = score_codes(values, images, index, settings)
            systems[name] = figures
    own = systems[model.config.kind.value]
    if isinstance(model.model, FirstStageModel) or (model.draws and model.has_codes):
        own |= reconstruction_figures(model, images, rng.integers(len(images), size=settings.images), settings.seed, options)
    if model.draws:
        own["frechet"] = sample_distance(model, images, rng.integers(len(images), size=settings.samples), settings, options)
    return {"systems": systems, "protocol": protocol}


def score_codes(
    codes: NDArray[Any], images: ImageSet, index: NDArray[np.int64], settings: EvaluationSettings
) -> tuple[dict[str, float], str]:
    """Figures by name of codes (n, N, d) or (n, N) of the images at `index`, and the protocol in one line."""
    labels = images.labels(index)
    if labels is None or codes.shape[1] < 2:
        return {}, ""
    if images.factors is None:
        found = tad(codes, labels)
        return {"tad": found.tad, "attributes": float(found.attrs)}, f"{len(codes)} codes"
    varied = [k for k, size in enumerate(images.factors.sizes) if size > 1]
    labels, sizes = labels[:, varied], [images.factors.sizes[k] for k in varied]
    n_train = 2 * len(codes) // 3
    parts = partition(labels, split=settings.split, n_train=n_train, n_test=len(codes) - n_train, seed=settings.seed)
    report = disentanglement_report(codes, labels, sizes, parts, trees=settings.trees, seed=settings.seed)
    return report.figures() | {"active_units": float(report.active)}, report.protocol()


def reconstruction_figures(
    model: ImageModel, images: ImageSet, index: NDArray[np.int64], seed: int, options: dict[str, Any]
) -> dict[str, float]:
    """`mse` and `ssim` of images and their reconstructions; `…_inverted` on their own noise, where there is noise."""
    pixels = images.images(index)
    truth, figures = to_model(pixels), {}
    for ending, inverted in (("", False), ("_inverted", True))[: 2 if model.is_diffusion else 1]:
        found = to_model(model.reconstruct(pixels, inverted=inverted, seed=seed, **options))
        figures[f"mse{ending}"] = mse(truth, found).mean().item()
        figures[f"ssim{ending}"] = ssim(truth, found).mean().item()
    return figures


def sample_distance(
    model: ImageModel, images: ImageSet, index: NDArray[np.int64], settings: EvaluationSettings, options: dict[str, Any]
) -> float:
    """Fréchet distance of samples from the images at `index`, on the features of a fixed random network."""
    samples = model.sample(len(index), seed=settings.seed, **options)
    return frechet(random_features(images.images(index)), random_features(samples)).value


def in_chunks(images: ImageSet, index: NDArray[np.int64], encode: Any) -> NDArray[Any]:
    """encode(images) of many images, a chunk at a time."""
    return np.concatenate([encode(images.images(index[i : i + CHUNK])) for i in range(0, len(index), CHUNK)])


def random_codes(images: ImageSet, index: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """Codes (n, 10) of an encoder as it was before training: what every method must beat."""
    network = _untrained(images.channels, images.size, BASELINE_UNITS, seed)
    return in_chunks(images, index, lambda pixels: _apply(network, to_model(pixels)))


def random_features(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features (n, 64) of images (n, C, H, W) by a fixed untrained network: a feature extractor that is always at hand."""
    network = _untrained(pixels.shape[1], pixels.shape[2], FEATURES, 0)
    chunks = range(0, len(pixels), CHUNK)
    return np.concatenate([_apply(network, to_model(pixels[i : i + CHUNK])) for i in chunks])


def _untrained(channels: int, size: int, outputs: int, seed: int) -> ImageEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # noqa: TID251  initial weights know no generator
        return ImageEncoder(channels, 32, size, outputs).eval()


@torch.no_grad()
def _apply(network: ImageEncoder, x: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = network(x).numpy()
    return found

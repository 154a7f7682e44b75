"""How good a representation is: disentanglement, reconstruction and samples, beside a random encoder, PCA and real images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.config import check_ranges
from tts.errors import ModelError
from tts.image.datasets import ImageSet, to_model
from tts.image.disdiff import FactorGuided
from tts.image.stage_model import FirstStageModel
from tts.inference.image_baselines import FeatureExtractor, FrechetFeatures, baseline_codes
from tts.inference.image_diffusion import ImageSampling
from tts.inference.image_model import ImageModel
from tts.inference.image_prior_fit import N_CODES, prior_figures
from tts.inference.image_reconstruction import perceptual_distance, reconstruction_figures, reconstructions
from tts.inference.image_runner import Images
from tts.inference.image_split import SEED, unseen
from tts.metrics.attributes import tad
from tts.metrics.codes import standardise
from tts.metrics.disentanglement import DisentanglementReport, disentanglement_report
from tts.metrics.images import frechet
from tts.metrics.learners import Trees
from tts.metrics.mutual_information import self_mig
from tts.metrics.partition import Split, partition
from tts.metrics.separation import latent_quality

OF_CODES = ("code_from", "code_to", "strength", "factors")  # options that a reader is told where they are not the default
COLOURS = ("hue", "colour", "color", "background")  # in the name of a factor
N_HITS = 1024  # images on which it is counted whether a factor's gradient moves its own unit most
REAL = "real images"
MIN_PROBED = 30  # images with attributes: of fewer a probe's parts say nothing


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What is measured on how much. The defaults are the published protocol; `fast_settings` is for a first look."""

    codes: int = 15_000  # images whose codes are scored, two thirds to fit on
    images: int = 256  # reconstructed
    samples: int = 1000  # drawn, and as many real ones beside them
    features: FrechetFeatures = FrechetFeatures.random  # of the Fréchet distance
    trees: Trees = Trees.EXACT
    split: Split = Split.IID
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, "evaluation", "codes images samples", 2, 1e9)
        check_ranges(self, "evaluation", "seed", 0, 1e18)


def fast_settings(seed: int = 0, split: Split = Split.IID) -> EvaluationSettings:
    """Small numbers and histogram trees: seconds, not to be compared with anything."""
    return EvaluationSettings(codes=1500, images=32, samples=64, trees=Trees.HISTOGRAM, split=split, seed=seed)


def evaluate_image_model(
    model: ImageModel, images: ImageSet, settings: EvaluationSettings, *, baselines: bool = True, **options: Any
) -> dict[str, Any]:
    """The figures of a model; beside its codes those of a random encoder and of PCA, beside its samples those of real images.

    With `Split.HELD_OUT` images are reconstructed, samples compared and codes scored that the model was trained without.

    Args:
        model: any.
        images: the data; a factor grid gives disentanglement scores, binary attributes TAD, no labels neither.
        settings: on how much.
        baselines: whether to score these, too.
        options: fields of `ImageSampling`, for reconstructions and samples.

    Returns:
        `systems`: name to figures by name (`dci_d`, `ssim`, …); `conditions`: what a reader must know to compare them, one
        phrase each; `protocol`: these in one line.

    Raises:
        ModelError: for `Split.HELD_OUT` of a model that was trained on all images, or features that are not installed.
        ValueError: if an option is out of range or not of this kind of model.
    """
    rng, share = np.random.default_rng(settings.seed), _held_out_share(model, settings)
    # what is missing or out of range is said now, for the scores of codes take up to an hour
    extractor = settings.features.extractor()
    if model.is_diffusion:
        model.invert(images.images(np.zeros(1, np.int64)), **options)
    name = model.config.kind.value
    systems: dict[str, dict[str, float]] = {name: {}}
    conditions: list[str] = []
    if model.has_codes:
        index = rng.permutation(len(images))[: settings.codes]
        pixels = images.images(index)
        systems[name], conditions = score_codes(model.encode(pixels), images, index, settings, share)
        if baselines:
            systems |= _baselines(pixels, images, index, settings, share)
        units = model.config
        if "dci_d" in systems[name] and units.unit_dim > 1:
            conditions.append(f"{name}: {units.n_units} units of {units.unit_dim} numbers, each reduced by PCA to one")
        systems[name] |= prior_figures(model.model, to_model(pixels[:N_CODES]), settings.seed)
        if isinstance(model.model, FactorGuided):
            systems[name]["factor_accuracy"] = _factor_accuracy(model, model.model, pixels[:N_HITS], settings.seed)
    if model.draws or isinstance(model.model, FirstStageModel):
        pixels = images.images(_drawn_index(rng, len(images), settings.images, share))
        distance = perceptual_distance()
        systems[name] |= reconstruction_figures(pixels, reconstructions(model, pixels, seed=settings.seed, **options), distance)
        missing = "no perceptual distance: efficientnet-lite0 is not installed (extra features)"
        perceptual = missing if distance is None else "perceptual distance on efficientnet-lite0, which is not LPIPS"
        conditions = [*conditions, _sizes(model, settings, options), perceptual]
    if model.draws:
        real = images.images(_drawn_index(rng, len(images), settings.samples, share))
        systems[name]["frechet"] = sample_distance(model, real, settings.seed, options, extractor)
        if model.has_own_prior and model.loaded.prior is not None:
            systems[name]["frechet_own"] = sample_distance(model, real, settings.seed, options | {"own_prior": True}, extractor)
        elif model.has_own_prior:
            systems[name]["frechet_own"] = systems[name]["frechet"]
        if baselines:
            systems[REAL] = real_figures(images, settings, extractor, share)
        drawn = "of codes by the latent prior where one was trained" if model.has_codes else "of no codes"
        conditions = [*conditions, f"Fréchet distance on features of {settings.features.described}, {drawn}"]
    return {"systems": systems, "conditions": conditions, "protocol": "; ".join(conditions)}


def evaluate_baselines(images: ImageSet, settings: EvaluationSettings) -> dict[str, dict[str, float]]:
    """Name to figures of a random encoder, of PCA and of real images, as `evaluate_image_model` has them for these settings."""
    index = np.random.default_rng(settings.seed).permutation(len(images))[: settings.codes]
    systems = _baselines(images.images(index), images, index, settings, 0.0)
    return systems | {REAL: real_figures(images, settings, settings.features.extractor())}


def real_figures(
    images: ImageSet, settings: EvaluationSettings, features: FeatureExtractor, share: float = 0.0
) -> dict[str, float]:
    """The Fréchet distance of two draws of as many real images as there are samples: no samples can be expected below it."""
    rng = np.random.default_rng((settings.seed, 1))
    halves = [features(images.images(_drawn_index(rng, len(images), settings.samples, share))) for _ in range(2)]
    return {"frechet": frechet(*halves).value}


def score_codes(
    codes: NDArray[Any], images: ImageSet, index: NDArray[np.int64], settings: EvaluationSettings, share: float = 0.0
) -> tuple[dict[str, float], list[str]]:
    """Figures by name of codes (n, N, d) or (n, N) of the images at `index`, and their conditions.

    With `Split.HELD_OUT` and `share` of the images held out, classifiers are fitted on codes of seen images and every score is
    read on those of unseen ones. Where the ground truth is not known, what can be told of units and attributes without it.
    """
    labels, held = images.labels(index), settings.split is Split.HELD_OUT
    if codes.shape[1] < 2:
        return {}, []
    if labels is None or images.factors is None:
        rows = unseen(index, share) if held else np.full(len(index), True)
        seen = ", none of them seen in training" if held else ""
        return _without_factors(codes[rows], None if labels is None else labels[rows], settings.seed), [
            f"{rows.sum()} codes{seen}"
        ]
    varied = [k for k, size in enumerate(images.factors.sizes) if size > 1]
    labels, sizes = labels[:, varied], [images.factors.sizes[k] for k in varied]
    n_train = 2 * len(codes) // 3
    numbers = {"n_train": n_train, "n_test": len(codes) - n_train}
    if held:
        parts = partition(index[:, None], split=settings.split, share=share, seed=SEED, **numbers)
    else:
        parts = partition(labels, split=settings.split, seed=settings.seed, **numbers)
    report = disentanglement_report(codes, labels, sizes, parts, trees=settings.trees, seed=settings.seed)
    names = [images.factors.names[k] for k in varied]
    return report.figures() | by_factor(report, names) | {"active_units": float(report.active)}, [report.conditions()]


def by_factor(report: DisentanglementReport, names: Sequence[str]) -> dict[str, float]:
    """Informativeness of each factor, `dci_i/NAME`, and means of it and of MIG over colours and the rest, where there are both.

    Colours fill areas and are learnt long before shapes and places, which a mean over all factors hides.
    """
    accuracies, gaps = np.array(report.dci.accuracies), np.array(report.mig.per_factor)
    figures = {f"dci_i/{name}": float(value) for name, value in zip(names, accuracies, strict=True)}
    colour = np.array([any(word in name for word in COLOURS) for name in names])
    if not colour.any() or colour.all():
        return figures
    for part, chosen in (("colour", colour), ("rest", ~colour)):
        figures |= {f"dci_i_{part}": float(accuracies[chosen].mean()), f"mig_{part}": float(gaps[chosen].mean())}
    return figures


def _without_factors(codes: NDArray[Any], labels: NDArray[np.int64] | None, seed: int) -> dict[str, float]:
    """Active units and self-MIG; with attributes (n, K) also TAD, and the area under the ROC curve of those that vary."""
    figures = {"active_units": float(standardise(codes).active.sum()), "self_mig": self_mig(codes, seed=seed).mean}
    if labels is None:
        return figures
    found = tad(codes, labels)
    figures |= {"tad": found.tad, "attributes": float(found.attrs)}
    if len(codes) < MIN_PROBED:
        return figures
    parts = partition(labels, seed=seed)
    varied = [k for k, y in enumerate(labels.T) if min(len(np.unique(y[rows])) for rows in (parts.train, parts.test)) > 1]
    if varied:
        figures["probe_auroc"] = latent_quality(codes, labels[:, varied], parts).auroc
    return figures


def sample_distance(model: ImageModel, real: Images, seed: int, options: dict[str, Any], features: FeatureExtractor) -> float:
    """Fréchet distance of as many samples as there are real images, on features of any kind."""
    return frechet(features(real), features(model.sample(len(real), seed=seed, **options))).value


def _factor_accuracy(model: ImageModel, network: FactorGuided, pixels: Images, seed: int) -> float:
    """`FactorGuided.factor_accuracy` over all images, a batch at a time."""
    generator = torch.Generator().manual_seed(seed)

    def of_each(x: Tensor) -> Tensor:
        return x.new_full((len(x),), network.factor_accuracy(x, generator))

    return float(model.batches(of_each, model.tensor(pixels)).mean())


def _baselines(
    pixels: Images, images: ImageSet, index: NDArray[np.int64], settings: EvaluationSettings, share: float
) -> dict[str, dict[str, float]]:
    codes = baseline_codes(pixels, settings.seed)
    return {name: score_codes(values, images, index, settings, share)[0] for name, values in codes.items()}


def _held_out_share(model: ImageModel, settings: EvaluationSettings) -> float:
    share = model.loaded.trained.held_out
    if settings.split is Split.HELD_OUT and not share:
        raise ModelError(
            "the model was trained on all images, so none are held out. Train it with held_out=0.2, or give another split."
        )
    return share if settings.split is Split.HELD_OUT else 0.0


def _drawn_index(rng: np.random.Generator, total: int, n: int, share: float) -> NDArray[np.int64]:
    """n indices below `total`, drawn with replacement; of what is held out, where a share is."""
    if not share:
        return rng.integers(total, size=n)
    every = np.arange(total)
    return rng.choice(every[unseen(every, share)], size=n)


def _sizes(model: ImageModel, settings: EvaluationSettings, options: dict[str, Any]) -> str:
    """How many images are made, and how."""
    made = f"{settings.images} images reconstructed" + (f" and {settings.samples} drawn" if model.draws else "")
    if not model.is_diffusion:
        return made
    sampling = ImageSampling(**options)
    told = [f"{name} {getattr(sampling, name)}" for name in OF_CODES if getattr(sampling, name) != getattr(ImageSampling, name)]
    return ", ".join([f"{made} by {sampling.steps} steps of {sampling.sampler} on the {sampling.grid} grid", *told])

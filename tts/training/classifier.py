"""Training of a classifier of noisy images, and how well it tells each attribute at each time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from tts.config import check_ranges
from tts.diffusion import TimeSampler, add_noise, expand_like
from tts.errors import ConfigError, DataError
from tts.image.datasets import ImageSet, labels_of, to_model
from tts.image.guidance.classifier import ClassifierConfig, HeadConfig, HeadKind, NoisyClassifier
from tts.image.model import DiffusionModelBase
from tts.training.small import split_index, step_on

MIN_RESIDUAL = 1e-6  # variance below which a value is as good as known


@dataclass(frozen=True, kw_only=True)
class ClassifierTraining:
    """How a classifier is trained; it is small, so a run is minutes and begins anew when it was stopped."""

    steps: int = 6000
    batch_size: int = 64
    n_held_out: int = 1000  # images never trained on, by which accuracy and residuals are measured
    lr: float = 2e-3  # falls to 0 linearly
    weight_decay: float = 0.05
    clip: float = 1.0  # norm of the gradient
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, "classifier training", "steps batch_size n_held_out", 1, 1e9)
        check_ranges(self, "classifier training", "lr weight_decay", 0, 1)
        check_ranges(self, "classifier training", "clip", 1e-6, 1e6)
        check_ranges(self, "classifier training", "seed", 0, 1e18)


def classifier_config(model: DiffusionModelBase, images: ImageSet, values: tuple[str, ...] = ()) -> ClassifierConfig:
    """The configuration of a classifier of the states of a model, with a head for each factor of the images.

    Args:
        model: whose size and schedule it takes.
        images: whose factors it tells.
        values: names of the factors that are numbers in order, not categories.

    Raises:
        ConfigError: if a name is no factor.
        DataError: if the images have no known factors.
    """
    if images.factors is None:
        raise DataError(f"{images.name}: has no known factors to classify. Take a set that has.")
    unknown = [name for name in values if name not in images.factors.names]
    if unknown:
        raise ConfigError(f"values: found {', '.join(unknown)}, expected some of {', '.join(images.factors.names)}.")
    heads = tuple(
        HeadConfig(name=name, size=size, kind=HeadKind.value if name in values else HeadKind.category)
        for name, size in zip(images.factors.names, images.factors.sizes, strict=True)
        if size > 1
    )
    config = model.config
    return ClassifierConfig(channels=config.channels, size=config.size, diffusion=config.diffusion, heads=heads)


def train_classifier(
    settings: ClassifierTraining, config: ClassifierConfig, images: ImageSet, device: torch.device
) -> tuple[NoisyClassifier, Tensor]:
    """A classifier trained on states at times flat in the angle of noise, and its `skill_by_time` on images held out.

    Uniform times of a schedule that is shifted towards noise are nearly all of images that nothing can be told from.

    Its residuals are measured on the same held-out images. A function of the settings' seed.

    Raises:
        DataError: if the images do not have the attributes of the heads, or are too few to hold some out.
        ModelError: if a weight or loss is not finite.
    """
    labels_of(images, np.zeros(1, dtype=np.int64), [head.name for head in config.heads])  # are they there at all?
    generator = torch.Generator().manual_seed(settings.seed)
    train, held_out = split_index(images, settings)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)  # noqa: TID251  initial weights and dropout know no generator
        model = NoisyClassifier(config).to(device)
        _fit(model, settings, lambda rows: _read(images, train[rows], config, device), len(train), generator)
    model.eval().requires_grad_(False)
    skill, misses = _measure(model, _batches(images, held_out, config, settings.batch_size, device), generator)
    model.residual.copy_(misses.clamp(min=MIN_RESIDUAL))
    return model, skill


def _fit(
    model: NoisyClassifier,
    settings: ClassifierTraining,
    read: Callable[[NDArray[np.int64]], tuple[Tensor, Tensor]],
    count: int,
    generator: torch.Generator,
) -> None:
    """The steps: images and labels come from `read`, by their numbers below `count`."""
    times = TimeSampler(model.schedule, "angle", model.config.diffusion.t_min)
    optimizer = torch.optim.AdamW(model.parameters(), settings.lr, weight_decay=settings.weight_decay)
    for step in tqdm(range(settings.steps), desc="classifier", leave=False):
        optimizer.param_groups[0]["lr"] = settings.lr * (1 - step / settings.steps)
        x0, labels = read(torch.randint(count, (settings.batch_size,), generator=generator).numpy())
        t = times.draw(len(x0), generator)[0].to(x0.device)
        loss = head_losses(model, noisy_state(model, x0, t, generator), t, labels).mean()
        step_on(loss, model, optimizer, settings.clip, f"classifier, step {step}")


def noisy_state(model: NoisyClassifier, x0: Tensor, t: Tensor, generator: torch.Generator) -> Tensor:
    """x_t = alpha x0 + sigma eps on the classifier's schedule, the shape of x0."""
    eps = torch.randn(x0.shape, generator=generator).to(x0)
    alpha, sigma = (expand_like(c(t), x0).to(x0.dtype) for c in (model.schedule.alpha, model.schedule.sigma))
    return add_noise(x0, eps, alpha, sigma)


def head_losses(model: NoisyClassifier, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
    """The loss of each head over what knowing nothing costs, (heads,): cross entropy / ln size, or 12 squared error.

    Args:
        model: the classifier.
        x: states, (B, C, H, W).
        t: their times, (B,).
        labels: of its heads, (B, heads) int64.
    """
    losses = []
    for head, output, label in zip(model.config.heads, model(x, t), labels.T, strict=True):
        if head.kind is HeadKind.value:
            losses.append(12 * F.mse_loss(output[:, 0], label / (head.size - 1)))
        else:
            losses.append(F.cross_entropy(output, label) / np.log(head.size))
    return torch.stack(losses)


@torch.no_grad()
def skill_by_time(model: NoisyClassifier, images: ImageSet, index: NDArray[np.int64], generator: torch.Generator) -> Tensor:
    """How well each head tells its attribute in each tenth (1 / n_bins) of time, (n_bins, heads).

    Accuracy of categories, 1 - residual / variance of values. It must fall to chance, 1 / size and 0, as t goes to 1; if it
    does not, something but the image gives the label away.
    """
    device = model.residual.device
    batches = _batches(images, index, model.config, 64, device)
    return _measure(model, batches, generator)[0]


@torch.no_grad()
def _measure(
    model: NoisyClassifier, batches: Iterator[tuple[Tensor, Tensor]], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`skill_by_time` and the residual variances, both (n_bins, heads): every image is seen once in every bin."""
    n_bins, heads = model.config.n_bins, model.config.heads
    hits, misses = torch.zeros(n_bins, len(heads)), torch.zeros(n_bins, len(heads))
    targets, count = [], 0
    for x0, labels in batches:
        count += len(x0)
        targets.append(labels.cpu())
        for b in range(n_bins):
            t = ((b + torch.rand(len(x0), generator=generator)) / n_bins).clamp(min=model.config.diffusion.t_min)
            outputs = model(noisy_state(model, x0, t.to(x0.device), generator), t.to(x0.device))
            for k, (head, output, label) in enumerate(zip(heads, outputs, labels.T, strict=True)):
                if head.kind is HeadKind.value:
                    misses[b, k] += (output[:, 0] - label / (head.size - 1)).square().sum().cpu()
                else:
                    hits[b, k] += (output.argmax(1) == label).sum().cpu()
    spread = torch.cat(targets).double().var(0, unbiased=False).float()
    skill, residual = hits / count, misses / count
    for k, head in enumerate(heads):
        if head.kind is HeadKind.value:
            skill[:, k] = 1 - residual[:, k] / (spread[k] / (head.size - 1) ** 2).clamp(min=MIN_RESIDUAL)
    return skill, residual


def _read(images: ImageSet, rows: NDArray[np.int64], config: ClassifierConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """The images at these rows, and the labels of each head."""
    labels = labels_of(images, rows, [head.name for head in config.heads])
    return to_model(images.images(rows)).to(device), torch.from_numpy(labels).to(device)


def _batches(
    images: ImageSet, index: NDArray[np.int64], config: ClassifierConfig, size: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(index), size):
        yield _read(images, index[start : start + size], config, device)

"""Training of a reader of factors, how well it reads each, and which of them may be read out at all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from tts.config import check_ranges
from tts.errors import ModelError
from tts.image.datasets import ImageSet, labels_of, to_model
from tts.image.factor_regressor import FactorHead, FactorKind, FactorRegressor, RegressorConfig, read_images
from tts.training.small import split_index, step_on

CLIP = 1.0  # norm of the gradient
MIN_SKILL = 0.9  # below it what a factor's readout says of an edit says as much of the reader


@dataclass(frozen=True, kw_only=True)
class RegressorTraining:
    """How a reader is trained; it is small, so a run is minutes and begins anew when it was stopped."""

    steps: int = 6000
    batch_size: int = 64
    n_held_out: int = 4000  # images never trained on
    lr: float = 2e-3  # falls to 0 linearly
    weight_decay: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, "regressor training", "steps batch_size n_held_out", 1, 1e9)
        check_ranges(self, "regressor training", "lr weight_decay", 0, 1)
        check_ranges(self, "regressor training", "seed", 0, 1e18)


def train_regressor(settings: RegressorTraining, config: RegressorConfig, images: ImageSet) -> FactorRegressor:
    """A reader trained on the images; a function of the settings' seed.

    Raises:
        DataError: if the images have no such labels, or are too few.
        ModelError: if the training diverges.
    """
    train, _ = split_index(images, settings)
    generator = torch.Generator().manual_seed(settings.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)  # noqa: TID251  initial weights know no generator
        model = FactorRegressor(config)
    optimizer = torch.optim.AdamW(model.parameters(), settings.lr, weight_decay=settings.weight_decay)
    for step in tqdm(range(settings.steps), desc="factor regressor", disable=None):
        optimizer.param_groups[0]["lr"] = settings.lr * (1 - step / settings.steps)
        rows = train[torch.randint(len(train), (settings.batch_size,), generator=generator).numpy()]
        x, labels = to_model(images.images(rows)), head_labels(config, images, rows)
        outputs = zip(config.heads, model.outputs(x), labels.T, strict=True)
        loss = torch.stack([_loss(head, output, label) for head, output, label in outputs]).mean()
        step_on(loss, model, optimizer, CLIP, f"factor regressor, step {step}")
    return model.eval().requires_grad_(False)


def head_labels(config: RegressorConfig, images: ImageSet, rows: NDArray[np.int64]) -> Tensor:
    """The labels (n, heads) int64 of the images at these rows.

    Raises:
        DataError: if the images do not have them.
    """
    return torch.from_numpy(labels_of(images, rows, [head.name for head in config.heads]))


def _loss(head: FactorHead, output: Tensor, label: Tensor) -> Tensor:
    """Of one head, in units of what knowing nothing costs."""
    if head.kind is FactorKind.category:
        return F.cross_entropy(output, label) / np.log(head.size)
    spread = 1 / 12 if head.kind is FactorKind.value else 1 / 2
    return F.mse_loss(output, head.targets(label)) / spread


@torch.no_grad()
def reader_skill(regressor: FactorRegressor, images: ImageSet, rows: NDArray[np.int64]) -> dict[str, float]:
    """How well each factor is read from the images at these rows: accuracy of a category, R^2 of the others' columns."""
    config, labels = regressor.config, head_labels(regressor.config, images, rows)
    readouts = torch.from_numpy(read_images(regressor, to_model(images.images(rows)))[1])
    skill = {}
    for k, head in enumerate(config.heads):
        read = readouts[:, config.columns_of(head.name)]
        if head.kind is FactorKind.category:
            skill[head.name] = (read.argmax(1) == labels[:, k]).double().mean().item()
        else:
            target = head.targets(labels[:, k])
            # R^2 = 1 - mean square error / variance, over all columns of the factor
            skill[head.name] = 1 - ((read - target).square().sum() / (target - target.mean(0)).square().sum()).item()
    return skill


def readable(skill: Mapping[str, float], wanted: Iterable[str] = (), least: float = MIN_SKILL) -> tuple[str, ...]:
    """The factors that may be read out, those of a skill of at least `least`.

    Raises:
        ModelError: if a wanted factor is not among them: a readout would measure the reader, not the image.
    """
    refused = [f"{name} (skill {skill[name]:.3f})" for name in wanted if not skill[name] >= least]
    if refused:
        raise ModelError(
            f"the factor regressor may not read out {', '.join(refused)}: expected a skill of at least {least:g}. "
            "Train it longer."
        )
    return tuple(name for name, value in skill.items() if value >= least)

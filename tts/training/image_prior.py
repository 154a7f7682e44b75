"""Training of a latent prior: a diffusion model of the codes of a finished image model, put into its folder."""

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tts.config import check_ranges
from tts.device import resolve_device
from tts.errors import ModelError
from tts.image.datasets import open_images
from tts.image.latent_prior import LatentPrior, LatentPriorConfig
from tts.inference.image_card import image_card
from tts.inference.image_folder import COMMAND, load_image_folder, save_image_folder
from tts.inference.image_model import ImageModel
from tts.inference.image_split import seen_images
from tts.inference.whole_folder import find_folder
from tts.training.image_callbacks import spread_index

logger = logging.getLogger(__name__)

CHUNK = 256  # images at once


@dataclass(frozen=True, kw_only=True)
class PriorTraining:
    """How a latent prior is trained; it is small, so a run is minutes and begins anew when it was stopped."""

    steps: int = 3000
    batch_size: int = 256
    n_codes: int = 20000  # images whose codes are learnt from
    lr: float = 1e-3
    width: int = 128
    layers: int = 5
    ema_decay: float = 0.999
    threads: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, "prior training", "steps batch_size n_codes threads", 1, 1e9)
        check_ranges(self, "prior training", "lr ema_decay", 0, 1)
        check_ranges(self, "prior training", "seed", 0, 1e18)


def train_latent_prior(config: PriorTraining, folder: Path, *, device: str = "auto") -> float:
    """Train a prior of the codes of the model in `folder` and put it there; the mean loss of the last tenth of the steps.

    Raises:
        ModelError: if the folder is not a whole model folder, or its model has no codes.
        DataError: if the data it was trained on cannot be read.
    """
    torch.set_num_threads(config.threads)
    folder = find_folder(folder, COMMAND)
    loaded, at = load_image_folder(folder), resolve_device(device)
    if loaded.codes is None:
        raise ModelError(f"{folder}: a model of kind {loaded.model.config.kind.value} has no codes. Give another model.")
    images = seen_images(open_images(loaded.trained.data, size=loaded.model.config.size), loaded.trained.held_out)
    index, encode = spread_index(images, config.n_codes), ImageModel(loaded, at).encode
    codes = torch.cat([torch.from_numpy(encode(images.images(index[i : i + CHUNK]))) for i in range(0, len(index), CHUNK)])
    prior, loss = fit_prior(config, codes, at)
    loaded = dataclasses.replace(loaded, model=loaded.model.cpu(), prior=prior.cpu().eval())
    save_image_folder(folder, loaded, image_card(f"{loaded.model.config.kind.value} on {images.name}", loaded))
    return loss


def fit_prior(config: PriorTraining, codes: Tensor, device: torch.device) -> tuple[LatentPrior, float]:
    """A prior trained on codes (n, N, d), with averaged weights, and the mean loss of the last tenth of its steps."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)  # noqa: TID251  initial weights know no generator
        prior = LatentPrior(
            LatentPriorConfig(n_units=codes.shape[1], unit_dim=codes.shape[2], width=config.width, layers=config.layers)
        )
    prior.measure(codes)
    prior, generator = prior.to(device), torch.Generator().manual_seed(config.seed)
    average = {name: value.detach().clone() for name, value in prior.named_parameters()}
    optimizer = torch.optim.AdamW(prior.parameters(), config.lr)
    losses = []
    for step in range(config.steps):
        rows = torch.randint(len(codes), (config.batch_size,), generator=generator)
        loss = torch.stack(list(prior.losses(codes[rows].to(device), generator).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate = 1 - min(config.ema_decay, (1 + step) / (10 + step))
        for name, value in prior.named_parameters():
            average[name].lerp_(value.detach(), rate)
        losses.append(loss.item())
    if not all(torch.isfinite(value).all() for value in average.values()):
        raise ModelError("the latent prior diverged: a weight is not finite. Lower lr.")
    prior.load_state_dict(average, strict=False)
    last = losses[-max(1, len(losses) // 10) :]
    return prior, sum(last) / len(last)

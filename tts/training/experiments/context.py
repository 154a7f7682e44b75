"""What the experiments share: the images, the reader of factors, the base models, samples, and parts that are made once."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tts.data.files import read_json, write_json
from tts.diffusion import sample
from tts.diffusion.samplers import Denoiser, Noise
from tts.image.base import BaseModel
from tts.image.datasets import labels_of, open_images, to_model
from tts.image.factor_regressor import FactorRegressor, read_images, regressor_config
from tts.inference.image_folder import load_image_folder
from tts.inference.whole_folder import WEIGHTS, build_of_weights, save_weights
from tts.metrics.images import frechet
from tts.training.experiments.sizes import Sizes
from tts.training.factor_regressor import RegressorTraining, readable, reader_skill, train_regressor
from tts.training.image_config import load_image_config
from tts.training.image_parts import NONE, Parts
from tts.training.image_run import train_image_model
from tts.training.small import split_index

T = TypeVar("T", bound=nn.Module)

CHUNK = 250  # states in memory at once
FOUND = "found.json"


class Context:
    """One folder of experiments.

    Args:
        out: gets models/, parts/ and rows/.
        sizes: how much is trained and measured.
        threads: of trainings.
    """

    def __init__(self, out: Path, sizes: Sizes, threads: int = 2) -> None:
        self.out, self.sizes, self.threads = out, sizes, threads
        self.images = open_images(sizes.data, size=sizes.size)
        self._models: dict[str, BaseModel] = {}
        self._real: dict[tuple[int, tuple[str, int] | None], NDArray[np.float32]] = {}

    def model(self, name: str, seed: int, preset: str, *overrides: str, parts: Parts = NONE) -> BaseModel:
        """The model of a run in models/NAME-seedN; a run that was killed goes on, one that is done is not made again."""
        key = f"{name}-seed{seed}"
        if key not in self._models:
            s = self.sizes
            # pictures are drawn once, at the end
            settings = [
                f"data={s.data}",
                f"size={s.size}",
                f"threads={self.threads}",
                f"batch_size={s.base_batch}",
                f"seed={seed}",
            ]
            config = load_image_config(preset, [*settings, "device=cpu", "figures_every=1000000", *overrides])
            with torch.enable_grad():
                folder = train_image_model(config, self.out / "models" / key, parts=parts)
            self._models[key] = cast(BaseModel, load_image_folder(folder).model)
        return self._models[key]

    def base(self, seed: int) -> BaseModel:
        """The unconditional model that all experiments of a seed stand on."""
        return self.model("base", seed, "ddpm_mini", self.width, f"steps={self.sizes.base_steps}")

    @property
    def width(self) -> str:
        """The setting of the U-Net of every model that is trained anew."""
        return f"model.unet.base={self.sizes.base_width}"

    def base_folder(self, seed: int) -> Path:
        """Where `base` is, trained if it was not."""
        self.base(seed)
        return self.out / "models" / f"base-seed{seed}"

    def part(self, name: str, build: Callable[[], T], make: Callable[[], tuple[T, dict[str, Any]]]) -> tuple[T, dict[str, Any]]:
        """A small network and what was found while it was made, from parts/NAME if it is there.

        Args:
            name: of the part.
            build: the untrained network.
            make: the trained network, and plain values.
        """
        folder = self.out / "parts" / name
        if not (folder / FOUND).exists():
            with torch.enable_grad():
                network, found = make()
            folder.mkdir(parents=True, exist_ok=True)
            save_weights(folder / WEIGHTS, network)
            write_json(folder / FOUND, found)  # last: with it the part is whole
        return build_of_weights(build, folder / WEIGHTS).requires_grad_(False), read_json(folder / FOUND)

    def value(self, name: str, make: Callable[[], float]) -> float:
        """A number that trainings depend on, from parts/NAME.json if it is there: a run that goes on has the very same."""
        path = self.out / "parts" / f"{name}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, make())
        return float(read_json(path))

    @property
    def reading(self) -> RegressorTraining:
        """The training of the reader; one serves all seeds, for it is the measure."""
        return RegressorTraining(steps=self.sizes.regressor_steps)

    @cached_property
    def _reader(self) -> tuple[FactorRegressor, dict[str, float]]:
        config = regressor_config(self.images)

        def make() -> tuple[FactorRegressor, dict[str, Any]]:
            regressor = train_regressor(self.reading, config, self.images)
            return regressor, reader_skill(regressor, self.images, self.held_out(self.reading.n_held_out))

        return self.part("regressor", lambda: FactorRegressor(config), make)

    @property
    def regressor(self) -> FactorRegressor:
        """E: its features measure distances, its outputs read factors."""
        return self._reader[0]

    @property
    def skill(self) -> dict[str, float]:
        """Accuracy or R^2 of each factor on images held out."""
        return self._reader[1]

    def columns(self, *wanted: str) -> dict[str, list[int]]:
        """The columns of every factor that may be read out.

        Raises:
            ModelError: if a wanted one may not.
        """
        names = readable(self.skill, wanted, self.sizes.min_skill)
        return {name: self.regressor.config.columns_of(name) for name in names}

    def held_out(self, n: int, start: int = 0) -> NDArray[np.int64]:
        """Indices of n images that the reader was not trained on."""
        return split_index(self.images, self.reading)[1][start : start + n]

    def pictures(self, index: NDArray[np.int64]) -> Tensor:
        """The images (n, C, H, W) at these indices, in [-1, 1]."""
        return to_model(self.images.images(index))

    @cached_property
    def deviations(self) -> NDArray[np.float64]:
        """The standard deviation of every readout over real images, (columns,): the unit of a shift."""
        readouts = read_images(self.regressor, self.pictures(self.held_out(self.reading.n_held_out)))[1]
        return readouts.astype(np.float64).std(axis=0)

    def readouts(self, x: Tensor) -> NDArray[np.float64]:
        """The readouts (n, columns) of images, in deviations of real ones."""
        return read_images(self.regressor, x)[1] / self.deviations

    def fd(self, x: Tensor, keep: tuple[str, int] | None = None) -> float:
        """Fréchet distance of images (n, C, H, W) to as many real ones that were held out, on the features of E.

        With `keep` = (factor, label) the real ones are those that have this label.
        """
        key = (len(x), keep)
        if key not in self._real:
            index = self.held_out(self.reading.n_held_out)
            if keep is not None:
                index = index[self.labels(index, keep[0]) == keep[1]]
            self._real[key] = read_images(self.regressor, self.pictures(index[: len(x)]))[0]
        return frechet(self._real[key], read_images(self.regressor, x)[0]).value

    def fd_floor(self, n: int) -> float:
        """`fd` of n real images that the reader was trained on: the least that n samples can have."""
        return self.fd(self.pictures(split_index(self.images, self.reading)[0][:n]))

    def labels(self, index: NDArray[np.int64], factor: str) -> NDArray[np.int64]:
        """The labels (n,) of one factor of the images at these indices.

        Raises:
            DataError: if the images do not have it.
        """
        return labels_of(self.images, index, [factor])[:, 0]

    def noise(self, n: int, seed: int, size: int | None = None) -> Tensor:
        """States at t = 1, (n, C, H, W), a function of the seed alone: what makes two models a pair."""
        side = size or self.sizes.size
        return torch.randn(n, self.images.channels, side, side, generator=torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def ddim(self, denoiser: Denoiser, model: BaseModel, u: Tensor, steps: int | None = None) -> Tensor:
        """Images from states u at t = 1 by DDIM, in chunks."""
        times = model.grid(steps or self.sizes.sampling_steps)
        return torch.cat([sample(denoiser, part, model.schedule, times, sampler="ddim") for part in u.split(CHUNK)])


def drawn(seed: int) -> Noise:
    """The noise of a stochastic sampler: a stream of its own for each seed."""
    generator = torch.Generator().manual_seed(seed)
    return lambda u: torch.randn(u.shape, generator=generator).to(u)

"""A trained image model on a device: what it takes and has, and how its networks are run a batch at a time."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from tqdm import tqdm

from tts.errors import ModelError
from tts.image.datasets import to_model
from tts.image.model import DiffusionModelBase
from tts.inference.image_codes import CodeStatistics
from tts.inference.image_folder import LoadedImageModel

Images = NDArray[np.uint8]  # (n, C, H, W)
Codes = NDArray[np.float32]  # (n, N, d): N units of d numbers each
Noise = NDArray[np.float32]  # the state at t = 1, (n, …)

BAR_DELAY = 2  # seconds of work before a progress bar is shown


class ImageRunner:
    """An image model on a device, a batch at a time."""

    def __init__(self, loaded: LoadedImageModel, device: torch.device, batch_size: int = 64) -> None:
        self.loaded, self.device, self.batch_size = loaded, device, batch_size
        self.model = loaded.model.to(device)
        self.config = loaded.model.config

    @property
    def codes(self) -> CodeStatistics:
        """What the codes of the training data are like.

        Raises:
            ModelError: if this model has no codes.
        """
        if self.loaded.codes is None:
            raise ModelError(f"a model of kind {self.config.kind.value} has no statistics of codes. Give another model.")
        return self.loaded.codes

    @property
    def has_codes(self) -> bool:
        """Whether images have codes: all models but an unconditional one."""
        return self.config.n_units > 0

    def check_codes(self) -> None:
        """Raises ModelError if images have none."""
        if not self.has_codes:
            raise ModelError(f"a model of kind {self.config.kind.value} has no codes. Give another model.")

    @property
    def is_diffusion(self) -> bool:
        """Whether there is noise to start from, and sampling options; a VAE has neither."""
        return isinstance(self.model, DiffusionModelBase)

    @property
    def draws(self) -> bool:
        """Whether images come out of it: an image-text encoder draws none, a first stage only those it is given."""
        return self.is_diffusion or hasattr(self.model, "decode")

    def _code_tensor(self, codes: ArrayLike) -> Tensor:
        z = torch.from_numpy(np.asarray(codes, dtype=np.float32))
        expected = (self.config.n_units, self.config.unit_dim)
        if z.shape[1:] != expected:
            raise ValueError(f"codes must be (n, {expected[0]}, {expected[1]}), found {tuple(z.shape)}.")
        return z

    def _noise(self, n: int, seed: int) -> Tensor:
        """Standard normal noise; that of image i is a function of (seed, i)."""
        seeds = np.random.SeedSequence(seed).generate_state(n, np.uint64)
        draws = [torch.randn(self._state_shape(), generator=torch.Generator().manual_seed(int(s >> 1))) for s in seeds]
        return torch.stack(draws)

    def _state_shape(self) -> tuple[int, ...]:
        blank = torch.zeros(1, self.config.channels, self.config.size, self.config.size, device=self.device)
        with torch.no_grad():
            return tuple(self.diffusion.state(blank).shape[1:])

    @property
    def diffusion(self) -> DiffusionModelBase:
        """The model, where it is one of diffusion.

        Raises:
            ModelError: for another.
        """
        if not isinstance(self.model, DiffusionModelBase):
            raise ModelError(f"a model of kind {self.config.kind.value} has no noise to invert. Give a diffusion model.")
        return self.model

    def tensor(self, images: Images) -> Tensor:
        """The images as the model sees them, (n, C, H, W) in [-1, 1], on the CPU.

        Raises:
            ModelError: if they are of another shape or type than the model takes.
        """
        shape = (self.config.channels, self.config.size, self.config.size)
        if images.dtype != np.uint8 or images.shape[1:] != shape:
            raise ModelError(
                f"images are {images.dtype} {images.shape[1:]}, the model takes uint8 {shape} (channels, height, width). "
                "Resize them, or give another model."
            )
        return to_model(images)

    @torch.no_grad()
    def batches(self, function: Any, *inputs: Tensor | None) -> NDArray[np.float32]:
        """function over batches of the inputs (n, …), in float32 on the CPU; it is not given those that are None."""
        given = list(zip(*(tensor.split(self.batch_size) for tensor in inputs if tensor is not None), strict=True))
        bar = tqdm(given, unit="batch", delay=BAR_DELAY, leave=False, disable=None)
        return torch.cat([function(*(part.to(self.device) for part in parts)).float().cpu() for parts in bar]).numpy()

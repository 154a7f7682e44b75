"""From images to their noise, and from noise to images again."""

import torch
from torch import Tensor

from tts.diffusion import invert, invert_noises, sample
from tts.errors import ModelError
from tts.image.datasets import to_uint8
from tts.image.model import DiffusionModelBase
from tts.inference.edit_folder import model_fingerprint
from tts.inference.image_coder import ImageCoder
from tts.inference.image_diffusion import FIXED_POINT_ITERATIONS, row_noise
from tts.inference.image_inversion import Inversion, InversionConfig, InversionKind, pack_path, unpack_path
from tts.inference.image_runner import Images

EDIT_ETA = 1.0  # of the steps that edit-friendly noises drive


class ImageInverter(ImageCoder):
    """An image model on a device that tells the noise of images; see `ImageCoder`."""

    def inversion(
        self,
        images: Images,
        *,
        kind: InversionKind = InversionKind.ddim,
        steps: int = 50,
        fixed_points: int = FIXED_POINT_ITERATIONS,
        seed: int = 0,
    ) -> Inversion:
        """The noise of images (n, C, H, W), to be kept in a file, drawn from again, or edited.

        Args:
            images: uint8.
            kind: see `InversionKind`.
            steps: of the uniform grid.
            fixed_points: iterations at each step of `ddim`, or at the last state of `edit_friendly`; 0 is plain.
            seed: of the draws of `edit_friendly`; those of image i are a function of (seed, i).

        Raises:
            ModelError: for a model without noise, or images of another shape.
            ValueError: if steps or fixed_points is out of range.
        """
        model, x = self.diffusion, self.tensor(images)
        schedule, times = model.schedule, model.grid(steps)
        codes = self.known_codes(images)

        def path(rows: Tensor, x: Tensor, z: Tensor | None = None) -> Tensor:
            denoiser, state = model.composite(z), model.state(x)
            if kind is InversionKind.ddim:
                return invert(denoiser, state, schedule, times, fixed_points)[:, None]
            draws = row_noise(seed, rows)
            found = invert_noises(denoiser, state, schedule, times, draws, eta=EDIT_ETA, fixed_point_iterations=fixed_points)
            return pack_path(found)

        eta = EDIT_ETA if kind is InversionKind.edit_friendly else 0.0
        config = InversionConfig(kind=kind, steps=steps, model=model_fingerprint(model), eta=eta)
        return Inversion(config=config, path=torch.from_numpy(self.batches(path, torch.arange(len(x)), x, codes)), codes=codes)

    def restore(self, inversion: Inversion) -> Images:
        """The images again (n, C, H, W): of `edit_friendly` up to rounding, of `ddim` up to the error of its steps.

        Raises:
            ModelError: if the noise is of another model.
        """
        model = self._own(inversion)
        schedule, times = model.schedule, model.grid(inversion.config.steps)

        def draw(path: Tensor, z: Tensor | None = None) -> Tensor:
            denoiser = model.composite(z)
            if inversion.config.kind is InversionKind.ddim:
                return model.pixels(sample(denoiser, path[:, 0], schedule, times, sampler="ddim"))
            return model.pixels(unpack_path(path, inversion.config.eta).replay(denoiser, schedule, times))

        return to_uint8(torch.from_numpy(self.batches(draw, inversion.path, inversion.codes)))

    def _own(self, inversion: Inversion) -> DiffusionModelBase:
        """The model, once it is sure that the noise is its own."""
        model = self.diffusion
        mine, shape = model_fingerprint(model), self._state_shape()
        if inversion.config.model != mine or inversion.path.shape[2:] != shape or (inversion.codes is None) == self.has_codes:
            raise ModelError(
                f"the noise is of model {inversion.config.model} with states {tuple(inversion.path.shape[2:])}, this one is "
                f"{mine} with {shape}. Give the model the images were inverted by, or invert them again."
            )
        return model

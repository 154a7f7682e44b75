"""A trained image model in use: reconstruct, swap, traverse, interpolate, edit, sample; what it inherits stands beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from tts.device import resolve_device
from tts.errors import ModelError
from tts.image.datasets import to_uint8
from tts.image.stage_model import FirstStageModel
from tts.inference.image_folder import load_image_folder
from tts.inference.image_geometry import GeometryMeter
from tts.inference.image_guided import GuidedSampler
from tts.inference.image_h_editor import HEditor
from tts.inference.image_pullback import PullbackEditor
from tts.inference.image_runner import Images
from tts.inference.image_subspace import SubspaceSampler
from tts.inference.image_walks import NoiseWalker, on_the_line


class ImageModel(HEditor, PullbackEditor, GuidedSampler, SubspaceSampler, NoiseWalker, GeometryMeter):
    """An image model on a device. Images are uint8 (n, C, H, W), codes float32 (n, N, d).

    Sampling options (`sampler`, `steps`, `grid`, `code_from`, `code_to`, `strength`, `factors`) are those of `ImageSampling`; a
    VAE has none, nor noise. The same seed gives the same images.
    """

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: str = "auto") -> "ImageModel":
        """The model in a folder, or in an experiment's `model/`.

        Raises:
            ModelError: if the folder is not a whole model folder.
            ConfigError: if the device is not there.
        """
        return cls(load_image_folder(Path(folder)), resolve_device(device))

    def sample(self, n: int, *, seed: int = 0, own_prior: bool = False, **options: Any) -> Images:
        """n new images: on codes from `sample_codes`, or from the unconditional model where there are no codes.

        New codes are not quite those of images: by default PDAE leaves them out of the tail, and InfoDiffusion has those of
        its own prior in the second of two phases only.

        Args:
            n: how many.
            seed: of codes and noise.
            own_prior: codes are of the method's own prior though a latent prior was trained.
            options: fields of `ImageSampling`.

        Raises:
            ModelError: if an own prior is asked of a method that has none.
        """
        options = self._for_drawn_codes(options, own_prior=own_prior)
        if not self.has_codes:
            return self.unconditional(n, seed=seed, **options)
        return self.decode(self.sample_codes(n, seed=seed, own_prior=own_prior), seed=seed, **options)

    def reconstruct(self, images: Images, *, inverted: bool = False, seed: int = 0, **options: Any) -> Images:
        """decode(encode(images)); with `inverted` from the images' own noise, so that what the code lacks comes from there.

        A model without codes has nothing but that noise.

        Raises:
            ModelError: for such a model without `inverted`.
        """
        if isinstance(self.model, FirstStageModel):
            return to_uint8(torch.from_numpy(self.batches(self.model.reconstruct, self.tensor(images))))
        if inverted and not self.has_codes:
            return self.unconditional(len(images), self.invert(images, **options), **options)
        if not self.has_codes:
            raise ModelError(
                f"a model of kind {self.config.kind.value} has no codes, and remakes images from their own noise alone: "
                f"inverted=True, or --inverted of `glottis image reconstruct`."
            )
        codes = self.encode(images)
        return self.decode(codes, self.invert(images, codes, **options) if inverted else None, seed=seed, **options)

    def swap(
        self, a: Images, b: Images, units: Sequence[int], *, inverted: bool = False, seed: int = 0, **options: Any
    ) -> Images:
        """The images a, with the given units of their codes taken from the images b; with `inverted` on the noise of a.

        Raises:
            ValueError: if there is no such unit.
        """
        for unit in units:
            self._check_unit(unit)
        codes, others = self.encode(a), self.encode(b)
        noise = self.invert(a, codes, **options) if inverted else None
        codes[:, list(units)] = others[:, list(units)]
        return self.decode(codes, noise, seed=seed, **options)

    def traverse(
        self, image: Images, unit: int, *, count: int = 7, inverted: bool = False, seed: int = 0, **options: Any
    ) -> Images:
        """One image (1, C, H, W) with a unit moved along its axis, from the data's 5 % to its 95 % quantile: (count, C, H, W).

        All are on the same noise: drawn, or with `inverted` the image's own.
        """
        self._check_unit(unit)
        code = self.encode(image)
        low, high = self.codes.low[unit].item(), self.codes.high[unit].item()
        moved = self.codes.along(torch.from_numpy(code[0]), unit, np.linspace(low, high, count).tolist())
        noise = np.repeat(self.invert(image, code, **options), count, axis=0) if inverted else None
        return self.decode(moved, noise, seed=seed, one_noise=True, **options)

    def interpolate(
        self, a: Images, b: Images, *, count: int = 7, inverted: bool = True, seed: int = 0, **options: Any
    ) -> Images:
        """From image a to image b (1, C, H, W each): codes on the line, inverted noise on the arc (slerp): (count, C, H, W).

        Without codes all is in the noise, so it must be `inverted`.
        """
        if self.is_diffusion and inverted and not self.has_codes:
            return self.walk(self.invert(a, **options), self.invert(b, **options), count=count, **options)
        za, zb = self.encode(a), self.encode(b)
        if not inverted or not self.is_diffusion:
            return self.decode(on_the_line(za, zb, count), seed=seed, one_noise=True, **options)
        start, end = self.invert(a, za, **options), self.invert(b, zb, **options)
        return self.walk(start, end, count=count, codes=(za, zb), **options)

    def edit(
        self,
        images: Images,
        direction: ArrayLike,
        strengths: Sequence[float] = (-0.3, 0.0, 0.3),
        *,
        inverted: bool = True,
        **options: Any,
    ) -> Images:
        """The images with their codes moved along a direction, on their own noise: (n · len(strengths), C, H, W), by image.

        z' = denormalise(normalise(z) + s sqrt(D) w / |w|),   D numbers in the code

        Args:
            images: uint8 (n, C, H, W).
            direction: w (N, d) in normalised codes, from `fit_probe`.
            strengths: s; beyond 0.3 images begin to break.
            inverted: use the noise of each image; else one noise of seed 0 for all.
            options: fields of `ImageSampling`.

        Raises:
            ValueError: if the direction is of another shape or length 0, or there is no strength.
        """
        w = torch.from_numpy(np.asarray(direction, dtype=np.float32))
        codes = self.encode(images)
        if w.shape != codes.shape[1:] or not 0 < w.norm() < torch.inf:
            found = f"{tuple(w.shape)}, {w.norm():.2g} long"
            raise ValueError(f"need a direction of shape {codes.shape[1:]}, not 0, found {found}.")
        if len(strengths) == 0:
            raise ValueError("need 1 strength or more, found none.")
        step = w.numel() ** 0.5 * w / w.norm()
        normal = self.codes.normalize(torch.from_numpy(codes))
        moved = torch.stack([self.codes.denormalize(normal + s * step) for s in strengths], dim=1).flatten(0, 1)
        noise = None
        if inverted and self.is_diffusion:
            noise = np.repeat(self.invert(images, codes, **options), len(strengths), axis=0)
        return self.decode(moved, noise, one_noise=True, **options)

    def _check_unit(self, unit: int) -> None:
        if not 0 <= unit < self.config.n_units:
            raise ValueError(f"unit must be 0 to {self.config.n_units - 1}, found {unit}.")

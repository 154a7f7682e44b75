"""Images that are drawn in a subspace first, by a smaller model of pooled images, and end in the full space."""

from collections.abc import Iterator, Sequence
from math import log2
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.diffusion import log_likelihood
from tts.errors import ModelError
from tts.image.base import BaseModel
from tts.image.datasets import ImageSet, to_uint8
from tts.image.model import clip_to_pixels
from tts.image.subspace.complement import measure_complement
from tts.image.subspace.implicit import implicit_denoiser
from tts.image.subspace.pooled import pooled_denoiser
from tts.image.subspace.projections import AveragePool
from tts.image.subspace.switch import Langevin, Subspace, grid_through, sample_subspaces
from tts.image.subspace.times import choose_time, orthogonal_fisher
from tts.inference.image_coder import ImageCoder
from tts.inference.image_diffusion import ImageSampling, row_noise
from tts.inference.image_runner import Images

THRESHOLD = 3e-3  # of the orthogonal Fisher divergence
N_COMPLEMENT = 5000  # images that the complement is measured on: its mean is added to every sample, so its noise must be small
N_FISHER = 256  # those of them that the divergence is measured on
N_TIMES = 25


class SubspaceSampler(ImageCoder):
    """An image model on a device that leaves its early steps to a smaller one; see `ImageCoder`."""

    def subspace(
        self, pooled: ImageCoder, images: ImageSet, *, time: float | None = None, threshold: float = THRESHOLD, seed: int = 0
    ) -> Subspace:
        """The subspace of pooled images in which `pooled` diffuses, with its complement measured on images.

        Args:
            pooled: a `ddpm` trained with `pool=` on the same images, on the same device.
            images: of this model's size.
            time: when the full space takes over; None is where the orthogonal Fisher divergence falls below the threshold.
            threshold: see `tts.image.subspace.times.choose_time`.
            seed: of the choice of images and the noise on them.

        Raises:
            ModelError: if one of the models has codes or does not fit the other.
            ValueError: if the time is out of range, or the divergence is never below the threshold.
        """
        full, small = self._base(self), self._base(pooled)
        levels = round(log2(full.config.size / small.config.size)) if small.config.size < full.config.size else 0
        if levels < 1:
            raise ModelError(
                f"the pooled model has images of {small.config.size} pixels, this one of {full.config.size}: expected fewer. "
                "Train it with pool=1."
            )
        denoiser, projection = pooled_denoiser(full, small, levels), AveragePool(levels)
        index = np.random.default_rng(seed).choice(len(images), size=min(N_COMPLEMENT, len(images)), replace=False)

        def read(index: NDArray[np.int64]) -> Iterator[Tensor]:
            for start in range(0, len(index), self.batch_size):
                yield self.tensor(images.images(index[start : start + self.batch_size])).to(self.device)

        complement = measure_complement(read(index), projection)
        if time is None:
            times = torch.linspace(0.02, 0.98, N_TIMES, dtype=torch.float64)
            generator = torch.Generator().manual_seed(seed)
            draw = lambda u: torch.randn(u.shape, generator=generator).to(u)  # noqa: E731
            fisher = orthogonal_fisher(
                full.composite(None), [*read(index[:N_FISHER])], projection, complement, full.schedule, times, draw
            )
            time = choose_time(times, fisher, threshold)
        return Subspace(projection, complement, time, denoiser)

    def sample_subspaces(
        self, n: int, subspaces: Sequence[Subspace], *, langevin: Langevin | None = None, seed: int = 0, **options: Any
    ) -> Images:
        """n new images through subspaces, nested from the largest on; without any they are those of `sample`.

        Args:
            n: how many.
            subspaces: from `subspace`.
            langevin: correction after each switch; None is none.
            seed: of the noise; that of image i is a function of (seed, i), projected into the smallest subspace.
            options: `sampler`, `steps` and `grid` of `ImageSampling`.

        Raises:
            ModelError: if the model has codes.
            ValueError: if the grid is too short for the switches, or an option is out of range.
        """
        full, sampling = self._base(self), ImageSampling(**options)
        times = grid_through(full.grid(sampling.steps, sampling.grid), [s.time for s in subspaces])

        def draw(rows: Tensor, u: Tensor) -> Tensor:
            for subspace in subspaces:
                u = subspace.projection.down(u)
            return sample_subspaces(
                full.composite(None),
                subspaces,
                u,
                full.schedule,
                times,
                noise=row_noise(seed, rows),
                sampler=sampling.sampler,
                langevin=langevin,
                hook=lambda level, t, x0: clip_to_pixels(level, t, x0) if level == 0 else None,
            )

        return to_uint8(torch.from_numpy(self.batches(draw, torch.arange(n), self._noise(n, seed))))

    def log_likelihood(
        self, images: Images, subspaces: Sequence[Subspace] = (), *, steps: int = 50, probes: int = 4, seed: int = 0
    ) -> NDArray[np.float32]:
        """ln p of each image (n,) in nats, of the density that the probability flow of the model gives it in [-1, 1].

        That of images blurred by the noise at the end of the grid, t = 1 / steps^2: the fewer steps, the more. Through
        subspaces it is that of `implicit_denoiser`, and tells what they cost in likelihood.

        Args:
            images: uint8 (n, C, H, W).
            subspaces: from `subspace`, nested from the largest on.
            steps: of the quadratic grid; above 1.
            probes: random signs for the trace of the Jacobian; the error falls with the root of their number.
            seed: of the probes; those of image i are a function of (seed, i), the same with subspaces and without.

        Raises:
            ModelError: if the model has codes or takes images of another shape.
            ValueError: if the grid is too short for the switches, or steps or probes is below its least.

        Source: Song et al. 2021, for the flow; Jing et al. 2022, eq. 11, for subspaces.
        """
        if steps < 2 or probes < 1:
            raise ValueError(f"need at least 2 steps and 1 probe, found {steps} and {probes}.")
        full, x = self._base(self), self.tensor(images)
        times = grid_through(full.grid(steps, "quadratic")[:-1], [s.time for s in subspaces])
        denoiser = implicit_denoiser(full.composite(None), subspaces, full.schedule)

        def measure(rows: Tensor, x: Tensor) -> Tensor:
            draw = row_noise(seed, rows)
            signs = torch.stack([torch.where(draw(x) < 0, -1.0, 1.0) for _ in range(probes)])
            return log_likelihood(denoiser, x, full.schedule, times, signs)

        return self.batches(measure, torch.arange(len(x)), x)

    @staticmethod
    def _base(coder: ImageCoder) -> BaseModel:
        if not isinstance(coder.model, BaseModel) or not coder.model.diffuses_pixels:
            raise ModelError(
                f"subspaces are of models of kind ddpm that diffuse pixels, found {coder.config.kind.value}. Give such a model."
            )
        return coder.model

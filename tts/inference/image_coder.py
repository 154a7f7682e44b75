"""Between images, codes and noise: what all uses of a trained image model are made of."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from tts.diffusion import add_noise, expand_like
from tts.diffusion.samplers import times_like
from tts.errors import ModelError
from tts.image.datasets import to_uint8
from tts.image.infodiffusion import InfoDiffusion
from tts.image.model import DiffusionModelBase
from tts.image.vae import Vae
from tts.inference.image_diffusion import Guide, ImageSampling, forward, reverse
from tts.inference.image_runner import Codes, ImageRunner, Images, Noise


class ImageCoder(ImageRunner):
    """Encode, decode, draw and invert. Images are uint8 (n, C, H, W), codes float32 (n, N, d)."""

    def encode(self, images: Images) -> Codes:
        """The code of each image, (n, N, d).

        Raises:
            ModelError: if the model has no codes, or takes images of another shape.
        """
        self.check_codes()
        return self.batches(self.model.encode, self.tensor(images))

    def known_codes(self, images: Images) -> Tensor | None:
        """The code of each image, (n, N, d) on the CPU; None if the model has no codes."""
        return torch.from_numpy(self.encode(images)) if self.has_codes else None

    def normalized(self, images: Images) -> Codes:
        """Codes (n, N, d) of images, less the mean of the training data's and over their deviation."""
        return self.codes.normalize(torch.from_numpy(self.encode(images))).numpy()

    @property
    def has_own_prior(self) -> bool:
        """Whether the method trains its codes to follow a prior: InfoDiffusion and VAEs."""
        return isinstance(self.model, InfoDiffusion | Vae)

    def sample_codes(self, n: int, *, seed: int = 0, own_prior: bool = False) -> Codes:
        """New codes (n, N, d): of the latent prior where one was trained; of the prior that InfoDiffusion's codes follow; of
        N(0, I) for a VAE; else of the Gaussian with mean and deviation of the training data's codes, all numbers independent.

        With `own_prior` those of the method's own prior, trained one or not.

        Raises:
            ModelError: if the method has none.
        """
        if own_prior and not self.has_own_prior:
            raise ModelError(f"codes of a model of kind {self.config.kind.value} follow no prior of their own: leave it out.")
        generator = torch.Generator().manual_seed(seed)
        if self.loaded.prior is not None and not own_prior:
            return self.loaded.prior.to(self.device).sample(n, generator).cpu().numpy()
        if isinstance(self.model, InfoDiffusion):
            return self.model.prior.sample(n, generator).numpy()
        draws = torch.randn(n, self.config.n_units, self.config.unit_dim, generator=generator)
        return draws.numpy() if not self.is_diffusion else self.codes.denormalize(draws).numpy()

    def decode(
        self, codes: ArrayLike, noise: ArrayLike | None = None, *, seed: int = 0, one_noise: bool = False, **options: Any
    ) -> Images:
        """An image for each code, uint8 (n, C, H, W).

        Args:
            codes: (n, N, d).
            noise: x_T, from `invert` with the same options, which goes back by `ddim`; None draws that of image i from
                (seed, i).
            seed: of the noise.
            one_noise: where it is drawn, all images have that of image 0.
            options: fields of `ImageSampling`.

        Raises:
            ValueError: if an option is out of range, or codes and noise do not fit the model or each other.
        """
        z = self._code_tensor(codes)
        return self._render(z, len(z), noise, options, seed=seed, one_noise=one_noise)

    def unconditional(self, n: int, noise: ArrayLike | None = None, *, seed: int = 0, **options: Any) -> Images:
        """n images, uint8 (n, C, H, W), of the denoiser that knows no code: a base, by itself or under a guided model.

        Args:
            n: how many.
            noise: as in `decode`.
            seed: of the noise.
            options: fields of `ImageSampling`.

        Raises:
            ModelError: for a model that draws no images without codes.
            ValueError: if an option is out of range, the noise does not fit, or there is no unconditional denoiser.
        """
        return self._render(None, n, noise, options, seed=seed)

    def invert(self, images: Images, codes: ArrayLike | None = None, **options: Any) -> Noise:
        """The noise x_T from which `decode` with the same codes and options leads back to the images.

        Args:
            images: uint8 (n, C, H, W).
            codes: (n, N, d); None encodes the images.
            options: fields of `ImageSampling`.

        Raises:
            ModelError: for a VAE, which has no noise.
        """
        model, sampling = self.diffusion, ImageSampling(**options)
        x = self.tensor(images)
        given = self.has_codes and codes is not None
        z = torch.from_numpy(np.asarray(codes, dtype=np.float32)) if given else self.known_codes(images)
        return self.batches(lambda x, z=None: forward(model, z, model.state(x), sampling), x, z)

    def denoise(self, images: Images, time: float, *, coded: bool = True, seed: int = 0) -> Images:
        """One step: what the denoiser takes each image for that is hidden in noise, uint8 (n, C, H, W).

            x0_hat(U, t) ,   U = alpha y + sigma eps

        Args:
            images: uint8 (n, C, H, W).
            time: t in (0, 1]; at 1 nothing but the code tells of the image.
            coded: whether it is told the image's code, where the model has codes; else the unconditional denoiser is asked.
            seed: of the noise, that of image i a function of (seed, i).

        Raises:
            ModelError: for a VAE, which has no noise.
            ValueError: if the time is out of range, or there is no unconditional denoiser to ask.
        """
        if not 0 < time <= 1:
            raise ValueError(f"time must be above 0 and at most 1, found {time}.")
        model = self.diffusion

        def draw(x: Tensor, eps: Tensor, z: Tensor | None = None) -> Tensor:
            t = times_like(x, time)
            alpha, sigma = (expand_like(c(t), eps).to(eps) for c in (model.schedule.alpha, model.schedule.sigma))
            return model.estimate(model.composite(z).x0(add_noise(model.state(x), eps, alpha, sigma), t))

        codes = self.known_codes(images) if coded else None
        return to_uint8(torch.from_numpy(self.batches(draw, self.tensor(images), self._noise(len(images), seed), codes)))

    def _render(
        self,
        z: Tensor | None,
        n: int,
        noise: ArrayLike | None,
        options: dict[str, Any],
        *,
        seed: int = 0,
        one_noise: bool = False,
        drawn: bool = False,
        guide: Guide | None = None,
    ) -> Images:
        """n images of codes z (n, N, d), or of the unconditional denoiser for None; `guide` is called anew for each batch.

        Noise that is given, and not `drawn`, goes back as it came: by `ddim` and without clipping.
        """
        if n < 1:
            raise ValueError(f"need 1 image or more to draw, found {n}.")
        if not isinstance(self.model, DiffusionModelBase):
            decoder = getattr(self.model, "decode", None)
            if decoder is None or z is None:
                raise ModelError(f"a model of kind {self.config.kind.value} draws no images. Give another model.")
            if noise is not None or options:
                raise ValueError(f"a model of kind {self.config.kind.value} takes neither noise nor sampling options.")
            return to_uint8(torch.from_numpy(self.batches(decoder, z)))
        clipped = noise is None or drawn
        model, sampling, shape = self.model, ImageSampling(**options), (n, *self._state_shape())
        if noise is None:
            start = self._noise(1, seed).expand(shape) if one_noise else self._noise(n, seed)
        else:
            start = torch.from_numpy(np.asarray(noise, dtype=np.float32))
            sampling = sampling if drawn else sampling.for_inverted()
        if start.shape != shape:
            raise ValueError(f"noise must be {shape}, found {tuple(start.shape)}.")
        generator = torch.Generator().manual_seed(seed)

        def draw(u: Tensor, codes: Tensor | None = None) -> Tensor:
            return model.pixels(reverse(model, codes, u, sampling, generator, guide, clipped=clipped))

        return to_uint8(torch.from_numpy(self.batches(draw, start, z)))

    def _for_drawn_codes(self, options: dict[str, Any], *, own_prior: bool = False) -> dict[str, Any]:
        """The options with the times at which drawn codes tell the model anything, unless they say themselves."""
        if not isinstance(self.model, DiffusionModelBase):
            return options
        learned = self.loaded.prior is not None and not own_prior
        times = self.model.drawn_code_times if learned else self.model.own_code_times
        return dict(zip(("code_from", "code_to"), times, strict=True)) | options

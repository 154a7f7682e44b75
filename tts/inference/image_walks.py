"""Walks from noise to noise, and the images on the way."""

from typing import Any

import numpy as np
import torch

from tts.image.geometry.paths import Path
from tts.inference.image_coder import ImageCoder
from tts.inference.image_runner import Codes, Images, Noise


class NoiseWalker(ImageCoder):
    """An image model on a device that is led along paths of noise; see `ImageCoder`."""

    def walk(
        self,
        start: Noise,
        end: Noise,
        *,
        count: int = 8,
        path: Path = Path.slerp,
        codes: tuple[Codes, Codes] | None = None,
        drawn: bool = False,
        **options: Any,
    ) -> Images:
        """Images along the way from noise to noise (1, …) each, ends included, codes (1, N, d) on the line: (count, C, H, W).

        Args:
            start: x_T, from `invert` with the same options, which goes back by `ddim`.
            end: as start.
            count: 2 or more.
            path: on the arc, which keeps the length of noise, or the straight line.
            codes: at both ends, of a model that has them.
            drawn: noises and codes are draws, of `noises` and `sample_codes`, and the images at the ends those of `sample`.
            options: fields of `ImageSampling`.

        Raises:
            ValueError: if count is below 2, or noises and codes do not fit.
        """
        if count < 2:
            raise ValueError(f"count must be 2 or more, found {count}.")
        a, b = torch.from_numpy(start), torch.from_numpy(end)
        noise = torch.cat(path.points(a, b, count - 1)).numpy()
        if codes is None:
            return self._render(None, count, noise, options, drawn=drawn)
        options = self._for_drawn_codes(options) if drawn else options
        return self._render(self._code_tensor(on_the_line(*codes, count)), count, noise, options, drawn=drawn)

    def noises(self, n: int, *, seed: int = 0) -> Noise:
        """n draws of x_T, (n, …); that of image i is a function of (seed, i), and of `sample` with this seed.

        Raises:
            ModelError: for a VAE, which has no noise.
        """
        return self._noise(n, seed).numpy()


def on_the_line(start: Codes, end: Codes, count: int) -> Codes:
    """Codes from one to another (1, N, d), evenly spaced and ends included, (count, N, d).

    Raises:
        ValueError: if there is none to draw.
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more, found {count}.")
    return np.concatenate([(1 - w) * start + w * end for w in np.linspace(0, 1, count)])

"""The geometry of a diffusion model's h-space, measured: by time, along paths of noise, and against labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tts.config import check_ranges
from tts.diffusion import sample
from tts.image.datasets import ImageSet
from tts.image.edit_times import Distance, Profile, measure_profile, rms_distance
from tts.image.geometry.hspace import states_at
from tts.image.geometry.paths import Path, frame_distances, path_lengths, ppl, unevenness
from tts.image.geometry.scores import TimeScores, h_map, time_scores
from tts.image.geometry.tangent import Map
from tts.image.model import DiffusionModelBase
from tts.inference.image_coder import ImageCoder
from tts.inference.image_distance import DistanceKind, decoded, image_distance
from tts.inference.image_runner import Images
from tts.metrics.linear_separability import linear_separability


@dataclass(frozen=True, kw_only=True)
class GeometrySettings:
    """What is measured on how much."""

    pairs: int = 16  # of noises
    times: tuple[float, ...] = (1.0, 0.8, 0.6, 0.4)  # at which the encoder half is looked at
    steps: int = 20  # of DDIM
    parts: int = 20  # of each path
    images: int = 32  # whose profile of editing times is measured
    labelled: int = 400  # images for the separability of labels; 0 leaves it out
    distance: DistanceKind = DistanceKind.pixels
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, "geometry", "pairs images", 2, 1e6)
        check_ranges(self, "geometry", "times", 0.001, 1)
        check_ranges(self, "geometry", "steps parts", 2, 1000)
        check_ranges(self, "geometry", "labelled seed", 0, 1e18)


@dataclass(frozen=True, kw_only=True)
class GeometryReport:
    """The figures of one model; those of two are comparable on one seed and distance.

    at: scores of the encoder half, by time.
    ppl: perceptual path length.
    frames: mean distance of each frame to the next, by path, (parts,) each.
    unevenness: largest over mean distance of adjacent frames, by path.
    separability: of the images' own noise and of their pooled h, by label; 1 at best, 2 at worst.
    profile: distances to the image along its inversion, which t_edit and t_boost come from.
    """

    at: dict[float, TimeScores]
    ppl: float
    frames: dict[str, list[float]]
    unevenness: dict[str, float]
    separability: dict[str, dict[str, float]]
    profile: Profile


class GeometryMeter(ImageCoder):
    """An image model on a device whose h-space is measured; see `ImageCoder`."""

    @torch.no_grad()
    def geometry(self, images: ImageSet, settings: GeometrySettings) -> GeometryReport:
        """All figures of a diffusion model on pairs of drawn noises, and of its images.

        A model with codes is given those of images, the same to both noises of a pair.

        Args:
            images: of the model's size; labels are used where there are any.
            settings: on how much.

        Raises:
            ModelError: if the model has no noise, or the distance's features are not installed.
        """
        model, distance = self.diffusion, image_distance(settings.distance, self.device)
        generator = torch.Generator().manual_seed(settings.seed)
        rng = np.random.default_rng(settings.seed)
        a, b = self._noise(2 * settings.pairs, settings.seed).to(self.device).chunk(2)
        z = self._given(images.images(rng.integers(len(images), size=settings.pairs)))
        options: dict[str, Any] = {"z": z, "steps": settings.steps, "parts": settings.parts}
        at = {t: time_scores(model, (a, b), generator, t, **options) for t in settings.times}
        draw = _drawer(model, z, settings.steps)
        frames = {path.value: _frames(draw, path, a, b, settings.parts, distance) for path in Path}
        shown = images.images(rng.integers(len(images), size=settings.images))
        return GeometryReport(
            at=at,
            ppl=ppl(path_lengths(draw, distance, a, b, generator)),
            frames={name: found.mean(0).tolist() for name, found in frames.items()},
            unevenness={name: float(np.mean([unevenness(row) for row in found])) for name, found in frames.items()},
            separability=self._separability(images, rng, settings),
            profile=self.profile(shown, steps=settings.steps, distance=settings.distance),
        )

    @torch.no_grad()
    def profile(self, images: Images, *, steps: int = 50, distance: DistanceKind = DistanceKind.pixels) -> Profile:
        """Distances of images (n, C, H, W) along their inversion, from which t_edit and t_boost are chosen.

        Args:
            images: uint8, a few dozen.
            steps: of the uniform grid.
            distance: of images; that of pixels is the root mean square here, which grows as LPIPS does.

        Raises:
            ModelError: if the model has no noise, or the distance's features are not installed.
        """
        model = self.diffusion
        of_images = rms_distance if distance is DistanceKind.pixels else image_distance(distance, self.device)
        state, times = model.state(self.tensor(images).to(self.device)), model.grid(steps)
        of_states = decoded(of_images, model.pixels)
        return measure_profile(model.composite(self._given(images)), state, model.schedule, times, of_states)

    def _given(self, images: Images) -> Tensor | None:
        """The codes of images on the device, where the model has codes."""
        z = self.known_codes(images)
        return None if z is None else z.to(self.device)

    def _separability(
        self, images: ImageSet, rng: np.random.Generator, settings: GeometrySettings
    ) -> dict[str, dict[str, float]]:
        """Of the upper half of each label's values; labels that have but one value in a half of the images are left out."""
        index = rng.integers(len(images), size=settings.labelled)
        labels = images.labels(index) if settings.labelled else None
        if labels is None:
            return {}
        model, t, pixels = self.diffusion, settings.times[0], images.images(index)
        noise = torch.from_numpy(self.invert(pixels, steps=settings.steps, grid="uniform"))

        def pooled(u: Tensor, z: Tensor | None = None) -> Tensor:
            state = states_at(model.composite(z), model.schedule, t, steps=settings.steps, start=model.first_time)(u)
            return h_map(model, t, z, pooled=True)(state)

        h = self.batches(pooled, noise, self.known_codes(pixels))
        found = {}
        for name, column in zip(images.label_names, labels.T, strict=True):
            upper = column > (column.min() + column.max()) / 2
            if all(0 < upper[half::2].sum() < len(upper[half::2]) for half in (0, 1)):
                attribute = upper[:, None].astype(np.int64)
                scores = (linear_separability(codes, attribute).score for codes in (noise.numpy(), h))
                found[name] = dict(zip(("noise", "h"), scores, strict=True))
        return found


def _drawer(model: DiffusionModelBase, z: Tensor | None, steps: int) -> Map:
    """noise -> images in [-1, 1], not clipped."""
    denoiser, times = model.composite(z), model.grid(steps)
    return lambda noise: model.estimate(sample(denoiser, noise, model.schedule, times, sampler="ddim"))


def _frames(draw: Map, path: Path, a: Tensor, b: Tensor, parts: int, distance: Distance) -> Tensor:
    """Distances of adjacent frames along the path of every pair, (pairs, parts)."""
    frames = torch.stack([draw(point) for point in path.points(a, b, parts)], dim=1)  # (pairs, parts + 1, C, H, W)
    return torch.stack([frame_distances(row, distance) for row in frames]).cpu()

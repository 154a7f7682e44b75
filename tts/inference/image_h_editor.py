"""Edits of h on images' own noise: trained ones from folders, and the principal directions of h."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from tts.diffusion import sample
from tts.image.asyrp import Average, edited, fixed_delta, sample_edited
from tts.image.datasets import to_uint8
from tts.image.delta_h import FixedDelta
from tts.image.edit_steps import Attribute, Injection, tap_of
from tts.image.geometry.hspace import recorded_h
from tts.image.geometry.pca import principal_directions_by_step
from tts.image.h_space import h_space
from tts.inference.edit_folder import EditConfig, load_edit
from tts.inference.image_diffusion import row_noise
from tts.inference.image_inversion import Inversion, InversionKind, unpack_path
from tts.inference.image_inverter import ImageInverter
from tts.inference.image_runner import Images
from tts.nets.image_taps import MIDDLE
from tts.nets.image_unet import ImageUNet

N_PCA = 64  # images whose h the principal directions are found on


class HEditor(ImageInverter):
    """An image model on a device whose h is edited; see `ImageCoder`."""

    def load_edit(self, folder: str | Path) -> tuple[Attribute, EditConfig]:
        """The edit that `glottis image train-edit` left in a folder, on this model's device.

        Raises:
            ModelError: if the folder is not whole, or the edit is of another model.
        """
        attribute, config = load_edit(Path(folder), self.diffusion)
        if isinstance(attribute.delta, nn.Module):
            attribute.delta.to(self.device)
        return attribute, config

    def edit_h(
        self,
        inversion: Inversion,
        edits: Sequence[Attribute],
        strengths: Sequence[float] = (-1.0, 0.0, 1.0),
        *,
        t_boost: float = 0.0,
        injection: Injection = Injection.asymmetric,
        seed: int = 0,
    ) -> Images:
        """Inverted images with all edits at once, at each strength: (n · len(strengths), C, H, W), by image.

        At strength 0 they are the images as `restore` gives them.

        Args:
            inversion: of the images.
            edits: from `load_edit`, `averaged` or `pca_edits`; their changes of h add up, undiminished unless they went through
                `tts.image.asyrp.together`.
            strengths: factors on the edits' own strengths; negative ones turn the edits round.
            t_boost: below it fresh noise mends the quality, that of image i a function of (seed, i); 0 is none.
            injection: symmetric is the control that does nearly nothing.
            seed: of the fresh noise.

        Raises:
            ModelError: if the noise is of another model, or this one has no h-space.
            ValueError: if there is no edit, they are of several taps, or boosting is asked of edit-friendly noise, which has
                noise of its own.
        """
        model, config = self._own(inversion), inversion.config
        if t_boost > 0 and config.kind is InversionKind.edit_friendly:
            raise ValueError("t_boost must be 0 with edit-friendly noise, which brings the noise of every step.")
        times, tap = model.grid(config.steps), tap_of(edits)

        def draw(rows: Tensor, path: Tensor, z: Tensor | None = None) -> Tensor:
            space, found = h_space(model, z, tap), []
            for strength in strengths:
                scaled = [replace(edit, strength=strength * edit.strength) for edit in edits]
                if config.kind is InversionKind.edit_friendly:
                    denoiser = edited(space, scaled, times, eta=config.eta, injection=injection)
                    y = unpack_path(path, config.eta).replay(denoiser, model.schedule, times)
                else:
                    options: dict[str, Any] = {"t_boost": t_boost, "noise": row_noise(seed, rows), "injection": injection}
                    y = sample_edited(space, scaled, path[:, 0], times, **options)
                found.append(model.pixels(y))
            return torch.stack(found, dim=1)

        images = self.batches(draw, torch.arange(len(inversion.path)), inversion.path, inversion.codes)
        return to_uint8(torch.from_numpy(images).flatten(0, 1))

    def averaged(self, inversion: Inversion, edit: Attribute, average: Average = Average.all) -> Attribute:
        """The edit with the mean of the changes of h that it makes on these images in the place of what each image asks for.

        It is then the same for all images, these or others. The images go through the model in one batch.

        Args:
            inversion: of the images, by DDIM; some tens of them make a good mean.
            edit: from `load_edit`.
            average: over the images, at each step its own, or over steps too, one global change; `none` keeps those of each
                image, for these very images in one batch.

        Raises:
            ModelError: as `edit_h`.
            ValueError: if the noise is edit-friendly, whose steps are not those of DDIM, or the edit is on in no step.

        Source: Kwon et al. 2023, section 5.4, global directions.
        """
        model, config = self._own(inversion), inversion.config
        if config.kind is InversionKind.edit_friendly:
            raise ValueError("a change of h is averaged along DDIM, found edit-friendly noise. Invert the images by ddim.")
        z = None if inversion.codes is None else inversion.codes.to(self.device)
        u, times = inversion.path[:, 0].to(self.device), model.grid(config.steps)
        delta = fixed_delta(h_space(model, z, edit.tap), edit, u, times, average).to(self.device)
        return replace(edit, delta=delta.requires_grad_(False))

    def pca_edits(
        self, k: int, *, n: int = N_PCA, steps: int = 50, t_edit: float = 0.5, tap: str = MIDDLE, seed: int = 0
    ) -> list[Attribute]:
        """The first k principal directions of h as edits that need no training: strength 1 is one deviation at every step.

        They are those of n images that the model draws by DDIM, at each step its own.

        Args:
            k: 1 to the smaller of n - 1 and the numbers in h.
            n: images, 2 or more.
            steps: of the grid.
            t_edit: the edits are on from t = 1 down to here.
            tap: where h is taken and changed.
            seed: of the noise and codes.

        Raises:
            ModelError: if the model has no noise.
            ValueError: if k is out of range, or there is no such tap.

        Source: Haas et al. 2024.
        """
        model = self.diffusion
        times = model.grid(steps)
        unet = cast(ImageUNet, model.get_submodule("unet"))

        def draw(u: Tensor, z: Tensor | None = None) -> Tensor:
            return sample(model.composite(z), u, model.schedule, times, sampler="ddim")

        codes = torch.from_numpy(self.sample_codes(n, seed=seed)) if self.has_codes else None
        with recorded_h(unet, tap) as made:
            self.batches(draw, self._noise(n, seed), codes)
        by_step = [torch.cat(made[step::steps]) for step in range(steps)]
        found = principal_directions_by_step(by_step, k)
        rising = times[:-1].flip(0)
        edits = []
        for i in range(k):
            values = torch.stack([directions.shift(i, 1.0) for directions in reversed(found)])
            delta = FixedDelta.of(values, rising).requires_grad_(False)
            edits.append(Attribute(delta=delta, steps=steps, t_edit=t_edit, tap=tap))
        return edits

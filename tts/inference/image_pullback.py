"""Edits along pullback directions: at one time, what in an image's own noise moves h most."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tts.diffusion import invert, sample
from tts.image.datasets import to_uint8
from tts.image.geometry.pullback import pullback_directions, pullback_edit
from tts.image.geometry.scores import h_map
from tts.inference.image_coder import ImageCoder
from tts.inference.image_diffusion import FIXED_POINT_ITERATIONS
from tts.inference.image_runner import Images
from tts.nets.image_taps import MIDDLE


class PullbackEditor(ImageCoder):
    """An image model on a device, edited with nothing trained; see `ImageCoder`."""

    def edit_pullback(
        self,
        images: Images,
        index: int,
        strengths: Sequence[float] = (-4.0, 0.0, 4.0),
        *,
        at: float = 0.7,
        steps: int = 50,
        tap: str = MIDDLE,
        seed: int = 0,
    ) -> Images:
        """Images moved along their own direction number `index`, at each strength: (n · len(strengths), C, H, W), by image.

        Inverted by DDIM to the time `at`, moved there, and drawn from there. The direction's sign is chosen so that its largest
        number is positive.

        Args:
            images: uint8 (n, C, H, W).
            index: 0 is the direction that moves h most.
            strengths: `delta` of `pullback_edit`, for a direction of length 1.
            at: time in (0, 1]; later ones change more.
            steps: of a grid from 1 to 0, of which those below `at` are gone.
            tap: of the h that is to move.
            seed: of the search's first guess.

        Raises:
            ModelError: if the model has no noise, or takes images of another shape.
            ValueError: if index or at is out of range, or there is no such tap.

        Source: Park et al. 2023.
        """
        if not 0 < at <= 1 or index < 0 or steps < 1:
            raise ValueError(f"need at in (0, 1], a direction from 0 on and steps from 1 on, found {at}, {index} and {steps}.")
        model, x = self.diffusion, self.tensor(images)
        times = torch.linspace(at, 0, max(1, round(at * steps)) + 1, dtype=torch.float64)

        def draw(x: Tensor, z: Tensor | None = None) -> Tensor:
            denoiser, schedule = model.composite(z), model.schedule
            u = invert(denoiser, model.state(x), schedule, times, FIXED_POINT_ITERATIONS)
            generator = torch.Generator().manual_seed(seed)
            directions = pullback_directions(h_map(model, at, z, tap=tap), u, index + 1, generator).x_directions
            direction = _turned(directions[:, index])
            t = torch.tensor(at, dtype=u.dtype, device=u.device)
            moved = [pullback_edit(denoiser, u, t, direction, delta=s) if s else u for s in strengths]
            found = [model.pixels(sample(denoiser, y, schedule, times, sampler="ddim")) for y in moved]
            return torch.stack(found, dim=1)

        return to_uint8(torch.from_numpy(self.batches(draw, x, self.known_codes(images))).flatten(0, 1))


def _turned(v: Tensor) -> Tensor:
    """Directions (B, …) with the sign that makes the largest number of each positive."""
    flat = v.flatten(1)
    largest = flat.gather(1, flat.abs().argmax(1, keepdim=True))
    return (flat * torch.where(largest < 0, -1.0, 1.0)).view_as(v)

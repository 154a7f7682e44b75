"""Whether a denoiser or decoder reads its code: what other images' codes cost it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tts.diffusion import denoising_loss
from tts.errors import ModelError
from tts.image.model import DiffusionModelBase
from tts.image.vae import Vae

MIN_SHARE = 0.01  # of the loss: below it the code is ignored


class CodeIgnored(ModelError):
    """A model whose denoiser or decoder does not read the code."""


@dataclass(frozen=True)
class CodeUsage:
    """A mean loss, and what shuffled codes add to it.

    The loss is that of denoising, always at the same times and noises; of a VAE the mean squared error of its reconstructions.

    Attributes:
        loss: with each image's own code.
        gap: how much more it is with another image's code; above 0 where the code is read.
        unit_gaps: the same with one unit from another image and the others its own, of the units that were asked for.
    """

    loss: float
    gap: float
    unit_gaps: tuple[float, ...]

    @property
    def share(self) -> float:
        """gap / loss."""
        return self.gap / self.loss

    @property
    def ignored(self) -> bool:
        """Whether shuffled codes cost less than 1 % of the loss; NaN counts as ignored."""
        return not self.gap >= MIN_SHARE * self.loss

    def require(self) -> None:
        """Raises CodeIgnored if it is."""
        if self.ignored:
            raise CodeIgnored(
                f"the code is ignored: with codes of other images the loss rises from {self.loss:.4g} by {self.gap:.2g}, "
                f"expected at least {MIN_SHARE:.0%} of it. Train longer. For diffusion use parametrization v or preconditioned "
                "with a log-SNR shift of 4 or so, and code_norm; look at the deviation of the codes. Of a VAE lower what holds "
                "its codes to the prior (model.beta, model.gamma)."
            )


@torch.no_grad()
def z_usage(model: DiffusionModelBase | Vae, x: Tensor, generator: torch.Generator, *, units: int = 0) -> CodeUsage:
    """What the codes of images x (B, C, H, W) are worth: the loss with shuffled codes minus that with own ones.

    The model is in evaluation meanwhile.

    Args:
        model: any method with codes, or a VAE.
        x: at least two images in [-1, 1]; a few hundred give a steady value.
        generator: of times, noises and the shuffle, on the CPU.
        units: how many of the first units are measured each by itself, every one at the cost of the whole.

    Raises:
        ValueError: if there are less than two images.
    """
    if len(x) < 2:
        raise ValueError(f"codes of one image cannot be shuffled: need at least 2 images, found {len(x)}.")
    was_training = model.training
    model.eval()
    try:
        loss, z = _loss_of_codes(model, x, generator), model.encode(x)
        other = z[_derangement(len(z), generator).to(z.device)]
        own = loss(z)
        columns = torch.arange(z.shape[1], device=z.device)
        gaps = tuple(loss(torch.where((columns == n)[:, None], other, z)) - own for n in columns[:units].tolist())
        return CodeUsage(own, loss(other) - own, gaps)
    finally:
        model.train(was_training)


def _loss_of_codes(model: DiffusionModelBase | Vae, x: Tensor, generator: torch.Generator) -> Callable[[Tensor], float]:
    """The mean loss on images x as a function of their codes."""
    if isinstance(model, Vae):
        return lambda z: (model.decode(z) - x).double().square().mean().item()
    y, weighting = model.state(x), model.config.diffusion.weighting.value
    t, eps = model.draw(y, generator)
    return lambda z: denoising_loss(model.composite(z), y, t, eps, weighting=weighting).double().mean().item()


def _derangement(n: int, generator: torch.Generator) -> Tensor:
    """A permutation that leaves nothing in its place: one random cycle through all."""
    order = torch.randperm(n, generator=generator)
    return torch.empty_like(order).scatter_(0, order, order.roll(1))

"""What an edit is asked to do: move an image's features along a direction, of any encoder, and little else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import torch
import torch.nn.functional as F
from torch import Tensor

from tts.config import check_ranges
from tts.errors import DataError

ImageEncoder = Callable[[Tensor], Tensor]  # images (B, C, H, W) in [-1, 1] -> features (B, F), differentiable
TextEncoder = Callable[[Sequence[str]], Tensor]  # n sentences -> (n, F), in the space of the images

MIN_MOVE = 1e-6  # of features: below it an image counts as unmoved
MIN_SHARE = 1e-6  # of the logarithm's argument


class LossForm(str, Enum):
    """Of L = 1 - cos: `plain` is the paper's L, `log` the released code's -ln((2 - L) / 2), steep at L = 2."""

    plain = "plain"
    log = "log"


@dataclass(frozen=True, kw_only=True)
class EditLossConfig:
    """Weights of the two halves of an edit's loss; the defaults are those of the released scripts."""

    directional: float = 1.0
    reconstruction: float = 3.0  # of the mean absolute change of the prediction, or its distance from the wanted one
    form: LossForm = LossForm.log

    def __post_init__(self) -> None:
        check_ranges(self, "edit_loss", "directional reconstruction", 0, 1e6)


def directional_loss(encoder: ImageEncoder, edited: Tensor, source: Tensor, direction: Tensor) -> Tensor:
    """L = 1 - cos(E(edited) - E(source), direction) of every image, (B,) in [0, 2]; 1 where nothing moved.

    Args:
        encoder: E.
        edited: images (B, C, H, W).
        source: images (B, C, H, W), each the one that was edited.
        direction: (F,), or (B, F) with one for each image; of any length but 0.

    Source: Gal et al. 2022 (StyleGAN-NADA); Kwon et al. 2023 (Asyrp), eq. 5.
    """
    move = encoder(edited) - encoder(source)
    length = torch.linalg.vector_norm(move, dim=1, keepdim=True).clamp(min=MIN_MOVE)
    return 1 - (move / length * F.normalize(direction, dim=-1, eps=MIN_MOVE)).sum(dim=1)


def edit_loss(config: EditLossConfig, directional: Tensor, change: Tensor, wanted: Tensor | None = None) -> Tensor:
    """The loss of every image, (B,).

        w_dir g(L) + w_rec mean |change - wanted|

    Args:
        config: the weights and g.
        directional: L, (B,).
        change: of the prediction, edited x0_hat less unedited x0_hat, (B, ...).
        wanted: the change there should be where edited pairs show it, (B, ...); None is 0, keep all that need not change.

    Source: Kwon et al. 2023 (Asyrp), eq. 7.
    """
    if config.form is LossForm.log:
        # -ln((2 - L) / 2) = -ln((1 + cos) / 2)
        directional = -((2 - directional) / 2).clamp(min=MIN_SHARE).log()
    rest = change if wanted is None else change - wanted
    return config.directional * directional + config.reconstruction * rest.abs().flatten(1).mean(dim=1)


@torch.no_grad()
def group_direction(encoder: ImageEncoder, without: Tensor, having: Tensor) -> Tensor:
    """From images without an attribute to images that have it: unit(mean E(having) - mean E(without)), (F,).

    Raises:
        DataError: if a group is empty, or the two means are the same or not finite.
    """
    if len(without) == 0 or len(having) == 0:
        raise DataError(f"a direction needs images in both groups, found {len(without)} without and {len(having)} with it.")
    return _unit((encoder(having).mean(dim=0) - encoder(without).mean(dim=0))[None], "the two groups")[0]


@torch.no_grad()
def pair_directions(encoder: ImageEncoder, before: Tensor, after: Tensor) -> Tensor:
    """What editing did to each pair of images (B, C, H, W): unit(E(after) - E(before)), (B, F).

    Raises:
        DataError: if the images are not in pairs, or a pair does not differ in its features.
    """
    if before.shape != after.shape or len(before) == 0:
        raise DataError(f"edited pairs must be of equal shapes, found {tuple(before.shape)} and {tuple(after.shape)}.")
    return _unit(encoder(after) - encoder(before), "the images of a pair")


@torch.no_grad()
def text_direction(encoder: TextEncoder, source: Sequence[str], target: Sequence[str]) -> tuple[Tensor, float]:
    """From what an image is to what it shall be, in words: unit(E(target) - E(source)), (F,), and the cosine of the two.

    Several sentences, templates of one phrase, are averaged at unit length. The cosine sets `Profile.t_edit`.

    Raises:
        DataError: if there is no sentence of one kind, or both say the same.
    """
    if not source or not target:
        raise DataError(f"a direction needs sentences for source and target, found {len(source)} and {len(target)}.")
    a, b = (F.normalize(F.normalize(encoder(texts), dim=1).mean(dim=0), dim=0) for texts in (source, target))
    return _unit((b - a)[None], "source and target")[0], (a * b).sum().item()


def _unit(moves: Tensor, what: str) -> Tensor:
    """The rows (B, F) at length 1."""
    lengths = torch.linalg.vector_norm(moves, dim=1, keepdim=True)
    if not bool((torch.isfinite(lengths) & (lengths > MIN_MOVE)).all()):
        raise DataError(f"{what} do not differ in the encoder's features, or those are not finite. Give others.")
    return moves / lengths

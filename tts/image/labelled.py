"""A diffusion model that is told the factors of the image, or some of them, or none: what classifier-free guidance needs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from tts.config import check_ranges
from tts.diffusion import Composite, Term, classifier_free
from tts.errors import ConfigError, DataError
from tts.image.config import MAX_WIDTH, DiffusionModelConfig, Kind
from tts.image.model import DiffusionModelBase
from tts.nets.image_unet import ImageUNet

UNKNOWN = -1  # the label of a factor that is not told


@dataclass(frozen=True, kw_only=True)
class LabelledConfig(DiffusionModelConfig):
    """A diffusion model without codes, conditioned on labels; the training task takes names and sizes from the data."""

    kind: Kind = Kind.labelled
    n_units: int = 0
    label_dim: int = 64  # of the vector that the U-Net is told
    factor_names: tuple[str, ...] = ("label",)
    factor_sizes: tuple[int, ...] = (2,)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "label_dim", 1, MAX_WIDTH)
        check_ranges(self, "model", "factor_sizes", 1, 100000)
        if len(self.factor_names) != len(self.factor_sizes) or len({*self.factor_names}) != len(self.factor_names):
            raise ConfigError(
                f"model.factor_names: found {self.factor_names} for {len(self.factor_sizes)} sizes, expected a name of its own "
                "for each."
            )


class LabelledModel(DiffusionModelBase):
    """F(U, t, labels), where a label may be `UNKNOWN`; with all of them unknown it is the unconditional denoiser.

    In training a share r ~ U[0, 1] of each image's labels is told, so that every number of them from none to all is met equally
    often, and each subset of a size.

    Attributes:
        embeddings: a vector for each value of each factor, and one for unknown; their sum is the condition.

    Source: Ho and Salimans 2022; Liu et al. 2022 for several labels.
    """

    config: LabelledConfig

    def __init__(self, config: LabelledConfig) -> None:
        super().__init__(config)
        self.embeddings = nn.ModuleList(nn.Embedding(size + 1, config.label_dim) for size in config.factor_sizes)
        sizes = asdict(config.unet)
        self.unet = ImageUNet(channels=config.state_channels, condition="scale_shift", condition_dim=config.label_dim, **sizes)

    def encode(self, x: Tensor) -> Tensor:
        """There are no units: (B, 0, d)."""
        return x.new_zeros(len(x), 0, self.config.unit_dim)

    def condition(self, labels: Tensor) -> Tensor:
        """What the U-Net is told of labels (B, K) int64, (B, label_dim).

        Raises:
            ValueError: if a label is neither a value of its factor nor -1, or their number is another.
        """
        sizes = torch.tensor(self.config.factor_sizes, device=labels.device)
        if labels.ndim != 2 or labels.shape[1] != len(sizes) or bool(((labels < UNKNOWN) | (labels >= sizes)).any()):
            raise ValueError(
                f"labels must be (B, {len(sizes)}), each -1 or a value below its size {self.config.factor_sizes}, found "
                f"{tuple(labels.shape)} of {labels.unique().tolist()[:8]}."
            )
        told = torch.where(labels == UNKNOWN, sizes, labels)
        return torch.stack([embed(column) for embed, column in zip(self.embeddings, told.T, strict=True)]).sum(0)

    def told(self, z: Tensor | None) -> Tensor:
        """`condition` of no label, (1, label_dim); codes are refused.

        Raises:
            ValueError: if z has units.
        """
        if z is not None and z.shape[1] > 0:
            raise ValueError(f"this model has no codes, found {tuple(z.shape)}.")
        return self.condition(self._unknown())

    def composite(self, z: Tensor | None) -> Composite:
        """The unconditional denoiser; see `told` for codes."""
        return Composite(self.schedule, [self._term(self.told(z))], self.parametrization)

    def composite_of(self, labels: Tensor, scale: float = 0.0) -> Composite:
        """The denoiser given labels (B, K), and by classifier-free guidance more than that.

            F = (1 + scale) F(U, t, labels) - scale F(U, t)

        Args:
            labels: int64, -1 where a factor is left open; one row serves every state.
            scale: 0 is the conditional itself.
        """
        given, free = self._term(self.condition(labels)), self._term(self.told(None))
        return Composite(self.schedule, classifier_free(given.network, free.network, scale), self.parametrization)

    def composed(self, labels: Tensor, weights: Sequence[float]) -> Composite:
        """The denoiser guided by each label on its own.

            F = F(U, t) + sum_k w_k (F(U, t, label k alone) - F(U, t))

        Exact with weights 1 if the labels are independent given U; a weight below 0 asks for anything but this label.

        Args:
            labels: (B, K), or one row for all states.
            weights: one for each factor; 0 leaves it out.

        Raises:
            ValueError: if there are not K weights.

        Source: Liu et al. 2022, composable diffusion.
        """
        if len(weights) != len(self.config.factor_sizes):
            raise ValueError(f"found {len(weights)} weights for {len(self.config.factor_sizes)} factors.")
        terms = [Term(self._term(self.told(None)).network, weight=1 - sum(weights))]
        for k, weight in enumerate(weights):
            alone = torch.full_like(labels, UNKNOWN)
            alone[:, k] = labels[:, k]
            terms.append(Term(self._term(self.condition(alone)).network, weight=weight))
        return Composite(self.schedule, terms, self.parametrization)

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """See `RepresentationModel.losses`: `denoising`.

        Raises:
            DataError: if there are no labels.
        """
        self.check_phase(phase)
        if labels is None:
            raise DataError("model.kind labelled learns from labels, these images have none. Take another method or data set.")
        y = self.state(x)
        share = torch.rand(len(labels), 1, generator=generator)
        told = (torch.rand(labels.shape, generator=generator) < share).to(labels.device)
        composite = self.composite_of(torch.where(told, labels, UNKNOWN))
        return {"denoising": self.denoising(composite, y, *self.draw(y, generator)).mean()}

    def _unknown(self) -> Tensor:
        shape = (1, len(self.config.factor_sizes))
        return torch.full(shape, UNKNOWN, dtype=torch.int64, device=self.data_std.device)

    def _term(self, condition: Tensor) -> Term:
        return Term(lambda u, t: self.unet(u, t, condition.expand(len(u), -1)))

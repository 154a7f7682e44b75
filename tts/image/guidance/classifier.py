"""A classifier of noisy images that knows the time, with one head for each attribute."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.config import check_ranges
from tts.diffusion import Composite, Schedule
from tts.diffusion.samplers import Denoiser
from tts.errors import ConfigError, ModelError
from tts.image.config import MAX_SIZE, SCHEDULE_FIELDS, DiffusionConfig, UNetConfig
from tts.image.guidance.guide import guided
from tts.image.guidance.rules import Rule
from tts.image.guidance.wishes import Wish, log_prob_of
from tts.image.model import DiffusionModelBase
from tts.image.schedules import build_schedule
from tts.nets.embeddings import sinusoidal_embedding
from tts.nets.image_blocks import BlockSizes, group_norm
from tts.nets.image_paths import DownPath, Middle, check_sizes

FIRST_RESIDUAL = 1 / 12  # variance of U[0, 1], all that is known before the residuals are measured


class HeadKind(str, Enum):
    """`category`: a distribution over values without order; `value`: a number in [0, 1], label / (size - 1)."""

    category = "category"
    value = "value"


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """One attribute: its labels are whole numbers 0 … size - 1."""

    name: str
    size: int
    kind: HeadKind = HeadKind.category

    def __post_init__(self) -> None:
        check_ranges(self, f"classifier.{self.name}", "size", 2, 100000)


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """The image, the diffusion whose states are classified, the network, and the heads."""

    channels: int = 3
    size: int = 32  # height = width, pixels
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    unet: UNetConfig = field(
        default_factory=lambda: UNetConfig(base=16, multipliers=(1, 2, 2), attention=(False, False, False), unshuffle=2)
    )
    n_bins: int = 10  # of time, in each of which the residuals of `value` heads are measured
    heads: tuple[HeadConfig, ...]

    def __post_init__(self) -> None:
        check_ranges(self, "classifier", "channels", 1, 64)
        check_ranges(self, "classifier", "size", 4, MAX_SIZE)
        check_ranges(self, "classifier", "n_bins", 1, 1000)
        names = [head.name for head in self.heads]
        if not names or len({*names}) != len(names):
            raise ConfigError(f"classifier.heads: found {names}, expected at least one, each with a name of its own.")


class NoisyClassifier(nn.Module):
    """The encoder half of a U-Net on (x_t, t), group norm, SiLU, the mean over pixels, and a linear head for each attribute.

    The heads share one trunk, so what the attributes have in common given x_t is learned together. A batch equals its singles.

    Attributes:
        residual: variance of what each head of kind `value` misses in each bin of time, (n_bins, heads), a buffer.

    Source: Dhariwal and Nichol 2021, with several heads.
    """

    residual: Tensor

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        u = config.unet
        check_sizes(u.base, u.multipliers, u.blocks, u.attention, u.unshuffle)
        self.config = config
        sizes = BlockSizes(time_dim=4 * u.base, heads=u.heads, dropout=u.dropout)
        widths = [u.base * m for m in u.multipliers]
        self.time = nn.Sequential(nn.Linear(u.base, 4 * u.base), nn.SiLU(), nn.Linear(4 * u.base, 4 * u.base))
        self.stem = nn.Conv2d(config.channels * u.unshuffle**2, u.base, 3, padding=1)
        self.down = DownPath(widths, u.blocks, u.attention, sizes)
        self.middle = Middle(widths[-1], sizes)
        self.norm = group_norm(widths[-1])
        outputs = [1 if head.kind is HeadKind.value else head.size for head in config.heads]
        self.heads = nn.ModuleList(nn.Linear(widths[-1], n) for n in outputs)
        self.register_buffer("residual", torch.full((config.n_bins, len(config.heads)), FIRST_RESIDUAL))

    @property
    def schedule(self) -> Schedule:
        """Of the states it knows."""
        return build_schedule(self.config.diffusion)

    def forward(self, x: Tensor, t: Tensor) -> list[Tensor]:
        """States x (B, C, H, W) at times t (B,) -> for each head logits (B, size), or values (B, 1).

        Raises:
            ValueError: if the states are of another shape.
        """
        c = self.config
        if x.shape[1:] != (c.channels, c.size, c.size):
            raise ValueError(f"images must be (B, {c.channels}, {c.size}, {c.size}), found {tuple(x.shape)}.")
        time = self.time(sinusoidal_embedding(t, c.unet.base).to(x.dtype))
        h = self.down(self.stem(F.pixel_unshuffle(x, c.unet.unshuffle)), time, None)[-1]
        features = F.silu(self.norm(self.middle(h, time, None))).mean((2, 3))
        return [head(features) for head in self.heads]

    def variance(self, t: Tensor) -> Tensor:
        """The residual variance of each head at times t (B,), (B, heads)."""
        bins = (t * self.config.n_bins).long().clamp(0, self.config.n_bins - 1)
        return self.residual[bins]

    def log_probs(self, x: Tensor, t: Tensor, wishes: Sequence[Wish]) -> Tensor:
        """ln p_t(wish | x) of each wish, (K, B), up to a constant for values.

        Raises:
            ValueError: if there is no such attribute, or a value is out of its range.
        """
        outputs, variances = self(x, t), self.variance(t)
        rows = []
        for wish in wishes:
            i = self.index(wish.name)
            head = self.config.heads[i]
            wish.check(head.size, head.kind is HeadKind.value)
            rows.append(log_prob_of(wish, outputs[i], variances[:, i] if head.kind is HeadKind.value else None))
        return torch.stack(rows)

    def guide(self, base: Denoiser, wishes: Sequence[Wish], rules: Sequence[Rule] = ()) -> Composite:
        """`guided` by the wishes: the denoiser `base` of states of `schedule`, drawn to what is asked."""
        weights, intervals = [wish.weight for wish in wishes], [wish.interval for wish in wishes]
        log_probs = partial(self.log_probs, wishes=wishes)
        return guided(base, self.schedule, log_probs, weights, intervals=intervals, rules=rules)

    def index(self, name: str) -> int:
        """Which head is of this name.

        Raises:
            ValueError: if none is.
        """
        names = [head.name for head in self.config.heads]
        if name not in names:
            raise ValueError(f"no attribute {name!r}. Attributes of this classifier: {', '.join(names)}.")
        return names.index(name)

    def require(self, model: DiffusionModelBase) -> None:
        """Raises ModelError unless the model diffuses images of this size by this schedule, so that one t means one noise."""
        mine, theirs = self.config, model.config
        pairs = [(n, getattr(mine.diffusion, n), getattr(theirs.diffusion, n)) for n in SCHEDULE_FIELDS]
        pairs += [("channels", mine.channels, theirs.channels), ("size", mine.size, theirs.size)]
        differing = [f"{name}: {their} here {my}" for name, my, their in pairs if my != their]
        if differing or not model.diffuses_pixels:
            raise ModelError(
                f"the classifier does not fit the model: {'; '.join(differing) or 'the model diffuses latents'}. Train one on "
                "the states of this model."
            )

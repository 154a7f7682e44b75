"""Configurations of the first stages: what stands between pixels and the space that is diffused."""

from dataclasses import dataclass
from enum import Enum

from tts.config import check_ranges
from tts.errors import ConfigError

MAX_WIDTH, MAX_LEVELS = 8192, 8  # beyond these a configuration is damaged or hostile


class StageKind(str, Enum):
    """`identity` diffuses pixels, `vq` latents near a codebook, `kl` latents with a Gaussian posterior."""

    identity = "identity"
    vq = "vq"
    kl = "kl"


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """What every first stage has."""

    kind: StageKind
    channels: int = 3  # of the images

    def __post_init__(self) -> None:
        check_ranges(self, "stage", "channels", 1, 64)


@dataclass(frozen=True, kw_only=True)
class IdentityConfig(StageConfig):
    """Pixels as they are."""

    kind: StageKind = StageKind.identity


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(StageConfig):
    """Sizes and losses that `vq` and `kl` share."""

    width: int = 32  # channels of the first level, a multiple of 4
    multipliers: tuple[int, ...] = (1, 2)  # channels of each level / width; every level halves the image
    blocks: int = 1  # residual blocks a level
    latent_channels: int = 3
    perceptual: float = 0.0  # weight of the distance on features of efficientnet-lite0; above 0 needs the extra `features`
    adversarial: float = 0.0  # weight of the hinge term beside its adaptive one; 0 builds no discriminator

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "stage", "width", 4, MAX_WIDTH)
        check_ranges(self, "stage", "multipliers blocks latent_channels", 1, 64)
        check_ranges(self, "stage", "perceptual adversarial", 0, 1e3)
        if self.width % 4 or len(self.multipliers) > MAX_LEVELS:
            raise ConfigError(
                f"stage: found width {self.width} and {len(self.multipliers)} levels, expected a multiple of 4 and "
                f"at most {MAX_LEVELS} levels."
            )

    @property
    def factor(self) -> int:
        """Pixels along a side of a latent."""
        return 2 ** len(self.multipliers)

    @property
    def widths(self) -> list[int]:
        """Channels of each level."""
        return [self.width * m for m in self.multipliers]


@dataclass(frozen=True, kw_only=True)
class VqConfig(AutoencoderConfig):
    """Vector quantisation with a codebook of moving averages."""

    kind: StageKind = StageKind.vq
    n_codes: int = 512
    decay: float = 0.99  # of the moving averages
    commitment: float = 0.25  # weight of |latent - code|^2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "stage", "n_codes", 2, 65536)
        check_ranges(self, "stage", "decay", 0, 0.99999)
        check_ranges(self, "stage", "commitment", 0, 1e3)


@dataclass(frozen=True, kw_only=True)
class KlConfig(AutoencoderConfig):
    """A variational autoencoder whose prior is hardly felt."""

    kind: StageKind = StageKind.kl
    kl: float = 1e-6  # weight of the divergence, in nats per number of the image

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "stage", "kl", 0, 1e3)


STAGE_CONFIGS: dict[StageKind, type[StageConfig]] = {
    StageKind.identity: IdentityConfig,
    StageKind.vq: VqConfig,
    StageKind.kl: KlConfig,
}

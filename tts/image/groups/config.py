"""Configuration of the homomorphism autoencoder and of what its codes are moved by."""

from dataclasses import dataclass
from enum import Enum

from tts.config import check_ranges
from tts.errors import ConfigError
from tts.image.config import MAX_LAYERS, MAX_WIDTH
from tts.image.vae_config import Likelihood

MAX_BLOCK = 64


class TransitionKind(str, Enum):
    """What moves a code: `group` exp of a learned map to the algebra, `steps` exp of a linear one, `free` any network."""

    group = "group"
    steps = "steps"
    free = "free"


@dataclass(frozen=True, kw_only=True)
class HaeConfig:
    """Sizes of a homomorphism autoencoder.

    blocks: dimensions of the blocks of rho; one block for an unknown structure, with `soft_weight` above 0.
    free_units: further numbers of a code that no action moves, for what stays, such as a shape.
    normalise: whether each block of a code has norm 1. On such a torus an untrained encoder has a degree that small steps
        cannot change, so training often ends in a fold; without it the variance in the loss keeps codes from collapsing.
    """

    size: int  # pixels along a side
    channels: int = 1
    action_dim: int = 2
    blocks: tuple[int, ...] = (2, 2)
    free_units: int = 0
    transition: TransitionKind = TransitionKind.group
    normalise: bool = False
    width: int = 128  # of encoder and decoder
    layers: int = 2
    phi_width: int = 64
    phi_layers: int = 2
    soft_weight: float = 0.0
    likelihood: Likelihood = Likelihood.bernoulli
    pixel_std: float = 1.0  # of `gaussian`, in units of the images, which span [-1, 1]

    def __post_init__(self) -> None:
        check_ranges(self, "hae", "size", 1, 256)
        check_ranges(self, "hae", "channels action_dim width phi_width", 1, MAX_WIDTH)
        check_ranges(self, "hae", "blocks", 1, MAX_BLOCK)
        check_ranges(self, "hae", "free_units", 0, MAX_BLOCK)
        check_ranges(self, "hae", "layers phi_layers", 1, MAX_LAYERS)
        check_ranges(self, "hae", "soft_weight", 0, 1e6)
        check_ranges(self, "hae", "pixel_std", 1e-3, 1e3)
        if self.transition is TransitionKind.steps and self.action_dim > 1 + len(self.blocks):
            raise ConfigError(
                f"hae.action_dim: found {self.action_dim}, expected 1 to {1 + len(self.blocks)}: the change of log-SNR and one "
                "attribute for each block."
            )

    @property
    def code_dim(self) -> int:
        """D, how many numbers a code has."""
        return sum(self.blocks) + self.free_units

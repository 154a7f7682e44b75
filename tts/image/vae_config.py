"""Configurations of the variational autoencoders; the defaults are the field's where the field agrees."""

from dataclasses import dataclass
from enum import Enum

from tts.config import check_ranges
from tts.errors import ConfigError
from tts.image.config import MAX_LAYERS, MAX_WIDTH, Kind, ModelConfig

SIZES = (8, 16, 32, 64)  # pixels; each halves down to SMALLEST
SMALLEST = 4
MAX_WEIGHT = 1e6  # of a term of a loss


class Likelihood(str, Enum):
    """What a pixel is given the code: `bernoulli` (the field's for flat images) or `gaussian` of the deviation `pixel_std`."""

    bernoulli = "bernoulli"
    gaussian = "gaussian"


class DipKind(str, Enum):
    """Whose covariance is held to the identity: `i` that of the posterior means, `ii` that of the codes."""

    i = "i"
    ii = "ii"


@dataclass(frozen=True, kw_only=True)
class VaeConfig(ModelConfig):
    """A plain VAE, which minimises reconstruction + KL; the networks of all of them."""

    kind: Kind = Kind.vae
    width: int = 32  # channels of the first convolutions; the later ones have twice as many
    hidden: int = 256  # width of the fully connected layer on either side of the code
    likelihood: Likelihood = Likelihood.bernoulli
    pixel_std: float = 1.0  # of `gaussian`, in units of the images, which span [-1, 1]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "unit_dim", 1, 1)
        check_ranges(self, "model", "width hidden", 1, MAX_WIDTH)
        check_ranges(self, "model", "pixel_std", 1e-3, 1e3)
        if self.size not in SIZES:
            raise ConfigError(f"model.size: found {self.size}, expected one of {', '.join(map(str, SIZES))} for a VAE.")


@dataclass(frozen=True, kw_only=True)
class BetaVaeConfig(VaeConfig):
    """beta-VAE: reconstruction + beta KL."""

    kind: Kind = Kind.betavae
    beta: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "beta", 0, MAX_WEIGHT)


@dataclass(frozen=True, kw_only=True)
class AnnealedVaeConfig(VaeConfig):
    """Annealed beta-VAE: reconstruction + gamma |KL - C|, C climbing from 0 to `capacity` in the first `ramp` of training."""

    kind: Kind = Kind.annealedvae
    gamma: float = 1000.0
    capacity: float = 25.0  # nats
    ramp: float = 1 / 3  # share of the training; 100 k of 300 k steps in disentanglement_lib

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "gamma capacity", 0, MAX_WEIGHT)
        check_ranges(self, "model", "ramp", 1e-6, 1)


@dataclass(frozen=True, kw_only=True)
class FactorVaeConfig(VaeConfig):
    """FactorVAE: reconstruction + KL + gamma TC, the total correlation as a discriminator sees it."""

    kind: Kind = Kind.factorvae
    gamma: float = 20.0
    discriminator_width: int = 1000
    discriminator_layers: int = 6  # hidden ones

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "gamma", 0, MAX_WEIGHT)
        check_ranges(self, "model", "discriminator_width", 1, MAX_WIDTH)
        check_ranges(self, "model", "discriminator_layers", 1, MAX_LAYERS)


@dataclass(frozen=True, kw_only=True)
class TcVaeConfig(VaeConfig):
    """beta-TCVAE: reconstruction + KL + (beta - 1) TC, the total correlation estimated in the batch."""

    kind: Kind = Kind.tcvae
    beta: float = 6.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "beta", 0, MAX_WEIGHT)


@dataclass(frozen=True, kw_only=True)
class DipVaeConfig(VaeConfig):
    """DIP-VAE: reconstruction + KL + weights on a covariance's distance from the identity, off and on its diagonal."""

    kind: Kind = Kind.dipvae
    covariance: DipKind = DipKind.i
    off_diagonal: float = 10.0
    diagonal: float = 100.0  # the field: 10 off_diagonal for `i`, off_diagonal for `ii`

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "off_diagonal diagonal", 0, MAX_WEIGHT)


@dataclass(frozen=True, kw_only=True)
class InfoVaeConfig(VaeConfig):
    """InfoVAE: reconstruction + (1 - alpha) KL + (alpha + lambda - 1) MMD; alpha = 1 is MMD-VAE."""

    kind: Kind = Kind.infovae
    alpha: float = 1.0  # at most 1, or the KL would be driven up without bound
    divergence: float = 1000.0  # lambda; the reconstruction is a sum over pixels, the MMD a number below 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "alpha", -MAX_WEIGHT, 1)
        check_ranges(self, "model", "divergence", 0, MAX_WEIGHT)
        if self.mmd_weight < 0:
            raise ConfigError(f"model: alpha + divergence - 1 must not be below 0, found {self.mmd_weight:g}.")

    @property
    def kl_weight(self) -> float:
        """Weight of the KL of each posterior from the prior."""
        return 1 - self.alpha

    @property
    def mmd_weight(self) -> float:
        """Weight of the divergence of all codes together from the prior."""
        return self.alpha + self.divergence - 1


@dataclass(frozen=True, kw_only=True)
class GuidedVaeConfig(VaeConfig):
    """Supervised Guided-VAE: unit i alone knows label column attributes[i], whose values are 0 … classes[i] - 1.

    A training puts all labels of its images that vary, as many as there are units but one, in the place of none.
    """

    kind: Kind = Kind.guidedvae
    n_units: int = 16
    likelihood: Likelihood = Likelihood.gaussian
    pixel_std: float = 2**0.5  # makes the loss the sum of squared errors of pixels in [0, 1], as published
    attributes: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()
    weight: float = 200.0  # of excitation and of inhibition
    classifier_width: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.attributes:
            check_ranges(self, "model", "attributes", 0, 1000)
        if self.classes:
            check_ranges(self, "model", "classes", 2, MAX_WIDTH)
        check_ranges(self, "model", "weight", 0, MAX_WEIGHT)
        check_ranges(self, "model", "classifier_width", 1, MAX_WIDTH)
        if len(self.classes) != len(self.attributes) or len(set(self.attributes)) != len(self.attributes):
            raise ConfigError(
                f"model.classes: found {self.classes} for the attributes {self.attributes}, expected one count for each, and "
                "each attribute once."
            )
        if self.n_units <= len(self.attributes):
            raise ConfigError(f"model.n_units: found {self.n_units}, expected more than the {len(self.attributes)} attributes.")


@dataclass(frozen=True, kw_only=True)
class DeformableVaeConfig(VaeConfig):
    """Unsupervised Guided-VAE: unit 0 is scale and unit 1 rotation, by a second decoder that can do no more with them."""

    kind: Kind = Kind.deformablevae
    light_weight: float = 0.5  # of the reconstruction by deformable PCA
    orthogonality: float = 1 / 128  # of sum |off-diagonal of W^T W|; published: 1 a batch of 128

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "light_weight orthogonality", 0, MAX_WEIGHT)
        check_ranges(self, "model", "n_units", 3, MAX_WIDTH)

"""What the configurations of all image models share: the kind, the image, the code, the diffusion, the networks."""

from dataclasses import dataclass, field
from enum import Enum

from tts.config import check_ranges
from tts.diffusion.parametrization import ParametrizationKind
from tts.errors import ConfigError
from tts.image.stage_config import KlConfig, VqConfig

MAX_SIZE, MAX_WIDTH, MAX_LAYERS = 1024, 8192, 128  # beyond these a configuration is damaged or hostile


class Kind(str, Enum):
    """The method; the key of `tts.image.registry.MODELS`."""

    first_stage = "first_stage"
    ddpm = "ddpm"
    labelled = "labelled"
    diffae = "diffae"
    encdiff = "encdiff"
    infodiffusion = "infodiffusion"
    pdae = "pdae"
    disdiff = "disdiff"
    clip_guided = "clip_guided"
    contrastive = "contrastive"
    vae = "vae"
    betavae = "betavae"
    annealedvae = "annealedvae"
    factorvae = "factorvae"
    tcvae = "tcvae"
    infovae = "infovae"
    dipvae = "dipvae"
    guidedvae = "guidedvae"
    deformablevae = "deformablevae"


class ScheduleKind(str, Enum):
    """`cosine` (Nichol and Dhariwal), `vp_linear` (Ho et al., continuous), `sub_vp`, `variance_exploding` (Song et al.).

    The last two are the published processes divided by their own scale, so that one state, one loss and all samplers serve all.
    """

    cosine = "cosine"
    vp_linear = "vp_linear"
    sub_vp = "sub_vp"
    variance_exploding = "variance_exploding"


SCHEDULE_FIELDS = ("schedule", "beta_min", "beta_max", "sigma_min", "sigma_max", "shift")  # of `DiffusionConfig`: what t means


class Weighting(str, Enum):
    """Weight of the squared error over time; see tts.diffusion.losses.WEIGHTINGS."""

    unit = "unit"
    eps = "eps"
    v = "v"
    x0 = "x0"
    min_snr = "min_snr"
    pdae = "pdae"


class TimesKind(str, Enum):
    """Where in time a batch is measured; see tts.diffusion.TimeSampler."""

    uniform = "uniform"
    log_snr = "log_snr"
    gap = "gap"


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig:
    """Schedule, parametrization, and where and how the denoising error is measured."""

    schedule: ScheduleKind = ScheduleKind.cosine
    beta_min: float = 0.1  # of vp_linear and sub_vp
    beta_max: float = 20.0
    sigma_min: float = 0.01  # of variance_exploding, in the units of images in [-1, 1]
    sigma_max: float = 50.0
    shift: float = 4.0  # sigma / alpha times this at every t: 4 suits flat synthetic images, 1 is the schedule as it is
    parametrization: ParametrizationKind = ParametrizationKind.preconditioned
    weighting: Weighting = Weighting.unit
    times: TimesKind = TimesKind.uniform
    t_min: float = 1e-3  # smallest time of training

    def __post_init__(self) -> None:
        check_ranges(self, "model.diffusion", "beta_max", 0, 1000)
        check_ranges(self, "model.diffusion", "shift", 0.01, 100)
        check_ranges(self, "model.diffusion", "t_min", 1e-6, 0.5)
        if not 0 < self.beta_min <= self.beta_max:
            raise ConfigError(f"model.diffusion: need 0 < beta_min <= beta_max, found {self.beta_min} and {self.beta_max}.")
        check_ranges(self, "model.diffusion", "sigma_max", 0, 10000)
        if not 0 < self.sigma_min < self.sigma_max:
            raise ConfigError(f"model.diffusion: need 0 < sigma_min < sigma_max, found {self.sigma_min} and {self.sigma_max}.")


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Sizes of the `ImageUNet`; the defaults are for 32 x 32 pixels on a small machine."""

    base: int = 48  # channels of the first level
    multipliers: tuple[int, ...] = (1, 2)  # channels of each level / base
    blocks: int = 1  # residual blocks a level
    attention: tuple[bool, ...] = (True, True)  # at each level
    heads: int = 4
    unshuffle: int = 4  # pixels along a side that the first level has as one; a first stage's are part of them
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, "model.unet", "base heads", 1, MAX_WIDTH)
        check_ranges(self, "model.unet", "multipliers blocks unshuffle", 1, MAX_LAYERS)
        check_ranges(self, "model.unet", "dropout", 0, 0.99)
        if len(self.attention) != len(self.multipliers):
            raise ConfigError(
                f"model.unet.attention: found {len(self.attention)} values, expected one for each of the "
                f"{len(self.multipliers)} multipliers."
            )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The image and the code of a `RepresentationModel`; every method's own configuration extends it.

    The code of an image is z (n_units, unit_dim): units of so many numbers each, 1 for scalars.
    """

    kind: Kind
    channels: int = 3
    size: int = 32  # height = width, pixels
    n_units: int = 10
    unit_dim: int = 1

    def __post_init__(self) -> None:
        check_ranges(self, "model", "channels", 1, 64)
        check_ranges(self, "model", "size", 4, MAX_SIZE)
        check_ranges(self, "model", "n_units", 0 if self.kind in (Kind.ddpm, Kind.labelled, Kind.first_stage) else 1, MAX_WIDTH)
        check_ranges(self, "model", "unit_dim", 1, MAX_WIDTH)

    @property
    def code_dim(self) -> int:
        """Numbers in the whole code."""
        return self.n_units * self.unit_dim


@dataclass(frozen=True, kw_only=True)
class DiffusionModelConfig(ModelConfig):
    """What every diffusion model has beside its image and code; with `vq` or `kl` it diffuses latents, not pixels."""

    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    unet: UNetConfig = field(default_factory=UNetConfig)
    vq: VqConfig | None = None
    kl: KlConfig | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vq is not None and self.kl is not None:
            raise ConfigError("model: found both vq and kl, expected one first stage at most.")
        if self.stage is not None and self.stage.channels != self.channels:
            raise ConfigError(f"model: the first stage has {self.stage.channels} channels, the images have {self.channels}.")

    def check_size(self) -> None:
        """Refuse images that the U-Net cannot halve as often as it has levels; once their size is known.

        Raises:
            ConfigError: if so.
        """
        pixels = (1 if self.stage is None else self.stage.factor) * self.unet.unshuffle * 2 ** (len(self.unet.multipliers) - 1)
        if self.size % pixels:
            raise ConfigError(
                f"train.size: found {self.size}, expected a multiple of {pixels}, the pixels along a side of one place in the "
                "last level of model.unet."
            )

    @property
    def stage(self) -> VqConfig | KlConfig | None:
        """The first stage, or None where pixels are diffused."""
        return self.vq or self.kl

    @property
    def state_channels(self) -> int:
        """Planes of what is diffused."""
        return self.channels if self.stage is None else self.stage.latent_channels


@dataclass(frozen=True, kw_only=True)
class EncodedModelConfig(DiffusionModelConfig):
    """A diffusion method with an `ImageEncoder`."""

    encoder_width: int = 32  # channels of the first convolution of the encoder

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "encoder_width", 1, MAX_WIDTH)

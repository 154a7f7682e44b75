"""Sizes and choices of the source-filter model; the presets in conf/ only override them."""

from dataclasses import dataclass, field
from enum import Enum

from tts.config import AudioConfig, check_ranges
from tts.data.content_file import ContentKind
from tts.diffusion.parametrization import ParametrizationKind
from tts.errors import ConfigError
from tts.text.frontends import FRONTENDS

MAX_WIDTH, MAX_LAYERS = 8192, 128  # of any network; beyond these a configuration is damaged or hostile


class DenoiserKind(str, Enum):
    """`unet1d` (fast, mel bins as channels) or `unet2d` (the paper's, mel as an image)."""

    unet1d = "unet1d"
    unet2d = "unet2d"


class DenoiserInputs(str, Enum):
    """What a denoiser sees beside its state: `own` prior (the paper) or `all` priors and its attribute's embedding."""

    own = "own"
    all = "all"


class Attribute(str, Enum):
    """A prior: `source` (the glottis), `filter` (the vocal tract), `average` (the mean mel of each phone over all speakers)."""

    source = "source"
    filter = "filter"
    average = "average"


class PitchKind(str, Enum):
    """`continuous` (pitch and voicing as they are) or `vq` (the paper's: codes of a frozen F0 VQ-VAE)."""

    continuous = "continuous"
    vq = "vq"


@dataclass(frozen=True, kw_only=True)
class TextEncoderConfig:
    """Phones to contextual phone vectors, and the predictors that stand on them."""

    channels: int = 192
    layers: int = 4
    heads: int = 2
    hidden: int = 384
    kernel_size: int = 3
    dropout: float = 0.1
    predictor_channels: int = 192
    predictor_dropout: float = 0.3  # duration and pitch overfit long before the priors do

    def __post_init__(self) -> None:
        check_ranges(self, "model.text", "channels heads hidden predictor_channels", 1, MAX_WIDTH)
        check_ranges(self, "model.text", "layers kernel_size", 1, MAX_LAYERS)
        check_ranges(self, "model.text", "dropout predictor_dropout", 0, 0.99)
        if self.channels % self.heads:
            raise ConfigError(f"model.text: {self.channels} channels do not divide among {self.heads} heads.")
        _check_odd(self.kernel_size, "model.text.kernel_size")


@dataclass(frozen=True, kw_only=True)
class PriorConfig:
    """One WaveNet prior decoder; the defaults are the paper's."""

    channels: int = 128
    layers: int = 8
    kernel_size: int = 5
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, "model.prior", "channels", 1, MAX_WIDTH)
        check_ranges(self, "model.prior", "layers kernel_size", 1, MAX_LAYERS)
        check_ranges(self, "model.prior", "dropout", 0, 0.99)
        _check_odd(self.kernel_size, "model.prior.kernel_size")


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """One score network an attribute."""

    kind: DenoiserKind = DenoiserKind.unet1d
    inputs: DenoiserInputs = DenoiserInputs.all
    dim: int = 128  # width of unet2d
    channels: tuple[int, ...] = (128, 192)  # widths of the levels of unet1d
    parametrization: ParametrizationKind = ParametrizationKind.preconditioned

    def __post_init__(self) -> None:
        check_ranges(self, "model.denoiser", "dim channels", 1, MAX_WIDTH)


@dataclass(frozen=True, kw_only=True)
class ContentConfig:
    """The audio entrance to the content, for models that convert voices; set from the `content.json` of the features."""

    kind: ContentKind = ContentKind.none
    dim: int = 0  # features a frame
    n_phones: int = 0  # how many of them, the first, are phone posteriors

    def __post_init__(self) -> None:
        check_ranges(self, "model.content", "dim", 0, MAX_WIDTH)
        check_ranges(self, "model.content", "n_phones", 0, self.dim)


@dataclass(frozen=True, kw_only=True)
class F0VqVaeConfig:
    """The F0 VQ-VAE; the defaults are the paper's but for the frame rate, which is that of the mel."""

    frame_rate: float = 62.5  # mel frames per second
    n_codes: int = 20
    code_dim: int = 128
    channels: int = 32
    depth: int = 4  # residual layers of a block, the d-th dilated by 3^d
    decay: float = 0.99  # of the codebook's moving averages

    def __post_init__(self) -> None:
        check_ranges(self, "f0_vqvae", "frame_rate", 1, 1000)
        check_ranges(self, "f0_vqvae", "n_codes code_dim channels", 1, MAX_WIDTH)
        check_ranges(self, "f0_vqvae", "depth", 1, 8)
        check_ranges(self, "f0_vqvae", "decay", 0, 0.9999999)


@dataclass(frozen=True, kw_only=True)
class SpeechConfig:
    """The source-filter model: text or audio content and pitch to prior mels, and their denoisers."""

    audio: AudioConfig = field(default_factory=AudioConfig)
    frontend: str = "espeak"
    n_tokens: int = 0  # set from tokens.txt
    content: ContentConfig = field(default_factory=ContentConfig)
    attributes: tuple[Attribute, ...] = (Attribute.source, Attribute.filter)
    content_dim: int = 128
    style_dim: int = 256
    style_hidden: int = 256
    text: TextEncoderConfig = field(default_factory=TextEncoderConfig)
    pitch: PitchKind = PitchKind.continuous
    f0_vqvae: F0VqVaeConfig = field(default_factory=F0VqVaeConfig)  # of pitch `vq`; set from the folder of the trained one
    prior: PriorConfig = field(default_factory=PriorConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    beta_min: float = 0.05
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        check_ranges(self, "model", "content_dim style_dim style_hidden", 1, MAX_WIDTH)
        check_ranges(self, "model", "n_tokens", 0, 1_000_000)
        check_ranges(self, "model", "beta_max", 0, 1000)
        if not 0 < self.beta_min <= self.beta_max:
            raise ConfigError(f"model: need 0 < beta_min <= beta_max, found {self.beta_min} and {self.beta_max}.")
        if self.attributes[:2] != (Attribute.source, Attribute.filter) or len(set(self.attributes)) < len(self.attributes):
            raise ConfigError(
                f"model.attributes: found {', '.join(a.value for a in self.attributes)}, expected source, filter, and perhaps "
                "average after them."
            )
        if Attribute.average in self.attributes and self.content.kind not in (ContentKind.none, ContentKind.ppg):
            raise ConfigError(
                f"model.attributes: the average prior needs the phones of a recording, which {self.content.kind.value} content "
                "does not tell. Use ppg content, or leave average out."
            )
        if self.frontend not in FRONTENDS:
            raise ConfigError(f"model.frontend: found {self.frontend!r}, expected {' or '.join(FRONTENDS)}.")
        if self.pitch is PitchKind.vq and self.f0_vqvae.frame_rate != self.audio.frame_rate:
            raise ConfigError(
                f"model.f0_vqvae.frame_rate: found {self.f0_vqvae.frame_rate:g}, the mel has {self.audio.frame_rate:g} frames "
                "per second. Give an F0 VQ-VAE that `glottis train-pitch` trained on features of this mel."
            )


def _check_odd(size: int, where: str) -> None:
    if size % 2 == 0:
        raise ConfigError(f"{where}: found {size}, expected an odd number.")

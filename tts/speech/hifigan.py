"""HiFi-GAN: SpeechBrain's generator behind our typed configuration, and the model folder of a vocoder."""

import math
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from tts.config import AudioConfig, from_dict, to_dict
from tts.data.files import atomic_path, read_json, write_json, write_text
from tts.errors import ConfigError, ModelError
from tts.nets.weights import load_weights
from tts.speech.griffin_lim import check_mel

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
_PRE_KERNEL = 7  # of the first convolution, in mel frames


class VocoderKind(str, Enum):
    """The architectures a vocoder folder may hold."""

    hifigan = "hifigan"


class ResBlock(str, Enum):
    """`paired`: each dilated convolution is followed by a plain one (HiFi-GAN's type 1); `single`: it is not (type 2)."""

    paired = "paired"
    single = "single"


@dataclass(frozen=True, kw_only=True)
class VocoderConfig:
    """A HiFi-GAN generator and the mel it takes; the default is V1 at 16 kHz."""

    kind: VocoderKind = VocoderKind.hifigan
    audio: AudioConfig = field(default_factory=AudioConfig)
    initial_channels: int = 512  # halved by every upsampling
    upsample_factors: tuple[int, ...] = (8, 8, 2, 2)  # their product is the hop
    upsample_kernels: tuple[int, ...] = (16, 16, 4, 4)
    resblock: ResBlock = ResBlock.paired
    resblock_kernels: tuple[int, ...] = (3, 7, 11)
    resblock_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))

    def __post_init__(self) -> None:
        hop, product = self.audio.hop_length, math.prod(self.upsample_factors)
        if product != hop or min(self.upsample_factors, default=0) < 2:
            raise ConfigError(
                f"vocoder: upsample_factors {self.upsample_factors} multiply to {product}, expected factors of at least 2 that "
                f"multiply to hop_length {hop}."
            )
        pairs = zip(self.upsample_kernels, self.upsample_factors, strict=False)
        if len(self.upsample_kernels) != len(self.upsample_factors) or any(k < u or (k - u) % 2 for k, u in pairs):
            raise ConfigError(
                f"vocoder: upsample_kernels {self.upsample_kernels} must be one for each of upsample_factors "
                f"{self.upsample_factors}, at least as large and larger by an even number."
            )
        if self.initial_channels < 1 or self.initial_channels % 2 ** len(self.upsample_factors):
            raise ConfigError(
                f"vocoder: initial_channels {self.initial_channels} must be a multiple of {2 ** len(self.upsample_factors)}."
            )
        depth = 3 if self.resblock is ResBlock.paired else 2
        if (
            not self.resblock_kernels
            or any(k < 1 or k % 2 == 0 for k in self.resblock_kernels)
            or [len(d) for d in self.resblock_dilations] != [depth] * len(self.resblock_kernels)
            or any(d < 1 for ds in self.resblock_dilations for d in ds)
        ):
            raise ConfigError(
                f"vocoder: resblock_kernels {self.resblock_kernels} must be odd and resblock_dilations "
                f"{self.resblock_dilations} {depth} positive numbers for each of them."
            )

    @property
    def min_frames(self) -> int:
        """The fewest mel frames whose reflections fill the padding of every convolution."""
        widest = max((k - 1) * max(ds) // 2 for k, ds in zip(self.resblock_kernels, self.resblock_dilations, strict=True))
        return max(_PRE_KERNEL // 2, widest // self.upsample_factors[0]) + 1

    @property
    def context_frames(self) -> int:
        """Mel frames on either side that a sample depends on, added up over the layers and rounded up."""
        frames, rate = float(_PRE_KERNEL // 2), 1
        paired = self.resblock is ResBlock.paired
        kernels = list(zip(self.resblock_kernels, self.resblock_dilations, strict=True))
        for factor, kernel in zip(self.upsample_factors, self.upsample_kernels, strict=True):
            frames += kernel / factor / rate
            rate *= factor
            frames += max(sum((k - 1) // 2 * (d + paired) for d in ds) for k, ds in kernels) / rate
        return math.ceil(frames + (_PRE_KERNEL // 2) / rate)


_SHAPES: dict[tuple[str, int], dict[str, Any]] = {
    ("v1", 256): {},
    ("v1", 320): {"upsample_factors": (5, 4, 4, 2, 2), "upsample_kernels": (11, 8, 8, 4, 4)},
    ("light", 256): {"upsample_factors": (8, 8, 4), "upsample_kernels": (16, 16, 8)},
    ("light", 320): {"upsample_factors": (8, 8, 5), "upsample_kernels": (16, 16, 11)},
}
_LIGHT: dict[str, Any] = {
    "initial_channels": 256,
    "resblock": ResBlock.single,
    "resblock_kernels": (3, 5, 7),
    "resblock_dilations": ((1, 2), (2, 6), (3, 12)),
}
PRESETS = ("v1", "light")


def vocoder_preset(name: str, audio: AudioConfig) -> VocoderConfig:
    """The generator `v1` (13.9 M parameters) or `light` (V3 of the paper, 1.5 M) for a mel with a hop of 256 or 320 samples.

    Raises:
        ConfigError: for another name or hop.

    Source: Kong et al. 2020, "HiFi-GAN", appendix A.1; the factors for 320 are those of DDDM-VC.
    """
    if (name, audio.hop_length) not in _SHAPES:
        raise ConfigError(
            f"no vocoder preset {name!r} for hop_length {audio.hop_length}. Presets: {', '.join(PRESETS)}, for 256 and 320."
        )
    return VocoderConfig(audio=audio, **_SHAPES[name, audio.hop_length], **(_LIGHT if name == "light" else {}))


def make_generator(config: VocoderConfig) -> Any:
    """SpeechBrain's HifiganGenerator: mel (B, n_mels, T) -> wav (B, 1, T * hop_length). Weight-normalised, as for training."""
    from speechbrain.lobes.models.HifiGAN import HifiganGenerator  # seconds to import

    return HifiganGenerator(
        in_channels=config.audio.n_mels,
        out_channels=1,
        resblock_type="1" if config.resblock is ResBlock.paired else "2",
        resblock_dilation_sizes=[list(ds) for ds in config.resblock_dilations],
        resblock_kernel_sizes=list(config.resblock_kernels),
        upsample_kernel_sizes=list(config.upsample_kernels),
        upsample_initial_channel=config.initial_channels,
        upsample_factors=list(config.upsample_factors),
    )


def folded_state(generator: nn.Module) -> dict[str, Tensor]:
    """The generator's tensors with every weight normalisation multiplied out: w = g v / |v|."""
    state = {name: tensor for name, tensor in generator.state_dict().items() if ".parametrizations." not in name}
    for name, module in generator.named_modules():
        if is_parametrized(module, "weight"):
            state[f"{name}.weight"] = module.weight
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


class HifiGan(nn.Module):
    """A trained HiFi-GAN generator as a vocoder, for inference; its weight normalisation is folded."""

    def __init__(self, config: VocoderConfig, name: str = "hifigan") -> None:
        super().__init__()
        self.config, self.audio, self.name = config, config.audio, name
        self.generator = make_generator(config)
        self.generator.remove_weight_norm()

    @property
    def context_frames(self) -> int:
        """Mel frames on either side that a sample depends on."""
        return self.config.context_frames

    @torch.no_grad()
    def forward(self, mel: Tensor, first_frame: int = 0) -> Tensor:
        """The wave of a mel.

        Args:
            mel: natural-log mel, (B, n_mels, T). Fewer than `config.min_frames` frames are continued by the last one.
            first_frame: of no consequence; every frame is treated alike.

        Returns:
            wav, (B, T * hop_length) in [-1, 1].

        Raises:
            ValueError: if the shape is not (B, n_mels, T) with B, T > 0.
        """
        check_mel(mel, self.audio)
        n_frames = mel.shape[-1]
        mel = F.pad(mel, (0, max(0, self.config.min_frames - n_frames)), mode="replicate")
        return self.generator(mel).squeeze(1)[:, : n_frames * self.audio.hop_length]


def save_vocoder(folder: Path, config: VocoderConfig, generator: nn.Module, card: str) -> None:
    """Write a vocoder folder: model.safetensors (weight norm folded), README.md (`card`), config.json last; each atomically."""
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(folded_state(generator), temporary)
    write_text(folder / CARD, card)
    write_json(folder / CONFIG, to_dict(config))


def load_hifigan(folder: Path, audio: AudioConfig) -> HifiGan:
    """The vocoder of a folder that `save_vocoder` wrote, on the CPU.

    Raises:
        ConfigError: naming the key, if config.json is not that of a vocoder.
        ModelError: if the vocoder takes another mel than `audio`, or its weights are not exactly those of its configuration.
    """
    values = read_json(folder / CONFIG)
    if not isinstance(values, dict) or values.get("kind") not in [kind.value for kind in VocoderKind]:
        found = values.get("kind") if isinstance(values, dict) else type(values).__name__
        raise ModelError(
            f"{folder}: config.json has kind {found!r}, expected {VocoderKind.hifigan.value!r}. Give the folder of a vocoder."
        )
    config = from_dict(VocoderConfig, values, where=str(folder / CONFIG))
    require_same_mel(str(folder), config.audio, audio)
    try:
        with torch.device("meta"):
            vocoder = HifiGan(config, name=str(folder))
    except (RuntimeError, TypeError) as err:  # torch's words for sizes that no tensor can have
        raise ConfigError(f"{folder / CONFIG}: these sizes make no network ({str(err).splitlines()[0]}).") from err
    load_weights(vocoder.generator, folder / WEIGHTS)
    return vocoder


def require_same_mel(name: str, vocoder: AudioConfig, model: AudioConfig) -> None:
    """Raises ModelError listing the fields in which the mel of the vocoder and that of the model differ."""
    if vocoder.fingerprint() != model.fingerprint():
        raise ModelError(
            f"vocoder {name} takes another mel than this model makes (vocoder != model): "
            f"{'; '.join(vocoder.differences(model))}. Use a vocoder trained for it, or griffin_lim."
        )

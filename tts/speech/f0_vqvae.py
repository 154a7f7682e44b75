"""The F0 VQ-VAE: intonation as one of a few codes every four mel frames, and the folder of a trained one."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from tts.config import from_dict, to_dict
from tts.data.files import atomic_path, read_json, write_json, write_text
from tts.errors import ConfigError, ModelError
from tts.nets.codebook import EmaCodebook
from tts.nets.weights import load_weights
from tts.speech.config import F0VqVaeConfig

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
KIND, VERSION = "f0_vqvae", 1
FRAMES_PER_CODE = 4
_POINTS = 4  # pitch values a mel frame that the encoder sees
_BLOCKS = 4  # each halves the points: 2^4 = _POINTS * FRAMES_PER_CODE


class DilatedStack(nn.Module):
    """Residual layers x + conv1(ReLU conv3(ReLU x)), the d-th dilated by 3^d."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        dilations = [3**d for d in range(depth)]
        self.wide = nn.ModuleList(nn.Conv1d(channels, channels, 3, padding=d, dilation=d) for d in dilations)
        self.narrow = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in dilations)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, N), zero on padding; mask (B, 1, N) -> (B, C, N)."""
        for wide, narrow in zip(self.wide, self.narrow, strict=True):
            x = (x + narrow(F.relu(wide(F.relu(x))))) * mask
        return x


class F0Encoder(nn.Module):
    """Sixteen points to one latent: four strided convolutions, each followed by a dilated stack."""

    def __init__(self, config: F0VqVaeConfig) -> None:
        super().__init__()
        c = config.channels
        self.down = nn.ModuleList(nn.Conv1d(1 if i == 0 else c, c, 4, stride=2, padding=1) for i in range(_BLOCKS))
        self.stacks = nn.ModuleList(DilatedStack(c, config.depth) for _ in range(_BLOCKS))
        self.leave = nn.Conv1d(c, config.code_dim, 3, padding=1)

    def forward(self, points: Tensor, mask: Tensor) -> Tensor:
        """points (B, 1, 16 N), mask (B, 1, N) of the codes -> latents (B, D, N)."""
        x = points * mask.repeat_interleave(2**_BLOCKS, -1)
        for i, (down, stack) in enumerate(zip(self.down, self.stacks, strict=True)):
            level = mask.repeat_interleave(2 ** (_BLOCKS - 1 - i), -1)
            x = stack(down(x) * level, level)
        return self.leave(x) * mask


class F0Decoder(nn.Module):
    """One code vector to sixteen points: the mirror of the encoder, its last upsampling as wide as a code."""

    def __init__(self, config: F0VqVaeConfig) -> None:
        super().__init__()
        c, widths = config.channels, [config.channels] * (_BLOCKS - 1) + [config.code_dim]
        self.enter = nn.Conv1d(config.code_dim, c, 3, padding=1)
        self.stacks = nn.ModuleList(DilatedStack(c, config.depth) for _ in range(_BLOCKS))
        self.up = nn.ModuleList(nn.ConvTranspose1d(c, width, 4, stride=2, padding=1) for width in widths)
        self.leave = nn.Conv1d(config.code_dim, 1, 3, padding=1)

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """vectors (B, D, N), mask (B, 1, N) -> points (B, 1, 16 N)."""
        x = self.enter(vectors * mask) * mask
        for stack, up in zip(self.stacks, self.up, strict=True):
            x = stack(x, mask)
            mask = mask.repeat_interleave(2, -1)
            x = up(x) * mask
        return self.leave(x) * mask


@dataclass(frozen=True)
class F0Reconstruction:
    """What a training step needs of a batch.

    pitch: (B, T), 0 on padding; its gradient passes the quantiser straight through to the encoder.
    commitment: mean |latent - code vector|^2 / D over the codes, scalar; its gradient reaches the encoder alone.
    latents: (N, D), those of all codes that are not padding, without gradient.
    codes: (N,) int64, theirs.
    """

    pitch: Tensor
    commitment: Tensor
    latents: Tensor
    codes: Tensor


class F0VqVae(nn.Module):
    """Jukebox's VQ-VAE with one level on z-scored log-F0, as DDDM-VC uses it: 202,241 numbers, the codebook among them.

    Pitch comes as one value a mel frame, carried through unvoiced gaps. It is held after its end to a multiple of four frames
    and interpolated linearly to four points a frame, at -3/8, -1/8, 1/8 and 3/8 frames from its centre; four halvings leave one
    code for four frames. On the way back a frame is the mean of its four points. Voicing is not coded.

    Source: Polyak et al. 2021, "Speech Resynthesis from Discrete Disentangled Self-Supervised Representations"; DDDM-VC.
    """

    def __init__(self, config: F0VqVaeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = F0Encoder(config)
        self.codebook = EmaCodebook(config.n_codes, config.code_dim, config.decay)
        self.decoder = F0Decoder(config)

    def forward(self, pitch: Tensor, mask: Tensor) -> F0Reconstruction:
        """Through the codes and back, for training: pitch (B, T) z-score, mask (B, 1, T)."""
        code_mask = mask[..., ::FRAMES_PER_CODE]
        latents = self.latents(pitch, mask)
        codes = self._codes(latents)
        chosen = self.codebook.lookup(codes).transpose(1, 2)
        # straight through: the value of the code vector, the gradient of the latent
        decoded = self._decode(latents + (chosen - latents).detach(), mask)
        error = (latents - chosen).square() * code_mask
        commitment = error.sum() / (code_mask.sum() * latents.shape[1]).clamp(min=1)
        real = code_mask.squeeze(1) > 0
        return F0Reconstruction(decoded, commitment, latents.detach().transpose(1, 2)[real], codes[real])

    def latents(self, pitch: Tensor, mask: Tensor) -> Tensor:
        """The encoder's outputs (B, D, ceil(T / 4)), 0 on padding, of pitch (B, T), mask (B, 1, T)."""
        code_mask = mask[..., ::FRAMES_PER_CODE]
        frames = torch.arange(FRAMES_PER_CODE * code_mask.shape[-1], device=pitch.device)
        last = (mask.sum(-1).long() - 1).clamp(min=0)  # (B, 1)
        held = pitch.gather(1, torch.minimum(frames, last))
        points = F.interpolate(held.unsqueeze(1), scale_factor=float(_POINTS), mode="linear", align_corners=False)
        return self.encoder(points, code_mask)

    def encode(self, pitch: Tensor, mask: Tensor) -> Tensor:
        """Codes (B, ceil(T / 4)) int64, 0 on padding, of pitch (B, T) z-score, mask (B, 1, T)."""
        return self._codes(self.latents(pitch, mask)) * mask[..., ::FRAMES_PER_CODE].squeeze(1).long()

    def decode(self, codes: Tensor, mask: Tensor) -> Tensor:
        """Pitch (B, T) z-score, 0 on padding, of codes (B, ceil(T / 4)), mask (B, 1, T)."""
        return self._decode(self.codebook.lookup(codes).transpose(1, 2), mask)

    def _codes(self, latents: Tensor) -> Tensor:
        return self.codebook.nearest(latents.detach().transpose(1, 2))

    def _decode(self, vectors: Tensor, mask: Tensor) -> Tensor:
        points = self.decoder(vectors, mask[..., ::FRAMES_PER_CODE])
        return F.avg_pool1d(points, _POINTS)[:, 0, : mask.shape[-1]] * mask.squeeze(1)


@dataclass(frozen=True, kw_only=True)
class FolderConfig:
    """What config.json of the folder holds; nothing in it names code."""

    kind: str
    version: int
    model: F0VqVaeConfig


def save_f0_vqvae(folder: Path, vqvae: F0VqVae, card: str) -> None:
    """Write the folder: model.safetensors (averages of the codebook included), README.md, config.json last; each atomically."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in vqvae.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(state, temporary)
    write_text(folder / CARD, card)
    write_json(folder / CONFIG, to_dict(FolderConfig(kind=KIND, version=VERSION, model=vqvae.config)))


def read_f0_vqvae_config(folder: Path) -> F0VqVaeConfig:
    """The configuration of a folder that `save_f0_vqvae` wrote.

    Raises:
        DataError: if config.json is missing or not JSON.
        ModelError: if it is that of something else.
        ConfigError: naming the key, if a value is not what it may be.
    """
    values = read_json(folder / CONFIG)
    found = (values.get("kind"), values.get("version")) if isinstance(values, dict) else type(values).__name__
    if found != (KIND, VERSION):
        raise ModelError(
            f"{folder / CONFIG}: found kind and version {found}, expected {(KIND, VERSION)}. Give the folder that "
            "`glottis train-pitch` wrote."
        )
    return from_dict(FolderConfig, values, where=str(folder / CONFIG)).model


def load_f0_vqvae(folder: Path) -> F0VqVae:
    """The F0 VQ-VAE of a folder that `save_f0_vqvae` wrote, in eval mode, on the CPU.

    Raises:
        DataError, ConfigError: as `read_f0_vqvae_config`; also ConfigError, if the sizes make no network.
        ModelError: if the folder is another's, or its weights are not exactly those of its configuration.
    """
    config = read_f0_vqvae_config(folder)
    try:
        with torch.device("meta"):
            vqvae = F0VqVae(config)
    except (RuntimeError, TypeError) as err:  # torch's words for sizes that no tensor can have
        raise ConfigError(f"{folder / CONFIG}: these sizes make no network ({str(err).splitlines()[0]}).") from err
    load_weights(vqvae, folder / WEIGHTS)
    return vqvae.eval()

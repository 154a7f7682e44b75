"""The phone recogniser: log-mel to phone posteriors and a bottleneck at the mel's frame rate, and the folder that holds it."""

import hashlib
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tts.config import AudioConfig, check_ranges, from_dict, to_dict
from tts.data.files import atomic_path, read_json, write_json, write_text
from tts.data.statistics import STATISTICS, TOKENS, Statistics
from tts.errors import ConfigError, ModelError
from tts.nets.blocks import ChannelNorm
from tts.nets.weights import load_weights
from tts.text.tokens import Tokens

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"


class RecognizerKind(str, Enum):
    """What config.json calls a recogniser."""

    recognizer = "recognizer"


@dataclass(frozen=True, kw_only=True)
class RecognizerConfig:
    """Sizes of a recogniser, and the mel it hears; the default has 1.9 M parameters and sees half a second to either side."""

    kind: RecognizerKind = RecognizerKind.recognizer
    audio: AudioConfig = field(default_factory=AudioConfig)
    n_tokens: int = 0  # set from the data
    channels: int = 160
    kernel_size: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)  # of the blocks, one each
    bottleneck: int = 64  # H
    dropout: float = 0.05

    def __post_init__(self) -> None:
        check_ranges(self, "recognizer", "channels bottleneck", 1, 4096)
        check_ranges(self, "recognizer", "n_tokens", 0, 65536)
        check_ranges(self, "recognizer", "dilations", 1, 512)
        check_ranges(self, "recognizer", "kernel_size", 1, 63)
        check_ranges(self, "recognizer", "dropout", 0.0, 0.9)
        if self.kernel_size % 2 == 0:
            raise ConfigError(f"recognizer.kernel_size: found {self.kernel_size}, expected an odd number.")

    @property
    def content_dim(self) -> int:
        """Rows of the content features, D = n_tokens + H."""
        return self.n_tokens + self.bottleneck

    @property
    def reach(self) -> int:
        """Frames to either side that have a say in a frame's output."""
        return self.kernel_size // 2 * (sum(self.dilations) + 2)


@dataclass(frozen=True)
class Recognition:
    """What the recogniser makes of a batch; padded frames hold nothing of use in the logits, 0 in the bottleneck."""

    logits: Tensor  # (B, n_tokens, T), of the phone that sounds in each frame
    ctc_logits: Tensor  # (B, n_tokens, T), of CTC symbols, the padding symbol being the blank
    bottleneck: Tensor  # (B, H, T) in [-1, 1]


class GatedBlock(nn.Module):
    """A residual gated convolution: x + out(drop(a sigmoid(b))), (a, b) = conv(norm(x)); zero on padding."""

    def __init__(self, channels: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        padding = kernel_size // 2 * dilation
        self.conv = nn.Conv1d(channels, 2 * channels, kernel_size, padding=padding, dilation=dilation)
        self.out = nn.Conv1d(channels, channels, 1)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, T), mask (B, 1, T) -> (B, C, T)."""
        gated = nn.functional.glu(self.conv(self.norm(x) * mask), dim=1)
        return (x + self.drop(self.out(self.drop(gated)))) * mask


class PhoneRecognizer(nn.Module):
    """Gated dilated convolutions over the mel, a bounded bottleneck, and two linear heads on it.

        h = tanh(norm(W blocks(conv(conv(mel)))))                bottleneck, (H, T)
        p(phone | frame) = softmax(A h),   p_ctc = softmax(B h)

    Frame i depends on the frames within `config.reach` of it and on no other, so that long audio may be heard in pieces. The
    frame head is what gives posteriors sharp in time; CTC alone gives a spike somewhere in each phone.
    """

    def __init__(self, config: RecognizerConfig) -> None:
        super().__init__()
        self.config = config
        width, kernel = config.channels, config.kernel_size
        self.stem1 = nn.Conv1d(config.audio.n_mels, width, kernel, padding=kernel // 2)
        self.stem2 = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.blocks = nn.ModuleList(GatedBlock(width, kernel, dilation, config.dropout) for dilation in config.dilations)
        self.norm = ChannelNorm(width)
        self.squeeze = nn.Conv1d(width, config.bottleneck, 1)
        self.squeeze_norm = ChannelNorm(config.bottleneck)
        self.frame_head = nn.Conv1d(config.bottleneck, config.n_tokens, 1)
        self.ctc_head = nn.Conv1d(config.bottleneck, config.n_tokens, 1)

    def forward(self, mel: Tensor, mask: Tensor) -> Recognition:
        """Logits and bottleneck of a batch.

        Args:
            mel: (log-mel - mel_mean) / mel_std, (B, n_mels, T).
            mask: (B, 1, T), 1 = real.
        """
        x = nn.functional.gelu(self.stem1(mel * mask)) * mask
        x = nn.functional.gelu(self.stem2(x)) * mask
        for block in self.blocks:
            x = block(x, mask)
        bottleneck = torch.tanh(self.squeeze_norm(self.squeeze(self.norm(x)))) * mask  # (B, H, T)
        return Recognition(self.frame_head(bottleneck), self.ctc_head(bottleneck), bottleneck)

    def features(self, mel: Tensor, mask: Tensor) -> Tensor:
        """Content features (B, D, T): the posteriors in the order of tokens.txt, then the bottleneck; 0 on padding."""
        found = self(mel, mask)
        return torch.cat((found.logits.float().softmax(1) * mask, found.bottleneck.float()), dim=1)


@dataclass(frozen=True, kw_only=True)
class LoadedRecognizer:
    """A recogniser with all that its use needs."""

    model: PhoneRecognizer
    tokens: Tokens
    statistics: Statistics  # of its training set; its mel mean and deviation are the network's scale
    card: str  # README.md

    def fingerprint(self) -> str:
        """Sixteen hex digits that differ whenever the features would."""
        digest = hashlib.sha256(repr((to_dict(self.model.config), self.tokens.symbols)).encode())
        digest.update(repr((self.statistics.mel_mean, self.statistics.mel_std)).encode())
        for name, tensor in self.model.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


def save_recognizer(folder: Path, recognizer: LoadedRecognizer) -> None:
    """Write model.safetensors, tokens.txt, statistics.safetensors, README.md, and config.json last; each atomically."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in recognizer.model.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(state, temporary)
    recognizer.tokens.save(folder / TOKENS)
    recognizer.statistics.save(folder / STATISTICS)
    write_text(folder / CARD, recognizer.card)
    write_json(folder / CONFIG, to_dict(recognizer.model.config))


def load_recognizer(folder: Path) -> LoadedRecognizer:
    """The recogniser of a folder that `save_recognizer` wrote, on the CPU, for inference.

    Raises:
        ConfigError: naming the key, if config.json is not that of a recogniser.
        ModelError: if the folder holds something else, or its weights or tokens are not those of its configuration.
        DataError: if a file is missing or damaged.
        TextError: if tokens.txt is.
    """
    values = read_json(folder / CONFIG)
    if not isinstance(values, dict) or values.get("kind") != RecognizerKind.recognizer.value:
        found = values.get("kind") if isinstance(values, dict) else type(values).__name__
        raise ModelError(f"{folder}: config.json has kind {found!r}, expected 'recognizer'. Give the folder of a recogniser.")
    config = from_dict(RecognizerConfig, values, where=str(folder / CONFIG))
    tokens = Tokens.load(folder / TOKENS)
    if len(tokens) != config.n_tokens:
        raise ModelError(
            f"{folder}: tokens.txt has {len(tokens)} symbols, config.json {config.n_tokens}. Copy the folder again."
        )
    try:
        with torch.device("meta"):
            model = PhoneRecognizer(config)
    except (RuntimeError, TypeError) as err:  # torch's words for sizes that no tensor can have
        raise ConfigError(f"{folder / CONFIG}: these sizes make no network ({str(err).splitlines()[0]}).") from err
    load_weights(model, folder / WEIGHTS)
    model.eval().requires_grad_(False)
    card = (folder / CARD).read_text(encoding="utf-8") if (folder / CARD).exists() else ""
    return LoadedRecognizer(model=model, tokens=tokens, statistics=Statistics.load(folder / STATISTICS), card=card)

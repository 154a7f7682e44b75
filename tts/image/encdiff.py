"""EncDiff: every unit of the code becomes a token, and the pixels ask the tokens by cross-attention."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.config import check_ranges
from tts.image.conditioned import AutoencoderConfig, DiffusionAutoencoder
from tts.image.config import MAX_WIDTH, Kind
from tts.image.divergence import mmd
from tts.image.priors import Gaussian


class TokenCondition(str, Enum):
    """How the denoiser reads the tokens: `tokens` by cross-attention; `scale_shift`, side by side, by adaptive group norm.

    The latter is the paper's ablation, of an equal encoder and equal tokens.
    """

    tokens = "tokens"
    scale_shift = "scale_shift"


@dataclass(frozen=True, kw_only=True)
class EncDiffConfig(AutoencoderConfig):
    """EncDiff; unit_dim = 1 is the paper's scalars, more its vector variant (EncDiff-V)."""

    kind: Kind = Kind.encdiff
    condition: TokenCondition = TokenCondition.tokens
    token_dim: int = 16
    token_hidden: tuple[int, ...] = (64, 128)  # widths inside the network of each token
    mmd_weight: float = 0.0  # of the discrepancy between codes and N(0, I)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "token_dim token_hidden", 1, MAX_WIDTH)
        check_ranges(self, "model", "mmd_weight", 0, 1e6)


class UnitNetworks(nn.Module):
    """A small network of its own for each unit: linear layers with ELU between, all units at once.

    Args:
        n_units: N.
        widths: of input, hidden layers and output.
    """

    def __init__(self, n_units: int, widths: Sequence[int]) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(n_units, i, o)) for i, o in pairs)
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(n_units, o)) for _, o in pairs)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            bound = 1 / math.sqrt(weight.shape[1])
            nn.init.uniform_(weight, -bound, bound)
            nn.init.uniform_(bias, -bound, bound)

    def forward(self, z: Tensor) -> Tensor:
        """(B, N, d) -> (B, N, widths[-1]); unit n sees z[:, n] alone."""
        h = z
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.einsum("bni,nio->bno", F.elu(h) if i else h, weight) + bias
        return h


class EncDiff(DiffusionAutoencoder):
    """Scalars s = E(x0), tokens MLP_n(s_n), cross-attention at every attention level and in the middle.

    With `condition: scale_shift` adaptive group norm takes the place of cross-attention: what that is worth can be measured.
    No loss but the denoising one is needed; `mmd_weight` adds the discrepancy between the codes and N(0, I).

    Source: Yang et al. 2024.
    """

    config: EncDiffConfig

    def __init__(self, config: EncDiffConfig) -> None:
        whole = config.condition is TokenCondition.scale_shift
        width = config.n_units * config.token_dim if whole else config.token_dim
        super().__init__(config, condition=config.condition.value, condition_dim=width)
        self.tokens = UnitNetworks(config.n_units, (config.unit_dim, *config.token_hidden, config.token_dim))
        self.prior = Gaussian(config.n_units, config.unit_dim)

    def condition(self, z: Tensor) -> Tensor:
        """Tokens, (B, N, token_dim), or all of them as one vector, (B, N token_dim)."""
        tokens = self.tokens(z)
        return tokens if self.config.condition is TokenCondition.tokens else tokens.flatten(1)

    def code_losses(self, z: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """`mmd` where it has a weight."""
        if self.config.mmd_weight == 0:
            return {}
        return {"mmd": self.config.mmd_weight * mmd(z, self.prior.sample(len(z), generator).to(z))}

"""The style encoder: any mel to one vector g."""

import torch.nn.functional as F
from torch import Tensor, nn

from tts.nets.blocks import masked_mean


class StyleEncoder(nn.Module):
    """Mel-style encoder: spectral convolutions, two gated temporal blocks, self-attention, masked mean.

    Unlike the published ones, padded frames are masked everywhere, so g does not depend on the batch.
    Source: Min et al. 2021 (Meta-StyleSpeech) sec. 3.1; 1,727,232 parameters at 80 mels and width 256.
    """

    def __init__(self, n_mels: int, hidden: int, out: int, heads: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.spectral = nn.ModuleList((nn.Conv1d(n_mels, hidden, 1), nn.Conv1d(hidden, hidden, 1)))
        self.temporal = nn.ModuleList(nn.Conv1d(hidden, 2 * hidden, 5, padding=2) for _ in range(2))
        self.query, self.key = nn.Conv1d(hidden, hidden, 1), nn.Conv1d(hidden, hidden, 1)
        self.value, self.merge = nn.Conv1d(hidden, hidden, 1), nn.Conv1d(hidden, hidden, 1)
        self.key.load_state_dict(self.query.state_dict())
        self.out = nn.Conv1d(hidden, out, 1)

    def forward(self, mel: Tensor, mask: Tensor) -> Tensor:
        """mel (B, n_mels, T) normalised, mask (B, 1, T) -> style (B, out)."""
        h = mel
        for conv in self.spectral:
            h = self._drop(F.mish(conv(h)))
        for conv in self.temporal:
            h = h + self._drop(F.glu(conv(h * mask), dim=1))
        q, k, v = (self._split(layer(h)) for layer in (self.query, self.key, self.value))
        drop = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.unsqueeze(1).bool(), dropout_p=drop)
        h = h + self._drop(self.merge(attended.transpose(-1, -2).flatten(1, 2)))
        return masked_mean(self.out(h), mask)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (self.heads, -1)).transpose(-1, -2)  # (B, H, T, D)

"""The average prior: what each phone sounds like over all speakers."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.speech.filter import expand_durations


class AveragePrior(nn.Module):
    """mu_avg = sum over tokens k of p(k | t) m_k, with m_k the mean normalised mel of token k over the training set.

    It has no weights: the means are measured once from the alignment, before training.
    Source: Popov et al. 2022 (DiffVC), the average-voice mel.
    """

    means: Tensor

    def __init__(self, n_tokens: int, n_mels: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(n_tokens, n_mels))

    def forward(self, phones: Tensor, mask: Tensor) -> Tensor:
        """phones (B, n_tokens, T) probabilities, mask (B, 1, T) -> (B, n_mels, T)."""
        return torch.einsum("bkt,km->bmt", phones, self.means) * mask


def phones_of_text(tokens: Tensor, durations: Tensor, n_tokens: int, mask: Tensor) -> Tensor:
    """The token of every frame as probabilities of 0 and 1: tokens and durations (B, L), mask (B, 1, T) -> (B, n_tokens, T)."""
    index, _ = expand_durations(durations, mask.shape[-1])
    return F.one_hot(tokens.gather(1, index), n_tokens).transpose(1, 2).to(mask) * mask

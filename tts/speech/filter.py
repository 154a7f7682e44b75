"""The filter prior: content, from text or from audio, and style to the filter mel (the vocal tract)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.speech.config import PriorConfig
from tts.speech.source import PriorDecoder


class ContentRefinement(nn.Module):
    """Two residual convolutions of five frames and a ReLU: the end of both entrances to C."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(dim, dim, 5, padding=2) for _ in range(2))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, dim, T), mask (B, 1, T) -> C (B, dim, T)."""
        h = x * mask
        for conv in self.convs:
            h = (h + self.drop(F.gelu(conv(h)))) * mask
        return F.relu(h) * mask


class TextContent(nn.Module):
    """Content C from text: phone vectors stretched by durations, refined by two convolutions, ReLU.

    Each frame also knows where it stands in its phone: (n + 1/2) / d, its mirror image, and log d.
    """

    def __init__(self, text_dim: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Conv1d(text_dim + 3, dim, 1)
        self.refine = ContentRefinement(dim, dropout)

    def forward(self, phones: Tensor, durations: Tensor, mask: Tensor) -> Tensor:
        """phones (B, D, L), durations (B, L) frames, mask (B, 1, T) -> C (B, dim, T)."""
        index, position = expand_durations(durations, mask.shape[-1])
        stretched = phones.gather(2, index.unsqueeze(1).expand(-1, phones.shape[1], -1))
        length = durations.gather(1, index).clamp(min=1).float()
        where = (position + 0.5) / length
        place = torch.stack((where, 1 - where, length.log()), dim=1)
        return self.refine(self.enter(torch.cat((stretched, place), dim=1)), mask)


class AudioContent(nn.Module):
    """Content C from a recording: the features of a content encoder, projected and refined as those of text are.

    Features that are no phone posteriors tell the voice by their mean and deviation over the recording, so both are taken out:

        x <- (x - mean_t x) / sqrt(var_t x + 1e-4)

    Source: DDDM-VC projects by one 1x1 convolution and ReLU, the refinement matches the text entrance; instance normalisation
    as in Chou and Lee 2019, "One-shot voice conversion by separating speaker and content representations".
    """

    def __init__(self, features: int, n_phones: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.n_phones = n_phones
        self.enter = nn.Conv1d(features, dim, 1)
        self.refine = ContentRefinement(dim, dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """features (B, D, T), the first `n_phones` rows posteriors, mask (B, 1, T) -> C (B, dim, T)."""
        phones, other = features[:, : self.n_phones], features[:, self.n_phones :]
        frames = mask.sum(2, keepdim=True).clamp(min=1)
        centred = (other - (other * mask).sum(2, keepdim=True) / frames) * mask
        variance = centred.square().sum(2, keepdim=True) / frames
        features = torch.cat((phones * mask, centred * (variance + 1e-4).rsqrt()), dim=1)
        return self.refine(self.enter(features), mask)


def expand_durations(durations: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Phone index and frame-within-phone of every frame, each (B, frames) int64.

    Frame t belongs to the first phone whose cumulated duration exceeds t; frames past the end keep the last phone.
    """
    ends = durations.cumsum(1)
    t = torch.arange(frames, device=durations.device).expand(len(durations), -1).contiguous()
    index = torch.searchsorted(ends, t, right=True).clamp(max=durations.shape[1] - 1)
    start = (ends - durations).gather(1, index)
    return index, t - start


class FilterPrior(nn.Module):
    """mu_ftr = decoder(C, g)."""

    def __init__(self, dim: int, n_mels: int, style_dim: int, config: PriorConfig) -> None:
        super().__init__()
        self.decode = PriorDecoder(dim, n_mels, style_dim, config)

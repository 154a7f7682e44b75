"""One score network an attribute: state, priors and style to its share of the summed prediction."""

import torch
from torch import Tensor, nn

from tts.nets.embeddings import sinusoidal_embedding
from tts.nets.unet1d import UNet1d
from tts.nets.unet2d import UNet2d
from tts.speech.config import DenoiserConfig, DenoiserInputs, DenoiserKind


class Denoiser1d(nn.Module):
    """UNet1d on the stacked state, priors and (optionally) attribute embedding, conditioned on time and style."""

    def __init__(self, n_mels: int, n_priors: int, embedding_dim: int, style_dim: int, config: DenoiserConfig) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(128, style_dim), nn.SiLU(), nn.Linear(style_dim, style_dim))
        inputs = n_mels * (1 + n_priors) + embedding_dim
        self.net = UNet1d(inputs, n_mels, config.channels, style_dim)

    def forward(
        self, x: Tensor, t: Tensor, priors: list[Tensor], embedding: Tensor | None, style: Tensor, mask: Tensor
    ) -> Tensor:
        """x and each prior (B, n_mels, T), t (B,), embedding (B, E, T), style (B, S) -> (B, n_mels, T)."""
        extra = [] if embedding is None else [embedding]
        condition = self.time(sinusoidal_embedding(t, 128)) + style
        return self.net(torch.cat((x, *priors, *extra), dim=1), condition, mask)


class Denoiser2d(nn.Module):
    """UNet2d on the state and priors as planes, conditioned on time and style: the paper's network.

    The attribute embedding enters as one plane more, projected to the mel bins.
    """

    def __init__(self, n_mels: int, n_priors: int, embedding_dim: int, style_dim: int, config: DenoiserConfig) -> None:
        super().__init__()
        self.project = nn.Conv1d(embedding_dim, n_mels, 1) if embedding_dim else None
        planes = 1 + n_priors + (1 if embedding_dim else 0)
        self.net = UNet2d(planes, config.dim, style_dim)

    def forward(
        self, x: Tensor, t: Tensor, priors: list[Tensor], embedding: Tensor | None, style: Tensor, mask: Tensor
    ) -> Tensor:
        """x and each prior (B, n_mels, T), t (B,), embedding (B, E, T), style (B, S) -> (B, n_mels, T)."""
        extra = [] if self.project is None else [self.project(embedding) * mask]
        return self.net(torch.stack((*priors, x, *extra), dim=1), t, style, mask)


DENOISERS: dict[DenoiserKind, type[nn.Module]] = {DenoiserKind.unet1d: Denoiser1d, DenoiserKind.unet2d: Denoiser2d}


def build_denoiser(n_mels: int, n_attributes: int, embedding_dim: int, style_dim: int, config: DenoiserConfig) -> nn.Module:
    """The denoiser that `config` names; with inputs `all` it sees every prior and its attribute's embedding."""
    sees_all = config.inputs == DenoiserInputs.all
    return DENOISERS[config.kind](n_mels, n_attributes if sees_all else 1, embedding_dim if sees_all else 0, style_dim, config)

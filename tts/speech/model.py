"""The source-filter model: text or audio content, pitch and style to prior mels, and the diffusion between."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tts.diffusion import Composite, Parametrization, Schedule, Term, expand_like, vp_linear
from tts.diffusion.parametrization import ParametrizationKind
from tts.errors import ModelError
from tts.speech.average import AveragePrior, phones_of_text
from tts.speech.config import Attribute, ContentKind, DenoiserInputs, SpeechConfig
from tts.speech.denoisers import build_denoiser
from tts.speech.filter import AudioContent, FilterPrior, TextContent
from tts.speech.source import SourcePrior
from tts.speech.style import StyleEncoder
from tts.speech.text_encoder import DurationPredictor, PitchPredictor, TextEncoder


@dataclass(frozen=True)
class Priors:
    """What the decoders know before any diffusion: per attribute a prior mel and the embedding it came from.

    mels: attribute to (B, n_mels, T), normalised log-mel; their sum is the predicted mel.
    embeddings: attribute to (B, E, T): pitch P for `source`, content C for `filter` and `average`.
    styles: attribute to g (B, S), the voice that its denoiser is to bring about.
    """

    mels: dict[str, Tensor]
    embeddings: dict[str, Tensor]
    styles: dict[str, Tensor]

    @property
    def mean(self) -> Tensor:
        """mu = sum of the prior mels, (B, n_mels, T)."""
        return torch.stack(list(self.mels.values())).sum(0)


class SourceFilterModel(nn.Module):
    """Networks of the speech side. Every method is a pure function of tensors; mels are normalised log-mels.

    x0_hat comes from one composite (tts.diffusion): the Gaussian N(mu, s^2) of the priors, and one denoiser an attribute.
    """

    residual_std: Tensor

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__()
        self.config = config
        n_mels, text = config.audio.n_mels, config.text
        self.style = StyleEncoder(n_mels, config.style_hidden, config.style_dim)
        self.text = TextEncoder(config.n_tokens, text)
        self.duration = DurationPredictor(config.style_dim, text)
        self.content = TextContent(text.channels, config.content_dim, text.dropout)
        if config.content.kind is not ContentKind.none:
            self.audio_content = AudioContent(config.content.dim, config.content.n_phones, config.content_dim, text.dropout)
        self.pitch = PitchPredictor(config.content_dim, config.style_dim, text)
        self.source = SourcePrior(
            config.content_dim, config.audio, config.style_dim, config.prior, config.pitch, config.f0_vqvae
        )
        self.filter = FilterPrior(config.content_dim, n_mels, config.style_dim, config.prior)
        if Attribute.average in config.attributes:
            self.average = AveragePrior(config.n_tokens, n_mels)
        self.denoisers = nn.ModuleDict(
            {
                a.value: build_denoiser(n_mels, len(config.attributes), config.content_dim, config.style_dim, config.denoiser)
                for a in config.attributes
            }
        )
        self.register_buffer("residual_std", torch.full((n_mels, 1), 0.5))

    @property
    def schedule(self) -> Schedule:
        """The variance-preserving schedule of the paper."""
        return vp_linear(self.config.beta_min, self.config.beta_max)

    @property
    def parametrization(self) -> Parametrization:
        """What the sum of denoisers stands for; `preconditioned` knows the residual spread s of the priors."""
        kind = self.config.denoiser.parametrization
        std = self.residual_std if kind == ParametrizationKind.preconditioned else 1.0
        return Parametrization(kind.value, data_std=std)

    def text_phones(self, tokens: Tensor, durations: Tensor, mask: Tensor) -> Tensor | None:
        """The tokens (B, L) of every frame, (B, n_tokens, T), for a model with an average prior; None for others."""
        wanted = Attribute.average in self.config.attributes
        return phones_of_text(tokens, durations, self.config.n_tokens, mask) if wanted else None

    def audio_phones(self, features: Tensor) -> Tensor | None:
        """The posteriors in content features (B, D, T), for a model with an average prior; None for others."""
        wanted = Attribute.average in self.config.attributes
        return features[:, : self.config.content.n_phones] if wanted else None

    def priors(
        self,
        content: Tensor,
        pitch: Tensor,
        f0: Tensor,
        mask: Tensor,
        *,
        source_style: Tensor,
        filter_style: Tensor,
        phones: Tensor | None = None,
    ) -> Priors:
        """The prior mels; different styles for source and filter swap one of them.

        Args:
            content: C, (B, E, T).
            pitch: z-scored log-F0, (B, T).
            f0: Hz, 0 = unvoiced, (B, T).
            mask: (B, 1, T).
            source_style: g of the source decoder and denoiser, (B, S).
            filter_style: g of the filter's, and of the average prior's denoiser, (B, S).
            phones: from `text_phones` or `audio_phones`; only the average prior needs them.
        """
        embeddings = {"source": self.source.embed(pitch, f0, mask), "filter": content}
        styles = {"source": source_style, "filter": filter_style}
        mels = {
            "source": self.source.decode(embeddings["source"], source_style, mask),
            "filter": self.filter.decode(content, filter_style, mask),
        }
        if Attribute.average in self.config.attributes:
            if phones is None:
                raise ValueError("this model has an average prior: give the phones of every frame.")
            embeddings["average"], mels["average"], styles["average"] = content, self.average(phones, mask), filter_style
        return Priors(mels, embeddings, styles)

    def composite(self, priors: Priors, mask: Tensor) -> Composite:
        """The denoiser eps_hat(U, t) = base + sum over attributes of its network at U + (1 - alpha) mu_k (design equation).

        With inputs `all` a network sees its state standardised, (U - alpha mu) / q, and every prior and its embedding;
        with `own`, as in the paper, the state as it is and its own prior.
        """
        for name, mel in priors.mels.items():
            if mel.shape[1] != self.config.audio.n_mels:
                raise ModelError(
                    f"the {name} prior has {mel.shape[1]} mel bands, this model makes {self.config.audio.n_mels} "
                    f"({self.config.audio.sample_rate} Hz, hop {self.config.audio.hop_length}). Use priors of one model."
                )
        terms = [Term(self._network(a, priors, mask), mean=mel) for a, mel in priors.mels.items()]
        preconditioned = self.config.denoiser.parametrization == ParametrizationKind.preconditioned
        return Composite(self.schedule, terms, self.parametrization, mean=priors.mean if preconditioned else None)

    def _network(self, attribute: str, priors: Priors, mask: Tensor):
        denoiser, own, style, mean = self.denoisers[attribute], priors.mels[attribute], priors.styles[attribute], priors.mean
        if self.config.denoiser.inputs == DenoiserInputs.own:
            return lambda x, t: denoiser(x * mask, t, [own], None, style, mask)
        schedule, std = self.schedule, self.residual_std

        def network(x: Tensor, t: Tensor) -> Tensor:
            alpha, sigma = (expand_like(f(t), x).to(x.dtype) for f in (schedule.alpha, schedule.sigma))
            spread = torch.sqrt((alpha * std).square() + sigma.square())
            residual = (x - (1 - alpha) * own - alpha * mean) / spread
            return denoiser(residual * mask, t, list(priors.mels.values()), priors.embeddings[attribute], style, mask)

        return network


def parameter_counts(model: nn.Module) -> dict[str, int]:
    """Parameters by part: the direct children of `model`, with the denoisers one by one, and the total."""
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children() if name != "denoisers"}
    for name, part in getattr(model, "denoisers", nn.ModuleDict()).items():
        counts[f"denoiser {name}"] = sum(p.numel() for p in part.parameters())
    counts["total"] = sum(counts.values())
    return counts

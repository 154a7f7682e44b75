"""Losses of everything but the denoisers, and the priors that the denoisers are trained on."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tts.data.dataset import Batch
from tts.nets.blocks import lengths_to_mask
from tts.speech.model import Priors, SourceFilterModel

UNVOICED_WEIGHT = 0.1


@dataclass(frozen=True)
class PriorInputs:
    """What the prior decoders get but the style: content C (B, E, T), pitch and F0 (B, T), mask (B, 1, T), phones."""

    content: Tensor
    pitch: Tensor
    f0: Tensor
    mask: Tensor
    phones: Tensor | None  # (B, n_tokens, T) probabilities, for the average prior

    def priors(self, model: SourceFilterModel, style: Tensor) -> Priors:
        """The prior mels in a style g (B, S)."""
        return model.priors(
            self.content, self.pitch, self.f0, self.mask, source_style=style, filter_style=style, phones=self.phones
        )


def masked_l1(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    """Mean |x - y| over valid frames and bins: scalar."""
    return ((x - y).abs() * mask).sum() / (mask.sum() * x.shape[1]).clamp(min=1)


def style_of(model: SourceFilterModel, batch: Batch, probability: float, generator: torch.Generator) -> Tensor:
    """g (B, S), per utterance from its own mel, or with `probability` from its reference's."""
    draw = torch.rand(len(batch.ids), generator=generator).to(batch.mel.device) < probability
    frames = max(batch.mel.shape[-1], batch.reference.shape[-1])
    own, other = (F.pad(mel, (0, frames - mel.shape[-1])) for mel in (batch.mel, batch.reference))
    lengths = torch.where(draw, batch.reference_lengths, batch.mel_lengths)
    frames = int(lengths.max())
    mel = torch.where(draw[:, None, None], other, own)[..., :frames]
    return model.style(mel, lengths_to_mask(lengths, frames))


def prior_losses(
    model: SourceFilterModel, batch: Batch, style: Tensor, heard: Tensor | None = None
) -> tuple[dict[str, Tensor], Priors, PriorInputs]:
    """Losses of everything but the denoisers, each a masked mean, and the priors under true durations and pitch.

    prior = |x0 - sum of mu_k|;  gauge = mean over bins of (mean over time of mu_src)^2;
    duration = MSE of log(1 + d);  pitch = MSE of the z-scored log-F0, where frames without a pitch, whose target is only
    interpolated, weigh UNVOICED_WEIGHT;  voicing = cross-entropy;
    match = |C_text - C_audio| + 1 - cos(C_text, C_audio) a frame, with C_audio held fixed, for a batch with audio content.

    Args:
        model: the networks.
        batch: utterances with text and durations.
        style: g (B, S).
        heard: (B,) bool, the utterances whose priors take their content from audio; by default none.
    """
    mask = lengths_to_mask(batch.mel_lengths, batch.mel.shape[-1])
    token_mask = lengths_to_mask(batch.token_lengths, batch.tokens.shape[-1])
    vectors = model.text(batch.tokens, token_mask)
    content = model.content(vectors, batch.durations, mask)
    voiced = (batch.f0 > 0).float()
    log_durations = model.duration(vectors, style, token_mask)
    pitch, voicing = model.pitch(content, style, mask)
    from_audio = None if batch.content is None else model.audio_content(batch.content, mask)
    inputs = _prior_inputs(model, batch, content, from_audio, mask, heard)
    priors = inputs.priors(model, style)
    frames, tokens = mask.sum(), token_mask.sum()
    valid, valid_tokens = mask.squeeze(1), token_mask.squeeze(1)
    weight = valid * (voiced + UNVOICED_WEIGHT * (1 - voiced))
    source_mean = (priors.mels["source"] * mask).sum(-1) / mask.sum(-1).clamp(min=1)
    losses = {
        "prior": masked_l1(batch.mel, priors.mean, mask),
        "gauge": source_mean.square().mean(),
        "duration": ((log_durations - torch.log1p(batch.durations.float())).square() * valid_tokens).sum() / tokens,
        "pitch": ((pitch - batch.pitch).square() * weight).sum() / weight.sum().clamp(min=1),
        "voicing": (F.binary_cross_entropy_with_logits(voicing, voiced, reduction="none") * valid).sum() / frames,
    }
    if from_audio is not None:
        target = from_audio.detach()
        cosine = F.cosine_similarity(content, target, dim=1, eps=1e-4)
        losses["match"] = masked_l1(content, target, mask) + ((1 - cosine) * valid).sum() / frames
    return losses, priors, inputs


def _prior_inputs(
    model: SourceFilterModel, batch: Batch, content: Tensor, from_audio: Tensor | None, mask: Tensor, heard: Tensor | None
) -> PriorInputs:
    """Content of text, or of audio where `heard`, with the phones it stands for if the model has an average prior."""
    phones = model.text_phones(batch.tokens, batch.durations, mask)
    if heard is not None and from_audio is not None:
        chosen = heard[:, None, None]
        content = torch.where(chosen, from_audio, content)
        phones = None if phones is None else torch.where(chosen, model.audio_phones(batch.content), phones)
    return PriorInputs(content, batch.pitch, batch.f0, mask, phones)


def mix_priors(
    model: SourceFilterModel,
    priors: Priors,
    inputs: PriorInputs,
    style: Tensor,
    probability: float,
    generator: torch.Generator,
    *,
    apart: bool = False,
) -> Priors:
    """Prior mixup: with `probability` an utterance's priors are those of another style of the batch; a switch, no blend.

    The denoisers see the true style all the same: they learn to bring a prior of the wrong voice to the right one. The other
    style is that of the utterance a random distance further on, so never its own. A batch of one stays as it is.

    Args:
        model: the networks.
        priors: under the true styles.
        inputs: what they were made from.
        style: the true g (B, S).
        probability: of the switch, 0 to 1.
        generator: of the draws.
        apart: draw source and filter independently, so that mixed pairs are met too.

    Source: Choi et al. 2024 (DDDM-VC), sec. 3.4.
    """
    batch = len(style)
    if probability == 0 or batch == 1:
        return priors
    distance = int(torch.randint(1, batch, (), generator=generator))
    other = inputs.priors(model, style.roll(distance, 0)).mels
    draws = torch.rand(len(priors.mels) if apart else 1, batch, generator=generator) < probability
    switch = dict(zip(priors.mels, draws.expand(len(priors.mels), -1).to(style.device), strict=True))
    mixed = {name: torch.where(switch[name][:, None, None], other[name], mel) for name, mel in priors.mels.items()}
    return Priors(mixed, priors.embeddings, priors.styles)


def crop(
    x0: Tensor, mask: Tensor, priors: Priors, lengths: Tensor, frames: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Priors]:
    """A random window of `frames` frames an utterance; shorter utterances keep their padding mask."""
    frames = min(frames, x0.shape[-1])
    room = (lengths.cpu() - frames).clamp(min=0)
    start = (torch.rand(len(x0), generator=generator) * (room + 1)).long().to(x0.device)
    index = (start[:, None] + torch.arange(frames, device=x0.device))[:, None, :]

    def cut(x: Tensor) -> Tensor:
        return x.gather(2, index.expand(-1, x.shape[1], -1))

    mels, embeddings = ({k: cut(v) for k, v in part.items()} for part in (priors.mels, priors.embeddings))
    return cut(x0), cut(mask), Priors(mels, embeddings, priors.styles)

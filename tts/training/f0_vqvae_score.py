"""How well an F0 VQ-VAE gives pitch back, and its model card."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tts.data.manifest import ManifestRow, read_manifest
from tts.data.pitch_segments import read_pitch
from tts.data.statistics import Statistics
from tts.errors import DataError
from tts.speech.config import F0VqVaeConfig
from tts.speech.f0_vqvae import FRAMES_PER_CODE, F0VqVae

CENTS = 1200 / math.log(2)  # of one unit of ln F0


@dataclass(frozen=True, kw_only=True)
class DevSet:
    """Pitch of the utterances that are scored: (pitch (T,), voiced (T,), deviation of ln F0 of its speaker) of each."""

    utterances: list[tuple[Tensor, Tensor, float]]

    @classmethod
    def read(cls, features: Path, statistics: Statistics) -> "DevSet":
        """Of a features folder.

        Raises:
            DataError: if the folder lists no utterance, features are not complete, or no frame is voiced.
            SpeakerError: if the statistics lack a speaker.
        """
        rows = read_manifest(features)
        utterances = [(*read_pitch(features, row, statistics), statistics.of_speaker(row.speaker).std) for row in rows]
        if not any(voiced.any() for _, voiced, _ in utterances):
            raise DataError(f"{features}: no voiced frame in {len(rows)} utterance(s). Give others with --dev.")
        return cls(utterances=utterances)


@dataclass(frozen=True, kw_only=True)
class PitchScore:
    """Over the voiced frames of a set.

    rmse_cents: root mean square difference of F0 and what comes back, cents.
    mean_cents: mean absolute difference, cents.
    flat_cents: the root mean square difference of F0 and each speaker's mean, cents: what no code at all would reach.
    perplexity: exp of the entropy of the codes, 1 to n_codes.
    codes: how many codes occur.
    utterances: how many were scored.
    """

    rmse_cents: float
    mean_cents: float
    flat_cents: float
    perplexity: float
    codes: int
    utterances: int


def perplexity(codes: Tensor, n_codes: int) -> float:
    """exp(-sum p_k ln p_k) of codes (N,): how many equally frequent codes would be as surprising."""
    share = torch.bincount(codes.flatten(), minlength=n_codes).double() / codes.numel()
    return float(torch.special.entr(share).sum().exp())


@torch.no_grad()
def score_f0_vqvae(vqvae: F0VqVae, dev: DevSet, device: torch.device) -> PitchScore:
    """Each utterance of the dev set to codes and back."""
    errors, heights, codes = [], [], []
    for pitch, voiced, std in dev.utterances:
        z, mask = pitch[None].to(device), torch.ones(1, 1, len(pitch), device=device)
        found = vqvae.encode(z, mask)
        codes.append(found.flatten().cpu())
        difference = vqvae.decode(found, mask).squeeze(0).cpu() - pitch
        errors.append(CENTS * std * difference[voiced > 0])
        heights.append(CENTS * std * pitch[voiced > 0])
    error, height, code = torch.cat(errors).double(), torch.cat(heights).double(), torch.cat(codes)
    return PitchScore(
        rmse_cents=float(error.square().mean().sqrt()),
        mean_cents=float(error.abs().mean()),
        flat_cents=float(height.square().mean().sqrt()),
        perplexity=perplexity(code, vqvae.config.n_codes),
        codes=len(code.unique()),
        utterances=len(dev.utterances),
    )


def f0_vqvae_card(config: F0VqVaeConfig, step: int, rows: list[ManifestRow], score: PitchScore) -> str:
    """Markdown that says what the F0 VQ-VAE is, what it was trained on and how well it does."""
    rate = config.frame_rate / FRAMES_PER_CODE
    minutes = sum(row.seconds for row in rows) / 60
    return f"""# F0 VQ-VAE

Intonation as one of {config.n_codes} codes, {rate:g} times a second: at most {rate * math.log2(config.n_codes):.0f} bit/s. It
takes log-F0, z-scored by its speaker and carried through unvoiced gaps, one value a mel frame ({config.frame_rate:g} a second).

Trained for {step} steps on {len(rows)} recordings, {minutes:.1f} minutes, {len({row.speaker for row in rows})} speaker(s).

| on the voiced frames of {score.utterances} other utterance(s) | |
|---|---|
| root mean square error | {score.rmse_cents:.1f} cents |
| mean absolute error | {score.mean_cents:.1f} cents |
| root mean square error of the speaker's mean, with no code at all | {score.flat_cents:.1f} cents |
| perplexity of the codes | {score.perplexity:.1f} of {config.n_codes} |
| codes that occur | {score.codes} |

```
glottis train --config mini model.pitch=vq f0_vqvae=this/folder …
```
"""

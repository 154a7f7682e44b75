"""The temperature a model is shipped with: the one at which its samples have the fine structure of recordings."""

import logging

import torch
from tqdm import tqdm

from tts.data.dataset import UtteranceDataset, spread_batch
from tts.metrics.speech import spectral_detail
from tts.nets.blocks import lengths_to_mask
from tts.speech.model import SourceFilterModel
from tts.speech.sampling import SamplingOptions, UtteranceNoise, sample_mel
from tts.training.losses import prior_losses

logger = logging.getLogger(__name__)

DETAIL = 0.92  # of the recordings' spectral detail; more costs words
LOWEST, HIGHEST = 0.2, 1.0
HALVINGS = 5  # of that range, to 0.0125
N_UTTERANCES = 4


@torch.inference_mode()
def calibrate_temperature(model: SourceFilterModel, dataset: UtteranceDataset) -> SamplingOptions:
    """The shipped sampling options, at the temperature whose samples come nearest DETAIL of the recordings' detail.

    A denoiser that has learnt little leaves more of its noise in the sample and wants a lower temperature than a good one.
    Detail grows with temperature, so its range is halved. Durations, pitch and style are the recordings', and so is the content
    where the dataset reads it: a model that converts is set for conversion.

    Args:
        model: in eval mode.
        dataset: held-out utterances; a few of them, spread over it, are sampled.
    """
    batch = spread_batch(dataset, N_UTTERANCES)
    mask = lengths_to_mask(batch.mel_lengths)
    style = model.style(batch.mel, mask)
    heard = None if batch.content is None else torch.ones(len(style), dtype=torch.bool)
    _, priors, _ = prior_losses(model, batch, style, heard)
    lengths = batch.mel_lengths.tolist()

    def detail(mel: torch.Tensor) -> float:
        return sum(spectral_detail(item[:, :n].float().numpy()) for item, n in zip(mel, lengths, strict=True))

    recorded = detail(batch.mel)

    def ratio(temperature: float) -> float:
        noise = UtteranceNoise(list(range(len(lengths))), lengths)
        return detail(sample_mel(model, priors, mask, SamplingOptions(temperature=temperature), noise)) / recorded

    low, high = LOWEST, HIGHEST
    for _ in tqdm(range(HALVINGS), desc="temperature"):
        middle = (low + high) / 2
        low, high = (middle, high) if ratio(middle) < DETAIL else (low, middle)
    best = round((low + high) / 2, 2)
    logger.info("temperature %g: %.2f of the recordings' spectral detail", best, ratio(best))
    return SamplingOptions(temperature=best)

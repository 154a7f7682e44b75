"""What a run starts from: a features folder, and perhaps a finished model that it goes on from."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from tts.config import from_dict, to_dict
from tts.data.content_file import ContentKind, read_content_info
from tts.data.dataset import UtteranceDataset
from tts.data.files import read_json
from tts.data.manifest import SETTINGS, read_audio_config
from tts.data.statistics import STATISTICS, TOKENS, Statistics
from tts.errors import ConfigError, ModelError
from tts.inference.model_folder import LoadedModel
from tts.speech.config import Attribute, PitchKind
from tts.speech.f0_vqvae import load_f0_vqvae, read_f0_vqvae_config
from tts.speech.pitch_encoder import VqPitchEncoder
from tts.text.tokens import Tokens
from tts.training.config import TrainConfig
from tts.training.speech import SpeechTask


def tables(features: Path, origin: LoadedModel | None) -> tuple[Tokens, Statistics]:
    """Tokens and statistics of a run; one that goes on from a model keeps its tokens and mel statistics, and all speakers."""
    tokens, statistics = Tokens.load(features / TOKENS), Statistics.load(features / STATISTICS)
    if origin is None:
        return tokens, statistics
    old = origin.statistics
    return origin.tokens, dataclasses.replace(
        statistics, mel_mean=old.mel_mean, mel_std=old.mel_std, speakers=old.speakers | statistics.speakers
    )


def complete_config(config: TrainConfig, features: Path, tokens: Tokens, origin: LoadedModel | None) -> TrainConfig:
    """The configuration with all that the features, or the model to go on from, decide.

    Raises:
        ConfigError: if the features have another kind of content than the model, or pitch `vq` lacks its F0 VQ-VAE.
        ModelError: if they have another mel or front end than the model to go on from.
    """
    model: dict[str, Any] = to_dict(config.model if origin is None else origin.model.config)
    found = {"n_tokens": len(tokens), "audio": to_dict(read_audio_config(features))}
    found["frontend"] = read_json(features / SETTINGS)["frontend"]
    if model["content"]["kind"] != ContentKind.none.value:
        info = read_content_info(features)
        if info.kind.value != model["content"]["kind"]:
            raise ConfigError(
                f"model.content.kind: asked for {model['content']['kind']}, {features} has {info.kind.value}. Make the content "
                "anew, or train on what is there."
            )
        found["content"] = {"kind": info.kind.value, "dim": info.dim, "n_phones": info.n_phones}
    if origin is None and config.model.pitch is PitchKind.vq:
        if not config.f0_vqvae:
            raise ConfigError("train.f0_vqvae: pitch vq needs the folder that `glottis train-pitch` wrote; none was given.")
        model["f0_vqvae"] = to_dict(read_f0_vqvae_config(Path(config.f0_vqvae)))
    if origin is not None and (changed := [key for key, value in found.items() if model[key] != value]):
        raise ModelError(
            f"{features}: differs from the model to go on from in {', '.join(changed)}. Prepare it as its data were."
        )
    return from_dict(TrainConfig, to_dict(config) | {"model": model | found})


def initialize(task: SpeechTask, dataset: UtteranceDataset, origin: LoadedModel | None) -> None:
    """Weights before step 0: those of the model to go on from; or new ones, with the F0 VQ-VAE that was trained before in its
    place, and the mean mel of every phone measured.
    """
    if origin is not None:
        task.model.load_state_dict(origin.model.state_dict())
    else:
        if isinstance(encoder := task.model.source.embed, VqPitchEncoder):
            encoder.vqvae.load_state_dict(load_f0_vqvae(Path(task.config.f0_vqvae)).state_dict())
        if Attribute.average in task.config.model.attributes:
            task.model.average.means.copy_(phone_means(dataset, task.config.model.n_tokens))
    task.ema.load_state_dict(task.model.state_dict())


def phone_means(dataset: UtteranceDataset, n_tokens: int) -> Tensor:
    """Mean normalised mel of every token over a training set, (n_tokens, n_mels); 0 for one that takes no frame."""
    total, count = None, torch.zeros(n_tokens)
    for i in tqdm(range(len(dataset)), desc="phone means", unit="utt"):
        item = dataset[i]
        owner = item.tokens.repeat_interleave(item.durations)  # (T,)
        total = torch.zeros(n_tokens, len(item.mel)) if total is None else total
        total.index_add_(0, owner, item.mel.T)
        count += owner.bincount(minlength=n_tokens)
    return total / count.clamp(min=1)[:, None]

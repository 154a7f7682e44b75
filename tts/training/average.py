"""From the checkpoints of a run to a model folder: mean of the averaged weights, and the mean style of every speaker."""

from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from tts.config import from_dict
from tts.data.content_file import ContentKind
from tts.data.dataset import UtteranceDataset
from tts.data.feature_file import read_features
from tts.data.files import read_json
from tts.data.manifest import read_manifest
from tts.data.statistics import STATISTICS, TOKENS, Statistics
from tts.errors import ModelError
from tts.inference.model_folder import RECOGNIZER, LoadedModel, recognizer_of
from tts.speech.model import SourceFilterModel
from tts.speech.sampling import SamplingOptions
from tts.text.tokens import Tokens
from tts.training.calibrate import calibrate_temperature
from tts.training.checkpoints import read_checkpoint
from tts.training.config import TrainConfig
from tts.training.run import CHECKPOINTS, CONFIG, RUN

EMA = "ema."


def average_checkpoints(exp: Path, count: int) -> LoadedModel:
    """The model of a run: the mean over its last `count` checkpoints of the moving averages, at its best temperature.

    Only checkpoints of the same phase as the last are averaged, so that weights before the denoisers' phase do not mix in.

    Raises:
        ModelError: if the run has no checkpoint, a weight is not finite, or the model hears recordings with a recogniser
            that is not in the experiment's `recognizer/`.
    """
    paths = sorted((exp / CHECKPOINTS).glob("step-*.ckpt"))[-count:]
    if not paths:
        raise ModelError(f"{exp}: no checkpoint in {CHECKPOINTS}/. Train first.")
    config = from_dict(TrainConfig, read_json(exp / CONFIG), where=str(exp / CONFIG))
    states = [_read(path) for path in paths]
    last = states[-1][0] > config.prior_steps
    chosen = [weights for step, weights in states if (step > config.prior_steps) == last]
    mean = {name: torch.stack([w[name].double() for w in chosen]).mean(0).float() for name in chosen[0]}
    broken = [name for name, value in mean.items() if not torch.isfinite(value).all()]
    if broken:
        raise ModelError(
            f"{exp}: {len(broken)} averaged weights are not finite, first {broken[0]}. Train anew with a lower lr."
        )
    model = SourceFilterModel(config.model)
    model.load_state_dict(mean)
    tokens, statistics, run = Tokens.load(exp / TOKENS), Statistics.load(exp / STATISTICS), read_json(exp / RUN)
    if missing := {"features", "dev"} - run.keys():
        raise ModelError(
            f"{exp / RUN}: found no {' and no '.join(sorted(missing))}, an older version wrote it. Run `glottis train` on the "
            "experiment again; a finished run only writes it anew."
        )
    model.eval()
    hears = config.model.content.kind is not ContentKind.none
    held_out = UtteranceDataset(Path(run["dev"]), tokens, statistics, content=hears)
    return LoadedModel(
        model=model,
        tokens=tokens,
        statistics=statistics,
        speakers=mean_styles(model, statistics, Path(run["features"])),
        sampling=calibrate_temperature(model, held_out) if last else SamplingOptions(sampler="prior"),
        recognizer=recognizer_of(config.model, exp / RECOGNIZER),
    )


@torch.inference_mode()
def mean_styles(model: SourceFilterModel, statistics: Statistics, features: Path) -> dict[str, Tensor]:
    """Mean style (S,) of every speaker over the utterances of a features folder."""
    sums: defaultdict[str, list[Tensor]] = defaultdict(list)
    for row in tqdm(read_manifest(features), desc="styles", unit="utt"):
        mel = (read_features(features, row.id)[0][None] - statistics.mel_mean) / statistics.mel_std
        sums[row.speaker].append(model.style(mel, mel.new_ones(1, 1, mel.shape[-1]))[0])
    return {speaker: torch.stack(styles).mean(0) for speaker, styles in sorted(sums.items())}


def _read(path: Path) -> tuple[int, dict[str, Tensor]]:
    checkpoint = read_checkpoint(path)
    weights = {k.removeprefix(EMA): v for k, v in checkpoint["state_dict"].items() if k.startswith(EMA)}
    return checkpoint["global_step"], weights

"""Going on from a finished model: its weights, tokens and scale are kept, new speakers join."""

import logging

import pytest
import torch

from tts.data.files import read_json, write_json
from tts.data.manifest import SETTINGS
from tts.data.statistics import Statistics
from tts.errors import ModelError
from tts.inference.model_folder import load_model_folder
from tts.testing import make_features, make_model_folder, tiny_speech_config
from tts.text.tokens import Tokens
from tts.training.average import average_checkpoints
from tts.training.checkpoints import read_checkpoint
from tts.training.config import OptimizerConfig, TrainConfig
from tts.training.run import train

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def config(**changes):
    values = {"model": tiny_speech_config(), "optimizer": OptimizerConfig(lr=0.0, warmup=0, weight_decay=0.0), "steps": 2}
    rest = {"prior_steps": 1, "max_frames": 200, "checkpoint_every": 1, "figures_every": 1000, "threads": 1}
    return TrainConfig(**(values | rest | changes))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    make_features(folder / "features", n=3, seconds=0.8, speakers=("new",))
    return make_model_folder(folder / "model"), folder / "features"


def test_a_run_starts_from_the_models_weights(folders, tmp_path):
    model, features = folders
    last = train(config(), features, tmp_path / "run", init=model)
    origin = load_model_folder(model)
    trained = {k.removeprefix("ema."): v for k, v in read_checkpoint(last)["state_dict"].items() if k.startswith("ema.")}
    for name, value in origin.model.state_dict().items():
        if name != "residual_std":  # measured on the way
            torch.testing.assert_close(trained[name], value, msg=name)


def test_tokens_and_scale_are_the_models_and_the_new_speaker_joins_the_old(folders, tmp_path):
    model, features = folders
    train(config(), features, tmp_path / "run", init=model)
    loaded, origin, new = (
        average_checkpoints(tmp_path / "run", 1),
        load_model_folder(model),
        Statistics.load(features / "statistics.safetensors"),
    )
    assert loaded.tokens.symbols == origin.tokens.symbols != Tokens.load(features / "tokens.txt").symbols
    assert (loaded.statistics.mel_mean, loaded.statistics.mel_std) == (origin.statistics.mel_mean, origin.statistics.mel_std)
    assert loaded.statistics.speakers == {"ada": origin.statistics.speakers["ada"], "new": new.speakers["new"]}
    assert list(loaded.speakers) == ["new"]


def test_the_same_call_again_keeps_what_was_learnt(folders, tmp_path):
    model, features = folders
    moving = config(optimizer=OptimizerConfig(lr=1e-2, warmup=0))
    learnt = read_checkpoint(train(moving, features, tmp_path / "run", init=model))["state_dict"]
    again = read_checkpoint(train(moving, features, tmp_path / "run", init=model))["state_dict"]
    origin = load_model_folder(model).model.state_dict()
    assert all(torch.equal(again[name], value) for name, value in learnt.items())
    assert not torch.equal(again["model.text.embed.weight"], origin["text.embed.weight"])


def test_features_of_another_front_end_are_refused(folders, tmp_path):
    model, features = folders
    settings = read_json(features / SETTINGS)
    write_json(features / SETTINGS, settings | {"frontend": "espeak"})
    with pytest.raises(ModelError, match="differs from the model to go on from in frontend"):
        train(config(), features, tmp_path / "run", init=model)
    write_json(features / SETTINGS, settings)

"""Training configurations of the speech model by name: a preset of conf/, then overrides, checked against the dataclasses."""

from pathlib import Path

from tts.config import from_dict
from tts.training.compose import compose_preset, preset_folder, schema_of
from tts.training.config import TrainConfig


def load_train_config(name: str, overrides: list[str] | None = None, folder: Path | None = None) -> TrainConfig:
    """The configuration `name` ("mini", or a path to a YAML file) with overrides such as "steps=100".

    Raises:
        ConfigError: for an unknown preset, key or type, or a value out of range.
    """
    values = compose_preset(name, overrides or [], folder or preset_folder(), {"train_schema": schema_of(TrainConfig)})
    return from_dict(TrainConfig, values, where=name)

"""Presets of conf/, composed by Hydra with overrides in its grammar, on schemas made of dataclasses; plain values come out."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tts.config import to_dict
from tts.errors import ConfigError


def preset_folder() -> Path:
    """Where the presets lie: conf/ of a checkout, or its copy inside an installed package."""
    package = Path(__file__).resolve().parents[1]
    installed, checkout = package / "_conf", package.parent / "conf"
    return installed if installed.is_dir() else checkout


def compose_preset(name: str, overrides: list[str], folder: Path, schemas: Mapping[str, DictConfig]) -> Any:
    """The plain values of preset `name` of `folder`, or of a YAML file, with overrides; presets build on `schemas` by name.

    Raises:
        ConfigError: for an unknown preset, or what its schema refuses.
    """
    path = Path(name)
    if path.suffix == ".yaml":
        folder, name = path.resolve().parent, path.stem
    if not (folder / f"{name}.yaml").is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise ConfigError(f"no configuration {name!r} in {folder}. Known: {known}.")
    for schema, node in schemas.items():
        ConfigStore.instance().store(schema, node=node)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            composed = compose(name, overrides=overrides)
        return OmegaConf.to_container(composed, resolve=True, enum_to_str=True)
    except (HydraException, OmegaConfBaseException) as err:
        cause = err.__cause__ or err
        raise ConfigError(f"configuration {name}: {str(cause).splitlines()[0]}") from err


def schema_of(config: Any) -> DictConfig:
    """The structured config of a dataclass or an instance, writable where it is frozen: presets set its keys."""
    return _writable(OmegaConf.structured(config))


def _writable(config: DictConfig) -> DictConfig:
    OmegaConf.set_readonly(config, False)
    for key in config:
        if not OmegaConf.is_missing(config, key) and isinstance(config[key], DictConfig):
            _writable(config[key])
    return config


def defaults_of(config: type) -> dict[str, Any]:
    """The plain values of a dataclass's defaults, nested ones too; `???`, which must be given, where there is none.

    For configurations that Hydra's structured ones cannot hold (tuples of tuples, a choice of classes): unknown keys in
    overrides are refused all the same, types and ranges are for `from_dict`.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        if field.default_factory is not dataclasses.MISSING:
            values[field.name] = to_dict(field.default_factory())
        else:
            values[field.name] = MISSING if field.default is dataclasses.MISSING else to_dict(field.default)
    return values

"""Training configurations by name: a preset of conf/, then overrides in Hydra's grammar, checked against the dataclasses."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tts.config import from_dict
from tts.errors import ConfigError
from tts.training.config import TrainConfig


def preset_folder() -> Path:
    """Where the presets lie: conf/ of a checkout, or its copy inside an installed package."""
    package = Path(__file__).resolve().parents[1]
    installed, checkout = package / "_conf", package.parent / "conf"
    return installed if installed.is_dir() else checkout


def load_train_config(name: str, overrides: list[str] | None = None, folder: Path | None = None) -> TrainConfig:
    """The configuration `name` ("mini", or a path to a YAML file) with overrides such as "steps=100".

    Raises:
        ConfigError: for an unknown preset, key or type, or a value out of range.
    """
    path = Path(name)
    if path.suffix == ".yaml":
        folder, name = path.resolve().parent, path.stem
    folder = folder or preset_folder()
    if not (folder / f"{name}.yaml").is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise ConfigError(f"no configuration {name!r} in {folder}. Known: {known}.")
    ConfigStore.instance().store("train_schema", node=_writable(OmegaConf.structured(TrainConfig)))
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            composed = compose(name, overrides=overrides or [])
        return from_dict(TrainConfig, OmegaConf.to_container(composed, resolve=True, enum_to_str=True), where=name)
    except (HydraException, OmegaConfBaseException) as err:
        cause = err.__cause__ or err
        raise ConfigError(f"configuration {name}: {str(cause).splitlines()[0]}") from err


def _writable(config: DictConfig) -> DictConfig:
    """The structured config with the read-only flags of frozen dataclasses lifted, so that presets can set their keys."""
    OmegaConf.set_readonly(config, False)
    for key in config:
        if isinstance(config[key], DictConfig):
            _writable(config[key])
    return config

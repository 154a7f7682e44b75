"""The folder of a homomorphism autoencoder: config.json, model.safetensors, README.md."""

from dataclasses import dataclass
from pathlib import Path

from tts.config import from_dict, to_dict
from tts.data.files import write_json, write_text
from tts.image.groups.config import HaeConfig
from tts.image.groups.hae import HomomorphismAutoencoder
from tts.inference.whole_folder import CARD, CONFIG, WEIGHTS, build_of_weights, others_in, read_head, save_weights, whole_folder

FORMAT, VERSION = "hae", 2  # 1 squashed the means of Gaussian pixels
FILES = (CONFIG, WEIGHTS, CARD)


@dataclass(frozen=True, kw_only=True)
class HaeFolderConfig:
    """What config.json holds; nothing in it names code."""

    format: str
    version: int
    model: HaeConfig


def save_hae(folder: Path, hae: HomomorphismAutoencoder, card: str) -> None:
    """Write the folder; it appears whole or not at all, and takes the place of an older one.

    Raises:
        ModelError: if `folder` holds anything but such a folder.
    """
    with whole_folder(folder, others_in(folder, FILES)) as part:
        write_json(part / CONFIG, to_dict(HaeFolderConfig(format=FORMAT, version=VERSION, model=hae.config)))
        save_weights(part / WEIGHTS, hae)
        write_text(part / CARD, card)


def load_hae(folder: Path) -> HomomorphismAutoencoder:
    """The model of a folder that `save_hae` wrote, in eval mode, on the CPU.

    Raises:
        DataError: if config.json is missing or not JSON.
        ModelError: if it is that of something else, or the weights are not exactly those of its configuration.
        ConfigError: naming the key, if a value is not what it may be.
    """
    values = read_head(folder, (FORMAT, VERSION), "save_hae")
    config = from_dict(HaeFolderConfig, values, where=str(folder / CONFIG)).model
    return build_of_weights(lambda: HomomorphismAutoencoder(config), folder / WEIGHTS)

"""The folder of an attribute edit: config.json and model.safetensors of one change of h, and whose h it changes."""

import json
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from tts.config import check_ranges, from_dict, to_dict
from tts.data.files import read_json, write_json
from tts.errors import ConfigError, DataError, ModelError
from tts.image.config import ScheduleKind
from tts.image.delta_h import DeltaBlock, DeltaBlockConfig, FixedDelta, FixedDeltaConfig
from tts.image.edit_steps import Attribute
from tts.image.model import DiffusionModelBase
from tts.inference.whole_folder import CONFIG, WEIGHTS, build_of_weights, fingerprint, others_in, save_weights, whole_folder
from tts.nets.image_taps import MIDDLE

FORMAT, VERSION = "edit", 1


@dataclass(frozen=True, kw_only=True)
class EditConfig:
    """What config.json holds: the change of h, one of `block` and `fixed`, and how it is used.

    model: `model_fingerprint` of the model whose h it changes; h of another model means something else.
    gain: what strength 1 multiplies the change of h by.
    tap: where h is taken.
    """

    name: str
    model: str
    steps: int
    t_edit: float
    t_boost: float = 0.0
    gain: float = 1.0
    tap: str = MIDDLE
    block: DeltaBlockConfig | None = None
    fixed: FixedDeltaConfig | None = None
    format: str = FORMAT
    version: int = VERSION

    def __post_init__(self) -> None:
        check_ranges(self, "edit", "steps", 1, 1000)
        check_ranges(self, "edit", "t_edit t_boost", 0, 1)
        check_ranges(self, "edit", "gain", 1e-6, 1e6)
        if (self.block is None) == (self.fixed is None):
            raise ConfigError("edit: expected one of block and fixed, found both or none.")

    def build(self) -> DeltaBlock | FixedDelta:
        """The untrained change of h."""
        if self.block is not None:
            return DeltaBlock(self.block)
        if self.fixed is None:
            raise RuntimeError("the configuration lets nothing through that has neither.")
        return FixedDelta(self.fixed)


def model_fingerprint(model: DiffusionModelBase) -> str:
    """Twelve hex digits that differ whenever the schedule, the parametrization or a weight of the U-Net does."""
    diffusion = to_dict(model.config.diffusion)
    if model.config.diffusion.schedule is not ScheduleKind.variance_exploding:
        # of no meaning to other schedules, and not there when older edits and noises were saved
        del diffusion["sigma_min"], diffusion["sigma_max"]
    return fingerprint(model.get_submodule("unet"), json.dumps(diffusion, sort_keys=True))


def save_edit(folder: Path, config: EditConfig, delta: nn.Module) -> None:
    """Write the folder of an edit; it appears whole or not at all, and takes the place of an older one.

    Raises:
        ModelError: if `folder` holds anything else.
    """
    with whole_folder(folder, others_in(folder, (CONFIG, WEIGHTS))) as part:
        write_json(part / CONFIG, to_dict(config))
        save_weights(part / WEIGHTS, delta)


def load_edit(folder: Path, model: DiffusionModelBase) -> tuple[Attribute, EditConfig]:
    """The edit in a folder, at strength 1, for this very model.

    Raises:
        ModelError: if the folder is not whole, or the edit is of another model.
    """
    try:
        config = from_dict(EditConfig, read_json(folder / CONFIG), "edit")
    except (ConfigError, DataError) as err:
        raise ModelError(f"{folder}: {err}") from err
    if (config.format, config.version) != (FORMAT, VERSION):
        found = (config.format, config.version)
        raise ModelError(f"{folder / CONFIG}: found format and version {found}, expected {(FORMAT, VERSION)}.")
    mine = model_fingerprint(model)
    if config.model != mine:
        raise ModelError(
            f"{folder}: the edit {config.name!r} was trained on model {config.model}, this one is {mine}. Give the model it "
            "was trained on, or train it again on this one."
        )
    delta = build_of_weights(config.build, folder / WEIGHTS).requires_grad_(False)
    return Attribute(delta=delta, steps=config.steps, t_edit=config.t_edit, strength=config.gain, tap=config.tap), config

"""Images as noise, in a file and back: the state at t = 1 of DDIM, or the whole path of edit-friendly noises."""

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tts.config import check_ranges, from_dict, to_dict
from tts.data.files import atomic_path
from tts.diffusion import NoisePath
from tts.errors import ConfigError, ModelError

FORMAT, VERSION = "noise of images", 1
HEAD = "inversion"  # the key of the file's metadata that holds the rest, as JSON


class InversionKind(str, Enum):
    """`ddim`: one state an image, exact as steps grow; `edit_friendly`: exact always, and images keep more under edits."""

    ddim = "ddim"
    edit_friendly = "edit_friendly"


@dataclass(frozen=True, kw_only=True)
class InversionConfig:
    """What belongs to the noise: whose it is, by its `model_fingerprint`, and on which uniform grid."""

    kind: InversionKind
    steps: int
    model: str
    eta: float = 0.0
    format: str = FORMAT
    version: int = VERSION

    def __post_init__(self) -> None:
        check_ranges(self, "inversion", "steps", 1, 1000)
        check_ranges(self, "inversion", "eta", 0, 1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Inversion:
    """The noise of n images.

    path: (n, M, …): for `ddim` the state at t = 1 alone, M = 1; else that state, the noises of all steps but the last, and what
        the last step lacks, M = steps + 1.
    codes: of the images, (n, N, d), where the model has codes.
    """

    config: InversionConfig
    path: Tensor
    codes: Tensor | None

    def __post_init__(self) -> None:
        expected = 1 if self.config.kind is InversionKind.ddim else self.config.steps + 1
        if self.path.ndim < 3 or self.path.shape[1] != expected or not torch.isfinite(self.path).all():
            raise ModelError(
                f"an inversion by {self.config.kind.value} in {self.config.steps} steps has a finite path of {expected} states "
                f"an image, found {tuple(self.path.shape)}. Invert again."
            )
        if self.codes is not None and len(self.codes) != len(self.path):
            raise ModelError(f"found {len(self.codes)} codes for {len(self.path)} images. Invert again.")


def pack_path(found: NoisePath) -> Tensor:
    """A path of the core as `Inversion.path`, (B, steps + 1, …)."""
    return torch.cat([found.start[:, None], found.noises.transpose(0, 1), found.residual[:, None]], dim=1)


def unpack_path(path: Tensor, eta: float) -> NoisePath:
    """The path of the core again."""
    return NoisePath(path[:, 0], path[:, 1:-1].transpose(0, 1), path[:, -1], eta)


def save_inversion(file: Path, inversion: Inversion) -> None:
    """Write a safetensors file, atomically."""
    tensors = {"path": inversion.path} | ({} if inversion.codes is None else {"codes": inversion.codes})
    with atomic_path(file) as temporary:
        head = {HEAD: json.dumps(to_dict(inversion.config))}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata=head)


def read_inversion(file: Path) -> Inversion:
    """The inversion in a file.

    Raises:
        ModelError: if it cannot be read, or is no such file.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            head = json.loads((opened.metadata() or {}).get(HEAD, "{}"))
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  not a dict
        config = from_dict(InversionConfig, head, HEAD)
    except (OSError, SafetensorError, ConfigError, ValueError) as err:
        raise ModelError(f"{file}: no noise of images ({err}). Give a file that `glottis image invert` wrote.") from err
    if (config.format, config.version) != (FORMAT, VERSION) or {*tensors} - {"codes"} != {"path"}:
        found = (config.format, config.version, sorted(tensors))
        raise ModelError(f"{file}: found {found}, expected {(FORMAT, VERSION)} with path and codes.")
    return Inversion(config=config, path=tensors["path"].float(), codes=tensors.get("codes"))

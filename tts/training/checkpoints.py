"""Training checkpoints on disk: there whole or not at all, and read as data, never as code."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from tts.data.files import atomic_path
from tts.errors import ModelError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoints, written beside their place and then renamed.

    Lightning writes them among the temporary files; where these lie on another file system, a kill during the move that follows
    leaves half a checkpoint, and the run cannot go on.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint to `path`.

        Raises:
            OSError: if the disk is full or not to be written; the checkpoints there stay as they are.
        """
        try:
            with atomic_path(Path(path)) as temporary, temporary.open("wb") as file:
                torch.save(checkpoint, file)
        except RuntimeError as err:  # how torch's writer ends after an OSError of the file
            if isinstance(err.__context__, OSError):
                raise OSError(f"{path}: the checkpoint could not be written: {err.__context__}.") from err
            raise


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of one of our runs, on the CPU; its tensors are read from disk when they are used.

    Raises:
        ModelError: if the file is not a complete checkpoint.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)  # noqa: TID251  the one place
    except (OSError, EOFError, RuntimeError, UnpicklingError) as err:
        reason = str(err).partition("\n")[0]
        raise ModelError(f"{path}: not a complete checkpoint ({reason}). Put an older one in its place.") from err

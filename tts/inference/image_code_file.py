"""Codes of images in a file: written with their images' indices and whose they are, read again after any change to them."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tts.data.files import atomic_path
from tts.errors import ModelError
from tts.inference.image_runner import Codes

OWNER = "model"  # the key of the file's metadata


def save_codes(file: Path, codes: Codes, index: NDArray[np.int64], owner: str) -> None:
    """Write `codes` (n, N, d), the `index` (n,) of their images in their set, and whose they are, atomically."""
    with atomic_path(file) as temporary:
        save_file({"codes": codes, "index": index}, temporary, metadata={OWNER: owner})


def read_codes(file: Path, owner: str) -> tuple[Codes, NDArray[np.int64] | None]:
    """The codes (n, N, d) in a file, and the indices of their images where it has them.

    A file that names no owner is taken: it was changed or made by hand.

    Args:
        file: of `save_codes`, or a safetensors file of the same names.
        owner: `fingerprint` of the model that is to decode them.

    Raises:
        ModelError: if it cannot be read, holds no finite codes, or those of another model.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            found = (opened.metadata() or {}).get(OWNER, owner)
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  not a dict
    except (OSError, SafetensorError) as err:
        raise ModelError(f"{file}: no codes of images ({err}). Give a file that `glottis image encode` wrote.") from err
    if found != owner:
        raise ModelError(f"{file}: the codes are of model {found}, this one is {owner}. Encode the images by this model.")
    codes, index = tensors.get("codes"), tensors.get("index")
    held = ", ".join(f"{name} {tensor.dtype} {tuple(tensor.shape)}" for name, tensor in tensors.items()) or "nothing"
    if (
        codes is None
        or codes.ndim != 3
        or len(codes) == 0
        or not (codes.is_floating_point() and codes.float().isfinite().all())
    ):
        raise ModelError(f"{file}: found {held}, expected finite `codes` (n, N, d), n at least 1.")
    if index is not None and (index.shape != codes.shape[:1] or index.is_floating_point() or index.dtype is torch.bool):
        raise ModelError(f"{file}: found {held}, expected an `index` of {len(codes)} whole numbers.")
    return codes.float().numpy(), None if index is None else index.long().numpy()

"""Weights out of safetensors files: all of them or none."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from tts.errors import ModelError

_PICKLE_STARTS = (b"PK", b"\x80")  # a zip of pickles, as torch.save writes; a bare pickle
_JSON_AT = 8  # a safetensors file begins with the length of its JSON header, whose first byte may be 0x80 as well
_SHOWN = 5


def load_weights(module: nn.Module, path: Path) -> None:
    """Give `module` the tensors of a safetensors file, which must be exactly those of its state_dict.

    Names and shapes are compared before any tensor is read. The tensors take the place of the module's own, so the module may
    have been built on the device "meta", where a hostile configuration costs no memory.

    Raises:
        ModelError: if the file is missing, a pickle or damaged, or its tensors are not those expected; names up to five.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_JSON_AT + 1)
    except OSError as err:
        raise ModelError(f"{path}: cannot be read ({err.strerror}). Give a complete model folder.") from err
    if start.startswith(_PICKLE_STARTS) and start[_JSON_AT:] != b"{":
        raise ModelError(
            f"{path}: this is a pickle (a PyTorch checkpoint), whatever its name says. Loading one can run any code of its "
            "author, so it is refused. Ask the author for a safetensors file; if you trust it, read it yourself with "
            "torch.load(path, weights_only=True) and write it with safetensors.torch.save_file."
        )
    expected = module.state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            require_tensors(str(path), expected, {name: file.get_slice(name).get_shape() for name in names})
            tensors = {name: file.get_tensor(name) for name in names}
    except SafetensorError as err:
        raise ModelError(f"{path}: not a complete safetensors file ({err}). Copy or download it again.") from err
    load_tensors(module, tensors, str(path))


def load_tensors(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Give `module` these tensors, which must be exactly those of its state_dict, dtypes included.

    Raises:
        ModelError: naming up to five tensors that are missing, unexpected, or of another shape or dtype.
    """
    expected = module.state_dict()
    require_tensors(where, expected, {name: tensor.shape for name, tensor in tensors.items()})
    wrong = [f"{n} is {t.dtype}, expected {expected[n].dtype}" for n, t in tensors.items() if t.dtype != expected[n].dtype]
    _refuse(where, wrong)
    module.load_state_dict(tensors, assign=True)


def require_tensors(where: str, expected: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]]) -> None:
    """Raises ModelError unless `shapes` has exactly the names and shapes of `expected`; names up to five differences."""
    problems = [f"missing {name}" for name in expected if name not in shapes]
    problems += [f"unexpected {name}" for name in shapes if name not in expected]
    for name in expected:
        if name in shapes and tuple(shapes[name]) != tuple(expected[name].shape):
            problems.append(f"{name} has shape {tuple(shapes[name])}, expected {tuple(expected[name].shape)}")
    _refuse(where, problems)


def _refuse(where: str, problems: list[str]) -> None:
    if problems:
        shown = "; ".join(problems[:_SHOWN]) + ("; …" if len(problems) > _SHOWN else "")
        raise ModelError(f"{where}: {len(problems)} tensor(s) do not fit this model, nothing was loaded: {shown}.")

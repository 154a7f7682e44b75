"""The one place where devices and precisions are chosen."""

from enum import Enum

import torch

from tts.errors import ConfigError


class Precision(str, Enum):
    """`auto` is bf16 where the hardware has it and fp32 elsewhere."""

    auto = "auto"
    bf16 = "bf16"
    fp32 = "fp32"


def resolve_device(name: str = "auto") -> torch.device:
    """The torch device that `name` asks for: "auto" (CUDA, then CPU), "cpu", "cuda", "cuda:N" or "mps".

    Raises:
        ConfigError: if the device is not there; nothing falls back silently.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as err:
        raise ConfigError(f"device {name!r} is not known. Use auto, cpu, cuda, cuda:N or mps.") from err
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise ConfigError(f"device {name!r} asked for, {found} CUDA device(s) found. Use --device cpu or auto.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device 'mps' asked for, but this machine has none. Use --device cpu or auto.")
    return device


def check_gpu_count(n_gpus: int) -> None:
    """Raises ConfigError if fewer than `n_gpus` CUDA devices are there."""
    found = torch.cuda.device_count()
    if n_gpus < 0 or n_gpus > found:
        raise ConfigError(f"--ngpu {n_gpus} asked for, {found} CUDA device(s) found. Use --ngpu {found}.")


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 matrix products run in hardware on `device` (emulated bf16 is slower than fp32)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """The autocast dtype for "auto" (bf16 where the hardware has it), "bf16" or "fp32"."""
    if name == "auto":
        return torch.bfloat16 if has_fast_bf16(device) else torch.float32
    if name not in ("bf16", "fp32"):
        raise ConfigError(f"precision {name!r} is not known. Use auto, bf16 or fp32.")
    return torch.bfloat16 if name == "bf16" else torch.float32

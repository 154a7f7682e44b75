"""Typed configuration: the mel contract, and strict conversion between dataclasses and plain dictionaries."""

import dataclasses
import hashlib
import json
import types
import typing
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from tts.errors import ConfigError

T = TypeVar("T")


class MelScale(str, Enum):
    """How Hz map to mel: `slaney` (linear below 1 kHz) or `htk`."""

    slaney = "slaney"
    htk = "htk"


@dataclass(frozen=True, kw_only=True)
class AudioConfig:
    """The one mel contract; features, acoustic model and vocoder that meet must agree on every field.

    mel = log(max(fb |STFT|^power, log_floor))        where log_offset = 0
    mel = log(fb |STFT|^power + log_offset)           otherwise (the DDDM-VC convention)
    """

    sample_rate: int = 16000  # Hz
    n_fft: int = 1024  # samples
    win_length: int = 1024  # samples, Hann
    hop_length: int = 256  # samples
    n_mels: int = 80
    f_min: float = 0.0  # Hz
    f_max: float = 8000.0  # Hz
    mel_scale: MelScale = MelScale.slaney
    slaney_norm: bool = True  # filters of unit area
    power: float = 1.0  # 1 magnitude, 2 power
    log_floor: float = 1e-5
    log_offset: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.hop_length <= self.win_length <= self.n_fft:
            raise ConfigError(
                f"audio: need 0 < hop_length <= win_length <= n_fft, found {self.hop_length}, {self.win_length}, {self.n_fft}."
            )
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ConfigError(
                f"audio: need 0 <= f_min < f_max <= sample_rate / 2, found {self.f_min}, {self.f_max} at {self.sample_rate} Hz."
            )

    @property
    def frame_rate(self) -> float:
        """Mel frames per second."""
        return self.sample_rate / self.hop_length

    def fingerprint(self) -> str:
        """Twelve hex digits that differ whenever a mel would differ."""
        return hashlib.sha256(json.dumps(to_dict(self), sort_keys=True).encode()).hexdigest()[:12]

    def differences(self, other: "AudioConfig") -> list[str]:
        """The differing fields as "name: mine != theirs"."""
        names = (f.name for f in dataclasses.fields(self))
        return [f"{n}: {getattr(self, n)} != {getattr(other, n)}" for n in names if getattr(self, n) != getattr(other, n)]


AUDIO_CONFIGS = {
    "ljspeech22k": AudioConfig(sample_rate=22050),
    "libri16k": AudioConfig(),
    "dddm16k": AudioConfig(
        n_fft=1280,
        win_length=1280,
        hop_length=320,
        mel_scale=MelScale.htk,
        slaney_norm=False,
        power=2.0,
        log_offset=1e-3,
    ),
}


def check_ranges(config: Any, where: str, names: str, low: float, high: float) -> None:
    """Every one of the space-separated fields `names` of a dataclass, or each value of a tuple there, lies in [low, high].

    Raises:
        ConfigError: naming the field, what was found and the range; NaN lies in none.
    """
    for name in names.split():
        found = getattr(config, name)
        values = found if isinstance(found, tuple) else (found,)
        if not values or not all(low <= value <= high for value in values):
            raise ConfigError(f"{where}.{name}: found {found}, expected {low:g} to {high:g}.")


def with_defaults(values: dict[str, Any], config: Any) -> dict[str, Any]:
    """Values that an older version wrote of a dataclass like `config`, recursively: fields it did not know have defaults."""
    whole = dict(values)
    for field in dataclasses.fields(config):
        now = getattr(config, field.name)
        if field.name not in whole:
            made = field.default_factory() if callable(field.default_factory) else field.default
            whole |= {} if made is dataclasses.MISSING else {field.name: to_dict(made)}
        elif dataclasses.is_dataclass(now) and isinstance(whole[field.name], dict):
            whole[field.name] = with_defaults(whole[field.name], now)
    return whole


def to_dict(config: Any) -> Any:
    """Plain JSON-ready values of a dataclass, recursively; enums become their values."""
    if dataclasses.is_dataclass(config):
        return {f.name: to_dict(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, Enum):
        return config.value
    if isinstance(config, list | tuple):
        return [to_dict(v) for v in config]
    if isinstance(config, dict):
        return {k: to_dict(v) for k, v in config.items()}
    return config


def from_dict(cls: type[T], values: Any, where: str = "config") -> T:
    """The dataclass `cls` built from plain values; an unknown key, a missing one or a wrong type is refused.

    Raises:
        ConfigError: naming the path of the key, what was found and what was expected.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected a table of keys, found {type(values).__name__}.")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise ConfigError(f"{where}.{key}: unknown key. Known keys: {', '.join(fields)}.")
    built = {key: _convert(hints[key], value, f"{where}.{key}") for key, value in values.items()}
    missing = [
        n
        for n, f in fields.items()
        if n not in built and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where}: missing key(s) {', '.join(missing)}.")
    return cls(**built)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _convert(next(a for a in args if a is not type(None)), value, where)
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, where)  # type: ignore[arg-type]
    if origin in (tuple, list) and isinstance(value, list | tuple):
        return origin(_convert(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {k: _convert(args[1], v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(value)
        except ValueError as err:
            raise ConfigError(f"{where}: found {value!r}, expected one of {', '.join(e.value for e in hint)}.") from err
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is bool or hint is int or hint is float or hint is str:
        if type(value) is not hint:
            raise ConfigError(f"{where}: found {value!r}, expected {hint.__name__}.")
        return value
    raise ConfigError(f"{where}: found {value!r}, expected {hint}.")

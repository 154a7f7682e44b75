import dataclasses
from dataclasses import dataclass, field
from enum import Enum

import pytest

from tts.config import AUDIO_CONFIGS, AudioConfig, MelScale, from_dict, to_dict, with_defaults
from tts.errors import ConfigError

OTHER_VALUES = {
    "sample_rate": 24000,
    "n_fft": 2048,
    "win_length": 800,
    "hop_length": 200,
    "n_mels": 100,
    "f_min": 20.0,
    "f_max": 7600.0,
    "mel_scale": MelScale.htk,
    "slaney_norm": False,
    "power": 2.0,
    "log_floor": 1e-3,
    "log_offset": 1e-6,
}


class Color(str, Enum):
    red = "red"
    blue = "blue"


@dataclass(frozen=True, kw_only=True)
class Inner:
    width: int = 3
    rate: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    color: Color = Color.red
    sizes: tuple[int, ...] = (1, 2)
    scale: float | None = None
    inner: Inner = field(default_factory=Inner)
    table: dict[str, int] = field(default_factory=dict)
    fast: bool = False


def test_every_field_of_the_mel_contract_has_another_value_here():
    assert set(OTHER_VALUES) == {f.name for f in dataclasses.fields(AudioConfig)}


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_fingerprint_and_differences_name_a_changed_field(name):
    base = AudioConfig()
    other = dataclasses.replace(base, **{name: OTHER_VALUES[name]})
    assert other.fingerprint() != base.fingerprint()
    assert base.differences(other) == [f"{name}: {getattr(base, name)} != {OTHER_VALUES[name]}"]


def test_equal_contracts_have_equal_fingerprints_and_no_differences():
    again = from_dict(AudioConfig, to_dict(AudioConfig()))
    assert again.fingerprint() == AudioConfig().fingerprint()
    assert AudioConfig().differences(again) == []


def test_the_three_contracts_are_told_apart_and_last_sixteen_milliseconds_a_frame_at_16_khz():
    assert len({audio.fingerprint() for audio in AUDIO_CONFIGS.values()}) == 3
    assert AUDIO_CONFIGS["libri16k"].frame_rate == 62.5
    assert AUDIO_CONFIGS["ljspeech22k"].frame_rate == 22050 / 256
    assert AUDIO_CONFIGS["dddm16k"].frame_rate == 50.0


@pytest.mark.parametrize(
    "fields",
    [{"hop_length": 0}, {"hop_length": 2048}, {"win_length": 2048}, {"f_max": 8001.0}, {"f_min": -1.0}, {"f_min": 8000.0}],
)
def test_a_mel_that_cannot_be_computed_is_refused(fields):
    with pytest.raises(ConfigError, match="need 0 <"):
        AudioConfig(**fields)


def test_nested_values_survive_the_round_trip():
    config = Outer(name="a", color=Color.blue, sizes=(4,), scale=2.0, inner=Inner(width=9), table={"k": 1}, fast=True)
    values = to_dict(config)
    assert values == {
        "name": "a",
        "color": "blue",
        "sizes": [4],
        "scale": 2.0,
        "inner": {"width": 9, "rate": 0.5},
        "table": {"k": 1},
        "fast": True,
    }
    assert from_dict(Outer, values) == config


def test_whole_numbers_are_taken_where_a_float_is_due():
    assert from_dict(Inner, {"rate": 1}) == Inner(rate=1.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "a", "colour": "red"}, r"config\.colour: unknown key\. Known keys: name, color"),
        ({"name": "a", "inner": {"widht": 1}}, r"config\.inner\.widht: unknown key"),
        ({"name": "a", "inner": {"width": "3"}}, r"config\.inner\.width: found '3', expected int"),
        ({"name": "a", "inner": {"width": True}}, r"config\.inner\.width: found True, expected int"),
        ({"name": "a", "inner": {"width": 3.0}}, r"config\.inner\.width: found 3\.0, expected int"),
        ({"name": "a", "inner": {"rate": True}}, r"config\.inner\.rate: found True, expected float"),
        ({"name": "a", "inner": 3}, r"config\.inner: expected a table of keys, found int"),
        ({"name": 3}, r"config\.name: found 3, expected str"),
        ({"name": "a", "color": "green"}, r"config\.color: found 'green', expected one of red, blue"),
        ({"name": "a", "sizes": [1, "2"]}, r"config\.sizes\[1\]: found '2', expected int"),
        ({"name": "a", "sizes": 3}, r"config\.sizes: found 3"),
        ({"name": "a", "table": {"k": "1"}}, r"config\.table\.k: found '1', expected int"),
        ({"name": "a", "fast": 1}, r"config\.fast: found 1, expected bool"),
        ({"name": "a", "scale": "big"}, r"config\.scale: found 'big', expected float"),
        ({}, r"config: missing key\(s\) name"),
        ([], r"config: expected a table of keys, found list"),
    ],
)
def test_unknown_missing_and_mistyped_keys_are_refused_with_their_path(values, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(Outer, values)


def test_none_is_taken_only_where_it_may_stand():
    assert from_dict(Outer, {"name": "a", "scale": None}).scale is None
    with pytest.raises(ConfigError, match=r"config\.name: found None"):
        from_dict(Outer, {"name": None})


@dataclass(frozen=True)
class Part:
    a: int
    late: int = 7


@dataclass(frozen=True)
class Whole:
    part: Part
    needed: int
    listed: tuple[int, ...] = field(default_factory=lambda: (1, 2))


def test_values_of_an_older_version_get_the_defaults_of_fields_it_did_not_know_and_keep_all_others():
    config = Whole(part=Part(a=1, late=9), needed=4, listed=(5,))
    assert with_defaults({"part": {"a": 3}, "gone": 1}, config) == {"part": {"a": 3, "late": 7}, "gone": 1, "listed": [1, 2]}
    assert with_defaults(to_dict(config), config) == to_dict(config)

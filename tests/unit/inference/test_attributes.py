"""Attributes: F0 under another voice's statistics, arithmetic on styles, the file."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tts.audio.pitch import F0Statistics
from tts.errors import DataError
from tts.inference.attributes import Attributes, Voice, class_average, express_pitch, mix, move

LOW, HIGH = F0Statistics(mean=math.log(100.0), std=0.1), F0Statistics(mean=math.log(200.0), std=0.2)


def voice(value, f0=LOW):
    return Voice(torch.full((4,), float(value)), f0)


def attributes(**changes):
    z = torch.tensor([-1.0, 0.0, 1.0, 2.0])
    values = {"content": torch.ones(3, 4), "pitch": z, "voiced": torch.tensor([1.0, 1.0, 0.0, 1.0]), "f0": LOW}
    styles = {"source_style": torch.zeros(4), "filter_style": torch.ones(4)}
    return Attributes(**(values | styles | {"sample_rate": 16000} | changes))


def test_hz_are_those_of_the_statistics():
    expected = [100 * math.exp(-0.1), 100, 0, 100 * math.exp(0.2)]
    np.testing.assert_allclose(attributes().hz, expected, rtol=1e-6)


def test_transposed_pitch_has_the_mean_and_deviation_of_the_new_voice():
    moved = attributes().with_source(voice(1, HIGH))
    np.testing.assert_allclose(moved.hz, [200 * math.exp(-0.2), 200, 0, 200 * math.exp(0.4)], rtol=1e-6)
    assert moved.source_style.tolist() == [1] * 4
    assert moved.filter_style.tolist() == [1] * 4


@pytest.mark.parametrize(("pitch", "factor"), [("keep", 1.0), (0, 1.0), (12, 2.0), (-7.0, 2 ** (-7 / 12))])
def test_kept_and_moved_pitch_is_that_of_the_source_in_hz(pitch, factor):
    moved = attributes().with_source(voice(1, HIGH), pitch)
    np.testing.assert_allclose(moved.hz, factor * attributes().hz, rtol=1e-5)
    assert moved.f0 == HIGH


def test_a_drawn_contour_is_the_pitch_and_its_zeros_are_unvoiced():
    drawn = np.array([0.0, 150.0, 180.0, 0.0])
    moved = attributes().with_source(voice(1, HIGH), drawn)
    np.testing.assert_allclose(moved.hz, drawn, rtol=1e-5)
    assert moved.pitch.isfinite().all()


def test_the_filter_alone_leaves_the_pitch():
    moved = attributes().with_filter(voice(5, HIGH))
    assert torch.equal(moved.hz, attributes().hz)
    assert moved.filter_style.tolist() == [5] * 4
    assert moved.source_style.tolist() == [0] * 4


@pytest.mark.parametrize(
    "pitch", ["up", True, 25, -24.5, float("nan"), np.array([1.0, -1.0, 0, 0]), np.array([np.nan] * 4), np.ones((2, 4)), [1.0]]
)
def test_what_is_no_pitch_is_refused(pitch):
    with pytest.raises(ValueError, match="pitch"):
        express_pitch(torch.zeros(4), torch.ones(4), LOW, HIGH, pitch)


def test_a_voice_between_two_lies_on_the_line_and_its_ends_are_they():
    a, b = voice(0, LOW), voice(4, HIGH)
    quarter = mix(a, b, 0.25)
    assert quarter.style.tolist() == [1] * 4
    assert quarter.f0.mean == pytest.approx(math.log(100) + 0.25 * math.log(2))
    assert quarter.f0.std == pytest.approx(0.125)
    assert (mix(a, b, 0.0).f0, mix(a, b, 1.0).f0.std) == (LOW, HIGH.std)
    for weight in (-0.1, 1.1, float("nan"), True):
        with pytest.raises(ValueError, match="weight must be from 0 to 1"):
            mix(a, b, weight)


def test_class_averages_and_directions_are_vector_arithmetic():
    styles = [torch.tensor([x, 0.0]) for x in (1.0, 3.0, 10.0)]
    means = class_average(styles, ["calm", "calm", "angry"])
    assert {name: mean.tolist() for name, mean in means.items()} == {"angry": [10, 0], "calm": [2, 0]}
    moved = move(Voice(torch.tensor([5.0, 5.0]), LOW), means["angry"] - means["calm"], 0.5)
    assert moved.style.tolist() == [9, 5]
    assert moved.f0 == LOW
    for wrong in (["calm"], []):
        with pytest.raises(ValueError, match="a label for each"):
            class_average(styles[: 2 * len(wrong)], wrong)


def test_a_file_brings_back_what_was_written(tmp_path):
    first = attributes()
    first.save(tmp_path / "a.safetensors")
    again = Attributes.load(tmp_path / "a.safetensors")
    for field in dataclasses.fields(Attributes):
        a, b = getattr(first, field.name), getattr(again, field.name)
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == pytest.approx(b) if field.name != "f0" else True
    assert again.f0.mean == pytest.approx(first.f0.mean)
    assert again.frames == 4


def test_files_of_another_kind_cut_or_with_other_lengths_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(DataError, match="not a complete file"):
        Attributes.load(path)
    save_file({"content": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="kind None"):
        Attributes.load(path)
    attributes(pitch=torch.zeros(3)).save(path)
    with pytest.raises(DataError, match=r"expected \(D, T\), \(T,\), \(T,\)"):
        Attributes.load(path)
    attributes().save(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match="not a complete file"):
        Attributes.load(path)

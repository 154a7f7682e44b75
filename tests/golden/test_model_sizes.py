"""Sizes of the profiles, the paper's where our layers are the paper's; models on the device "meta" cost nothing."""

import pytest
import torch

from tts.speech.model import SourceFilterModel, parameter_counts
from tts.training.presets import load_train_config

STYLE, DECODER = 1_727_232, 2_119_632
BASE = 30_016_007
SMALL = 7_774_471 + 64 * (9 * 64 + 64 + 4 * 64 + 1)  # 64 more condition planes: 3x3, shortcut, projection and its bias


def model_of(profile):
    with torch.device("meta"):
        return SourceFilterModel(load_train_config(profile, ["model.n_tokens=60"]).model)


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("profile", "denoiser", "millions"), [("base", BASE, 66.0), ("small", SMALL, 21.6)])
def test_the_papers_profiles_have_the_papers_sizes_without_the_text_side(profile, denoiser, millions):
    model = model_of(profile)
    parts = [model.style, model.source.decode, model.filter.decode, *model.denoisers.values()]
    assert [count(part) for part in parts] == [STYLE, DECODER, DECODER, denoiser, denoiser]
    assert sum(map(count, parts)) / 1e6 == pytest.approx(millions, abs=0.05)


def test_the_mini_profile_is_a_tenth_of_the_base_one():
    counts = parameter_counts(model_of("mini"))
    assert 5e6 < counts["total"] < 10e6
    assert counts["total"] == pytest.approx(9.67e6, abs=0.05e6)  # as conf/mini.yaml says

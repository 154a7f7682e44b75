import importlib.util
import sys
from pathlib import Path

import pytest

from tts.device import Precision
from tts.testing import tiny_speech_config
from tts.training.config import TrainConfig

SCRIPT = Path(__file__).parents[2] / "tools" / "bench.py"
spec = importlib.util.spec_from_file_location("bench", SCRIPT)
bench = importlib.util.module_from_spec(spec)
sys.modules["bench"] = bench  # its dataclass looks itself up
spec.loader.exec_module(bench)

TINY = TrainConfig(model=tiny_speech_config(bench.N_TOKENS))


def test_every_part_has_a_factor_and_they_add_up():
    factors = bench.part_factors(TINY, 0.2, 2, Precision.fp32)
    assert list(factors) == ["text", "priors", "denoisers, 2 steps", "griffin_lim", "all"]
    assert all(value > 0 for value in factors.values())
    assert factors["all"] == pytest.approx(sum(list(factors.values())[:-1]))


def test_both_phases_of_training_have_a_rate():
    rates = bench.training_rates(TINY, 0.2, 2, Precision.fp32)
    assert list(rates) == ["priors, steps/s", "denoisers, steps/s"]
    assert all(value > 0 for value in rates.values())


def test_every_figure_stands_beside_its_ratio_to_the_first_row():
    rows = [bench.Row("a", "2 s", {"text": 0.5}), bench.Row("b", "1 s", {"text": 2.0})]
    assert bench.table("RTF", rows).splitlines()[2:] == [
        "| | speech | text |",
        "|---|---|---|",
        "| a | 2 s | 0.5 (1×) |",
        "| b | 1 s | 2 (4×) |",
    ]

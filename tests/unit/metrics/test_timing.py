import itertools

import pytest

from tts.metrics import timing
from tts.metrics.timing import real_time_factor


def clock(monkeypatch, seconds):
    """Makes the calls of a test take these seconds."""
    ticks = itertools.chain.from_iterable((10.0 * i, 10.0 * i + duration) for i, duration in enumerate(seconds))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(ticks))


def test_it_is_the_median_after_the_first_call(monkeypatch):
    clock(monkeypatch, [9.0, 0.5, 2.0, 1.0])
    assert real_time_factor(lambda: 32000, 16000) == pytest.approx(0.5)


def test_each_run_is_divided_by_its_own_audio(monkeypatch):
    clock(monkeypatch, [1.0, 1.0, 3.0])
    lengths = iter([16000, 16000, 48000])
    assert real_time_factor(lambda: next(lengths), 16000, repeats=2) == pytest.approx(1.0)


def test_no_audio_and_no_runs_are_refused():
    with pytest.raises(ValueError, match="made 0 samples"):
        real_time_factor(lambda: 0, 16000)
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        real_time_factor(lambda: 1, 16000, repeats=0)

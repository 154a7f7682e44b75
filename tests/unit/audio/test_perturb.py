import numpy as np
import pytest

from tts.audio.perturb import PerturbConfig, draw_perturbation, perturb
from tts.audio.shift import track_f0
from tts.errors import AudioError, ConfigError
from tts.testing import make_tone, speak

RATE = 16000
OFF = PerturbConfig(eq_gain_db=0.0, max_formant_ratio=1.0, max_pitch_ratio=1.0)


def generator(*key):
    return np.random.default_rng(key)


@pytest.fixture(scope="module")
def wav():
    return speak("ma ni lo.", 130.0)


def test_with_everything_switched_off_the_wave_comes_back(wav):
    out = perturb(wav, RATE, OFF, generator(0))
    np.testing.assert_array_equal(out, wav)
    assert out is not wav


def test_a_key_fixes_the_wave_another_changes_it_and_the_global_generator_is_left_alone(wav):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = perturb(wav, RATE, PerturbConfig(), generator(0, 3, 7))
    np.testing.assert_array_equal(perturb(wav, RATE, PerturbConfig(), generator(0, 3, 7)), first)
    assert abs(perturb(wav, RATE, PerturbConfig(), generator(0, 3, 8)) - first).max() > 0.01
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
@pytest.mark.parametrize("level", [1.0, 1e-4, 1e-30])
def test_length_and_level_stay_at_any_rate(rate, level):
    wav = (level * make_tone(120.0, 0.3, rate)).astype(np.float32)
    for seed in range(3):
        out = perturb(wav, rate, PerturbConfig(), generator(seed))
        assert out.shape == wav.shape and out.dtype == np.float32
        assert np.square(out, dtype=np.float64).mean() == pytest.approx(np.square(wav, dtype=np.float64).mean(), rel=1e-4)


def test_pitch_moves_by_the_ratio_that_was_drawn():
    wav, config = make_tone(140.0, 0.8), PerturbConfig(eq_gain_db=0.0)
    for seed in range(4):
        ratio = draw_perturbation(config, generator(seed)).pitch_ratio
        f0 = track_f0(perturb(wav, RATE, config, generator(seed)), RATE)
        assert np.median(f0[f0 > 0]) == pytest.approx(140 * ratio, rel=0.02)


def test_draws_fill_their_ranges_and_half_of_the_ratios_are_inverted():
    draws = [draw_perturbation(PerturbConfig(), generator(seed)) for seed in range(1000)]
    gains, q = np.concatenate([d.gains_db for d in draws]), np.concatenate([d.q for d in draws])
    assert gains.min() == pytest.approx(-12, abs=0.1) and gains.max() == pytest.approx(12, abs=0.1)
    assert q.min() == pytest.approx(2, abs=0.01) and q.max() == pytest.approx(5, abs=0.01)
    assert np.median(q) == pytest.approx(np.sqrt(10), rel=0.02)  # of 2 (5/2)^u at u = 1/2
    for ratios, highest in (([d.formant_ratio for d in draws], 1.4), ([d.pitch_ratio for d in draws], 2.0)):
        up = np.array(ratios) > 1
        assert abs(up.sum() - 500) < 80  # 5 deviations of a fair coin
        wide = np.where(up, ratios, 1 / np.array(ratios))
        assert wide.min() == pytest.approx(1, abs=0.01) and wide.max() == pytest.approx(highest, abs=0.01)
        assert wide.mean() == pytest.approx((1 + highest) / 2, abs=0.05)


def test_switching_one_off_moves_no_other_draw():
    everything = draw_perturbation(PerturbConfig(), generator(5))
    without = draw_perturbation(PerturbConfig(eq_gain_db=0.0, max_formant_ratio=1.0), generator(5))
    assert not without.gains_db.any() and without.formant_ratio == 1
    assert without.pitch_ratio == everything.pitch_ratio


@pytest.mark.parametrize("n_samples", [1, 2, 31, 128, 511, 1000])
def test_a_wave_shorter_than_a_window_works(n_samples):
    wav = np.random.default_rng(1).uniform(-1, 1, n_samples).astype(np.float32)
    out = perturb(wav, RATE, PerturbConfig(), generator(0))
    assert out.shape == (n_samples,) and np.isfinite(out).all() and out.any()


@pytest.mark.parametrize("n_samples", [1, 700, 16000])
def test_silence_stays_silence(n_samples):
    assert not perturb(np.zeros(n_samples, np.float32), RATE, PerturbConfig(), generator(0)).any()


def test_samples_that_are_not_finite_are_refused(wav):
    broken = wav.copy()
    broken[42] = np.nan
    with pytest.raises(AudioError, match="sample 42 is nan"):
        perturb(broken, RATE, OFF, generator(0))


def test_no_samples_two_axes_and_a_low_rate_are_refused():
    with pytest.raises(AudioError, match="0 samples"):
        perturb(np.zeros(0, np.float32), RATE, OFF, generator(0))
    with pytest.raises(ValueError, match=r"found shape \(1, 5\)"):
        perturb(np.zeros((1, 5), np.float32), RATE, OFF, generator(0))
    with pytest.raises(ValueError, match="at least 4000 Hz, found 0"):
        perturb(np.zeros(5, np.float32), 0, OFF, generator(0))


@pytest.mark.parametrize(
    ("name", "value"),
    [("eq_gain_db", -1.0), ("eq_gain_db", 19.0), ("max_formant_ratio", 0.9), ("max_pitch_ratio", float("nan"))],
)
def test_a_range_out_of_bounds_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=f"perturb.{name}: found {value}"):
        PerturbConfig(**{name: value})

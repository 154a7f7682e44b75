import numpy as np
import pytest

from tts.metrics.speech import (
    align,
    duration_error,
    global_variance_ratio,
    log_mel_l1,
    mel_cepstra,
    mel_cepstral_distortion,
    pitch_scores,
    spectral_detail,
)

N_MELS = 80


def cosine(k, n_frames=6):
    """A log-mel whose only cepstrum is c_k = 1."""
    return np.repeat(np.cos(np.pi * k * (np.arange(N_MELS) + 0.5) / N_MELS)[:, None], n_frames, axis=1)


def noise(n_frames, seed=0):
    return np.random.default_rng(seed).normal(size=(N_MELS, n_frames))


@pytest.mark.parametrize("k", [1, 5, 13])
def test_a_cosine_over_the_bands_has_one_cepstrum(k):
    cepstra = mel_cepstra(0.7 * cosine(k))
    expected = np.zeros((13, 6))
    expected[k - 1] = 0.7
    np.testing.assert_allclose(cepstra, expected, atol=1e-12)


def test_the_cepstra_of_a_power_mel_are_those_of_its_amplitudes():
    np.testing.assert_allclose(mel_cepstra(2 * noise(4), power=2.0), mel_cepstra(noise(4)))


def test_the_distortion_of_one_cepstrum_is_its_closed_form():
    # 10 / ln 10 sqrt(2 0.3^2) dB
    expected = 10 / np.log(10) * np.sqrt(2) * 0.3
    assert mel_cepstral_distortion(noise(6), noise(6) + 0.3 * cosine(4)) == pytest.approx(expected)


def test_the_distortion_of_smooth_spectra_is_their_distance_in_decibels():
    x, y = 0.4 * cosine(2) + 0.2 * cosine(7), 0.1 * cosine(3)
    decibels = 20 / np.log(10) * (x - y)
    assert mel_cepstral_distortion(x, y) == pytest.approx(np.sqrt(np.square(decibels).mean()))


def test_the_distortion_does_not_hear_the_level():
    assert mel_cepstral_distortion(noise(5), noise(5) + 3.0) == pytest.approx(0.0, abs=1e-12)


def test_a_stretched_utterance_is_aligned_frame_by_frame():
    mel = noise(7)
    repeats = np.array([1, 3, 1, 2, 1, 1, 4])
    path = align(mel, np.repeat(mel, repeats, axis=1))
    np.testing.assert_array_equal(path[:, 0], np.repeat(np.arange(7), repeats))
    np.testing.assert_array_equal(path[:, 1], np.arange(repeats.sum()))
    assert log_mel_l1(mel, np.repeat(mel, repeats, axis=1), path) == 0.0


def test_a_path_starts_and_ends_with_both_utterances_and_never_goes_back():
    path = align(noise(9, 1), noise(14, 2))
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [8, 13]
    steps = np.diff(path, axis=0)
    assert set(map(tuple, steps.tolist())) <= {(0, 1), (1, 0), (1, 1)}


def test_an_utterance_without_frames_cannot_be_aligned():
    with pytest.raises(ValueError, match="0 frames with 4"):
        align(noise(0), noise(4))


def test_l1_is_the_mean_absolute_difference_of_paired_frames():
    x = np.zeros((N_MELS, 2))
    y = np.stack([np.full(N_MELS, 1.0), np.full(N_MELS, -4.0)], axis=1)
    assert log_mel_l1(x, y) == pytest.approx(2.5)
    assert log_mel_l1(x, y, np.array([[0, 0], [1, 0], [1, 1]])) == pytest.approx(2.0)


@pytest.mark.parametrize("path", [np.array([[0, 3]]), np.array([[-1, 0]]), np.zeros((0, 2), int), np.array([0, 1])])
def test_a_path_outside_the_utterances_is_refused(path):
    with pytest.raises(ValueError, match=r"a path \(P, 2\) within 3 and 3 frames"):
        log_mel_l1(noise(3), noise(3), path)


def test_unequal_lengths_without_a_path_are_refused():
    with pytest.raises(ValueError, match="3 frames, the generated utterance 4"):
        log_mel_l1(noise(3), noise(4))
    with pytest.raises(ValueError, match=r"cannot compare shapes \(80, 3\) and \(79, 3\)"):
        log_mel_l1(noise(3), noise(3)[1:])


def test_a_plane_has_no_detail_and_a_single_point_has_twenty_ninths_of_its_square():
    band, frame = np.mgrid[0:5, 0:5]
    assert spectral_detail(2.0 * band - 3.0 * frame + 1) == 0.0
    point = np.zeros((5, 5))
    point[2, 2] = 3.0
    # the Laplacian is -4 at the point and 1 at its four neighbours: (16 + 4) 3^2 over 9 inner places
    assert spectral_detail(point) == pytest.approx(20.0)
    assert spectral_detail(point, std=2.0) == pytest.approx(5.0)


def test_detail_of_white_noise_is_twenty_times_its_variance():
    # E L^2 = (4^2 + 4) s^2; the sampling error of 80 x 2000 dependent values is below 2 %
    assert spectral_detail(0.5 * noise(2000)) == pytest.approx(20 * 0.25, rel=0.03)


@pytest.mark.parametrize("shape", [(2, 5), (5, 2), (5,)])
def test_detail_needs_neighbours(shape):
    with pytest.raises(ValueError, match="at least 3 bands and 3 frames"):
        spectral_detail(np.zeros(shape))


def test_half_the_movement_is_a_quarter_of_the_variance():
    mel = noise(50)
    assert global_variance_ratio(mel, 0.5 * mel + 7) == pytest.approx(0.25)
    assert global_variance_ratio(mel, np.concatenate([mel, mel], axis=1)) == pytest.approx(1.0)


def test_bands_that_do_not_move_are_left_out():
    mel = noise(50)
    mel[:10] = -11.5
    assert global_variance_ratio(mel, 2 * mel) == pytest.approx(4.0)
    assert np.isnan(global_variance_ratio(np.zeros((3, 4)), np.ones((3, 4))))
    with pytest.raises(ValueError, match="found 80 bands in the reference, 79"):
        global_variance_ratio(mel, mel[1:])


def test_an_octave_up_is_ln_2_with_perfect_correlation():
    f0 = np.array([0, 100, 110, 120, 0], dtype=np.float32)
    scores = pitch_scores(f0, 2 * f0)
    assert scores.log_f0_rmse == pytest.approx(np.log(2))
    assert scores.correlation == pytest.approx(1.0)
    assert scores.voicing_error == 0.0
    assert scores.n_voiced == 3


def test_a_mirrored_contour_has_correlation_minus_one():
    log_f0 = np.array([0.1, 0.4, 0.2])
    assert pitch_scores(np.exp(5 + log_f0), np.exp(5 - log_f0)).correlation == pytest.approx(-1.0)


def test_voicing_errors_are_the_share_of_frames_voiced_in_one_alone():
    scores = pitch_scores(np.array([100, 100, 0, 0]), np.array([100, 0, 100, 0]))
    assert scores.voicing_error == 0.5
    assert scores.n_voiced == 1
    assert scores.log_f0_rmse == 0.0
    assert np.isnan(scores.correlation)


def test_silence_beside_speech_gives_no_number_rather_than_zero():
    scores = pitch_scores(np.zeros(4), np.full(4, 100.0))
    assert np.isnan(scores.log_f0_rmse)
    assert np.isnan(scores.correlation)
    assert (scores.voicing_error, scores.n_voiced) == (1.0, 0)


def test_pitch_is_compared_along_a_path():
    path = np.array([[0, 0], [0, 1], [1, 2]])
    scores = pitch_scores(np.array([100.0, 200.0]), np.array([100.0, 100.0, 200.0]), path)
    assert (scores.log_f0_rmse, scores.voicing_error) == (0.0, 0.0)


def test_duration_error_is_relative_to_the_mean_duration():
    assert duration_error(np.array([2, 4, 6]), np.array([3, 4, 4])) == pytest.approx(3 / 12)
    with pytest.raises(ValueError, match="as many durations"):
        duration_error(np.array([1.0]), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="sum 0"):
        duration_error(np.array([0.0]), np.array([0.0]))


@pytest.mark.parametrize("shape", [(13, 4), (80,)])
def test_cepstra_need_more_bands_than_there_are_cepstra(shape):
    with pytest.raises(ValueError, match="n_mels > 13"):
        mel_cepstra(np.zeros(shape))

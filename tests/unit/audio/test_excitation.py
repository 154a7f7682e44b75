import numpy as np
import pytest
import torch

from tts.audio.excitation import BREATH, harmonic_excitation
from tts.audio.mel import mel_filterbank
from tts.config import AUDIO_CONFIGS, AudioConfig


@pytest.mark.parametrize("audio", AUDIO_CONFIGS.values(), ids=AUDIO_CONFIGS)
@pytest.mark.parametrize("f0", [90.0, 187.3, 431.0])
def test_the_excitation_is_the_mel_of_a_sum_of_cosines(audio, f0):
    n = np.arange(audio.win_length) - audio.win_length // 2
    harmonics = np.arange(1, int(audio.sample_rate / 2 / f0) + 1)
    pulses = np.cos(2 * np.pi * f0 * np.outer(harmonics, n) / audio.sample_rate).sum(0)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(audio.win_length) / audio.win_length)
    power = np.abs(np.fft.rfft(pulses * window, audio.n_fft)) ** audio.power
    mel = mel_filterbank(audio).double().numpy() @ power
    expected = np.log(mel / mel.mean() + BREATH)
    found = harmonic_excitation(torch.tensor([[f0]]), audio)[0, :, 0]
    np.testing.assert_allclose(found, expected - expected.mean(), atol=0.05)  # between two entries of the table


def test_a_frame_without_pitch_has_none_and_the_mean_over_the_bands_is_zero():
    excitation = harmonic_excitation(torch.tensor([[0.0, 100.0, 5000.0]]), AudioConfig())
    assert excitation.shape == (1, 80, 3)
    assert not excitation[..., 0].any()
    assert excitation.mean(1).abs().max() < 1e-5


def test_the_lowest_harmonics_are_the_peaks():
    audio, f0 = AudioConfig(), 220.0
    excitation = harmonic_excitation(torch.tensor([[f0]]), audio)[0, :, 0]
    band_of = mel_filterbank(audio).argmax(0)  # of every bin of the spectrum
    for harmonic in range(1, 6):
        centre = band_of[round(harmonic * f0 / audio.sample_rate * audio.n_fft)]
        assert excitation[centre - 1 : centre + 2].max() > excitation[centre + 3] + 0.5


def test_pitch_beyond_the_table_is_held_at_its_ends():
    low, edge = (harmonic_excitation(torch.tensor([[f0]]), AudioConfig()) for f0 in (5.0, 30.0))
    assert torch.equal(low, edge)

import pytest
import torch

from tts.audio.mel import MelExtractor
from tts.config import AUDIO_CONFIGS
from tts.speech.griffin_lim import GriffinLim
from tts.speech.vocoder import Vocoder
from tts.testing import make_tone

AUDIO = AUDIO_CONFIGS["libri16k"]


def tone_mel(audio, f0=120.0, seconds=0.5):
    wav = torch.from_numpy(make_tone(f0, seconds, audio.sample_rate))
    return MelExtractor(audio)(wav[None])


@pytest.fixture(scope="module")
def vocoder():
    return GriffinLim(AUDIO)


def test_it_is_a_vocoder(vocoder):
    assert isinstance(vocoder, Vocoder)
    assert vocoder.name == "griffin_lim"


@pytest.mark.parametrize("name", sorted(AUDIO_CONFIGS))
def test_the_mel_of_the_wave_is_the_mel_that_went_in(name):
    audio = AUDIO_CONFIGS[name]
    mel = tone_mel(audio)
    again = MelExtractor(audio)(GriffinLim(audio)(mel))[..., : mel.shape[-1]]
    error = (again - mel)[..., 2:-2].abs().mean()
    moved = mel.roll(10, dims=1)
    assert error < 0.2 * (again - moved)[..., 2:-2].abs().mean(), error


@pytest.mark.parametrize("n_frames", [1, 2, 3, 50])
def test_the_wave_is_exactly_frames_times_hop_long(vocoder, n_frames):
    wav = vocoder(torch.randn(2, AUDIO.n_mels, n_frames) - 4)
    assert wav.shape == (2, n_frames * AUDIO.hop_length)
    assert wav.dtype == torch.float32
    assert wav.isfinite().all()


def test_a_batch_equals_its_singles(vocoder):
    mels = torch.cat([tone_mel(AUDIO, 120.0), tone_mel(AUDIO, 210.0)])
    batch = vocoder(mels)
    singles = torch.cat([vocoder(mel[None]) for mel in mels])
    torch.testing.assert_close(batch, singles, atol=1e-4, rtol=0)


def test_two_calls_are_bit_equal_and_leave_the_global_generator_alone(vocoder):
    mel = tone_mel(AUDIO)
    state = torch.get_rng_state()
    assert torch.equal(vocoder(mel), vocoder(mel))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_mel_of_silence_gives_silence(vocoder):
    wav = vocoder(torch.full((1, AUDIO.n_mels, 20), -11.513))
    assert wav.abs().max() < 1e-3


def test_a_mel_in_the_range_of_the_filterbank_is_inverted_exactly():
    vocoder = GriffinLim(AUDIO)
    truth = torch.rand(1, AUDIO.n_fft // 2 + 1, 4, generator=torch.Generator().manual_seed(0)) + 0.1
    mel = (vocoder.filters @ truth).log()
    magnitude = vocoder.magnitude(mel)
    assert (magnitude >= 0).all()
    torch.testing.assert_close((vocoder.filters @ magnitude).log(), mel, atol=2e-3, rtol=0)


def test_twice_the_amplitude_gives_twice_the_wave(vocoder):
    mel = tone_mel(AUDIO)
    torch.testing.assert_close(vocoder(mel + torch.log(torch.tensor(2.0))), 2 * vocoder(mel), atol=1e-2, rtol=1e-2)


def test_momentum_comes_nearer_in_the_same_number_of_iterations():
    mel = tone_mel(AUDIO)

    def error(momentum):
        wav = GriffinLim(AUDIO, momentum=momentum)(mel)
        return (MelExtractor(AUDIO)(wav)[..., : mel.shape[-1]] - mel).abs().mean()

    assert error(0.99) < error(0.0)


@pytest.mark.parametrize("shape", [(80, 10), (1, 79, 10), (1, 80, 0), (0, 80, 4)])
def test_another_shape_is_refused_naming_it(vocoder, shape):
    with pytest.raises(ValueError, match=r"mel must be floats \(batch, 80, frames\)"):
        vocoder(torch.zeros(shape))


@pytest.mark.parametrize("options", [{"n_iterations": 0}, {"momentum": 1.0}, {"momentum": -0.1}])
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="n_iterations >= 1 and 0 <= momentum < 1"):
        GriffinLim(AUDIO, **options)

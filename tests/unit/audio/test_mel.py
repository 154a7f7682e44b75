import math

import librosa
import numpy as np
import pytest
import torch
import torchaudio

from tts.audio.mel import MelExtractor, hz_to_mel, mel_filterbank, mel_to_hz
from tts.config import AUDIO_CONFIGS, AudioConfig, MelScale
from tts.errors import AudioError
from tts.testing import make_tone

CONTRACTS = pytest.mark.parametrize("audio", AUDIO_CONFIGS.values(), ids=AUDIO_CONFIGS.keys())


def speech_like(audio: AudioConfig, seconds: float = 0.7) -> np.ndarray:
    tone = make_tone(150.0, seconds, audio.sample_rate)
    return tone + 0.01 * np.random.default_rng(0).standard_normal(len(tone)).astype(np.float32)


def log_compressed(mel, audio):
    return np.log(mel + audio.log_offset) if audio.log_offset else np.log(np.maximum(mel, audio.log_floor))


@CONTRACTS
def test_the_filterbank_is_librosas(audio):
    expected = librosa.filters.mel(
        sr=audio.sample_rate,
        n_fft=audio.n_fft,
        n_mels=audio.n_mels,
        fmin=audio.f_min,
        fmax=audio.f_max,
        htk=audio.mel_scale is MelScale.htk,
        norm="slaney" if audio.slaney_norm else None,
    )
    np.testing.assert_allclose(mel_filterbank(audio).numpy(), expected, atol=1e-6 * expected.max())


@CONTRACTS
def test_the_mel_is_torchaudios(audio):
    wav = torch.from_numpy(speech_like(audio))[None]
    transform = torchaudio.transforms.MelSpectrogram(
        sample_rate=audio.sample_rate,
        n_fft=audio.n_fft,
        win_length=audio.win_length,
        hop_length=audio.hop_length,
        f_min=audio.f_min,
        f_max=audio.f_max,
        n_mels=audio.n_mels,
        power=audio.power,
        norm="slaney" if audio.slaney_norm else None,
        mel_scale=audio.mel_scale.value,
        center=True,
        pad_mode="reflect",
    )
    expected = log_compressed(transform(wav).numpy(), audio)
    np.testing.assert_allclose(MelExtractor(audio)(wav).numpy(), expected, atol=1e-4)


@CONTRACTS
def test_the_mel_is_librosas(audio):
    wav = speech_like(audio)
    expected = librosa.feature.melspectrogram(
        y=wav,
        sr=audio.sample_rate,
        n_fft=audio.n_fft,
        hop_length=audio.hop_length,
        win_length=audio.win_length,
        n_mels=audio.n_mels,
        fmin=audio.f_min,
        fmax=audio.f_max,
        power=audio.power,
        htk=audio.mel_scale is MelScale.htk,
        norm="slaney" if audio.slaney_norm else None,
        center=True,
        pad_mode="reflect",
    )
    actual = MelExtractor(audio)(torch.from_numpy(wav)[None])[0].numpy()
    np.testing.assert_allclose(actual, log_compressed(expected, audio), atol=1e-4)


def test_the_mel_is_the_one_of_speechbrains_recipe():
    from speechbrain.lobes.models import HifiGAN

    mel_of = getattr(HifiGAN, "mel_spectrogram", None) or HifiGAN.mel_spectogram  # spelt both ways in 1.x
    wav = torch.from_numpy(speech_like(AUDIO_CONFIGS["ljspeech22k"]))
    expected = mel_of(
        audio=wav,
        sample_rate=22050,
        hop_length=256,
        win_length=1024,
        n_fft=1024,
        n_mels=80,
        f_min=0.0,
        f_max=8000.0,
        power=1,
        normalized=False,
        norm="slaney",
        mel_scale="slaney",
        compression=True,
    )
    torch.testing.assert_close(MelExtractor(AUDIO_CONFIGS["ljspeech22k"])(wav[None])[0], expected, atol=1e-4, rtol=0)


def test_one_second_of_440_hz_gives_87_frames_and_its_loudest_filter_holds_440_hz():
    audio = AUDIO_CONFIGS["ljspeech22k"]
    mel = MelExtractor(audio)(torch.from_numpy(make_tone(440.0, 1.0, 22050, formants=(440,)))[None])
    assert mel.shape == (1, 80, 87)
    edges = mel_to_hz(torch.linspace(0, hz_to_mel(torch.tensor(8000.0), MelScale.slaney).item(), 82), MelScale.slaney)
    loudest = int(mel.mean(-1).argmax())
    assert edges[loudest] < 440 < edges[loudest + 2]


@CONTRACTS
def test_silence_gives_the_floor_of_the_contract(audio):
    floor = math.log(audio.log_offset or audio.log_floor)
    mel = MelExtractor(audio)(torch.zeros(2, 5000))
    torch.testing.assert_close(mel, torch.full_like(mel, floor))
    if audio.log_offset == 0:
        assert round(floor, 4) == -11.5129


@CONTRACTS
@pytest.mark.parametrize("n_samples", [1, 2, 255, 256, 512, 513, 640, 641, 1024, 4001])
def test_any_length_gives_one_frame_more_than_whole_hops(audio, n_samples):
    extractor = MelExtractor(audio)
    mel = extractor(torch.from_numpy(speech_like(audio)[:n_samples])[None])
    assert mel.shape == (1, audio.n_mels, n_samples // audio.hop_length + 1)
    assert extractor.n_frames(n_samples) == mel.shape[2]
    assert mel.isfinite().all()


def test_a_batch_equals_its_singles():
    extractor = MelExtractor(AUDIO_CONFIGS["libri16k"])
    wavs = torch.from_numpy(speech_like(AUDIO_CONFIGS["libri16k"])[:9000].reshape(3, 3000))
    torch.testing.assert_close(extractor(wavs), torch.cat([extractor(w[None]) for w in wavs]), atol=1e-5, rtol=0)


def test_doubling_the_level_adds_ln_2_to_a_magnitude_mel():
    extractor = MelExtractor(AUDIO_CONFIGS["libri16k"])
    wav = torch.from_numpy(speech_like(AUDIO_CONFIGS["libri16k"]))[None]
    torch.testing.assert_close(extractor(2 * wav) - extractor(wav), torch.full((1, 80, 44), math.log(2)), atol=1e-3, rtol=0)


def test_autocast_changes_nothing():
    extractor = MelExtractor(AUDIO_CONFIGS["libri16k"])
    wav = torch.from_numpy(speech_like(AUDIO_CONFIGS["libri16k"]))[None]
    with torch.autocast("cpu", torch.bfloat16):
        mel = extractor(wav)
    assert torch.equal(mel, extractor(wav))


def test_the_gradient_is_finite_even_at_silence():
    wav = torch.zeros(1, 2000, requires_grad=True)
    MelExtractor(AUDIO_CONFIGS["dddm16k"])(wav).sum().backward()
    assert wav.grad.isfinite().all()


def test_no_samples_and_a_missing_batch_axis_are_refused():
    extractor = MelExtractor(AUDIO_CONFIGS["libri16k"])
    with pytest.raises(AudioError, match="0 samples"):
        extractor(torch.zeros(1, 0))
    with pytest.raises(ValueError, match=r"\(batch, samples\).*\(100,\)"):
        extractor(torch.zeros(100))


def test_no_buffer_goes_into_a_checkpoint():
    assert MelExtractor(AUDIO_CONFIGS["libri16k"]).state_dict() == {}

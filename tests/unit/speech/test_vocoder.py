import dataclasses
import json

import pytest
import torch

from tts.config import AUDIO_CONFIGS, AudioConfig, from_dict, to_dict
from tts.errors import ConfigError, ModelError
from tts.speech import public_vocoders
from tts.speech.griffin_lim import GriffinLim
from tts.speech.hifigan import (
    HifiGan,
    VocoderConfig,
    folded_state,
    make_generator,
    save_vocoder,
    vocoder_preset,
)
from tts.speech.public_vocoders import PUBLIC_VOCODERS, load_public_vocoder, read_checkpoint
from tts.speech.vocoder import Vocoder, load_vocoder
from tts.testing import tiny_vocoder_config

AUDIO = AUDIO_CONFIGS["libri16k"]
TINY = tiny_vocoder_config()


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def random_mel(n_frames, batch=1):
    return torch.randn(batch, AUDIO.n_mels, n_frames, generator=torch.Generator().manual_seed(n_frames)) - 4


def write_old_checkpoint(path, generator, **extra):
    """A state_dict under the names weight_g and weight_v, as SpeechBrain's public checkpoints have them."""
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    state = {}
    for name, tensor in generator.state_dict().items():
        for new, old in names.items():
            name = name.replace(new, old)
        state[name] = tensor
    path.parent.mkdir(exist_ok=True)
    torch.save(state | extra, path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocoder") / "tiny"
    save_vocoder(path, TINY, make_generator(TINY), "A card.\n")
    return path


@pytest.mark.parametrize(("preset", "n_parameters"), [("v1", 13_926_017), ("light", 1_462_273)])
def test_the_generators_have_the_sizes_of_the_paper(preset, n_parameters):
    for audio in (AUDIO, AUDIO_CONFIGS["ljspeech22k"]):
        with torch.device("meta"):
            assert count(HifiGan(vocoder_preset(preset, audio))) == n_parameters


@pytest.mark.parametrize("preset", ["v1", "light"])
@pytest.mark.parametrize("audio", sorted(AUDIO_CONFIGS))
def test_a_preset_makes_hop_samples_a_frame(preset, audio):
    config = vocoder_preset(preset, AUDIO_CONFIGS[audio])
    with torch.device("meta"):
        wav = make_generator(config)(torch.zeros(1, config.audio.n_mels, config.min_frames))
    assert wav.shape == (1, 1, config.min_frames * config.audio.hop_length)


def test_the_fewest_frames_are_the_fewest_the_generator_takes():
    for config in (TINY, vocoder_preset("v1", AUDIO), vocoder_preset("light", AUDIO)):
        with torch.device("meta"):
            generator = make_generator(config)
            generator(torch.zeros(1, config.audio.n_mels, config.min_frames))
            with pytest.raises(RuntimeError):
                generator(torch.zeros(1, config.audio.n_mels, config.min_frames - 1))


def test_an_unknown_preset_or_hop_is_refused():
    with pytest.raises(ConfigError, match="no vocoder preset 'v9'"):
        vocoder_preset("v9", AUDIO)
    with pytest.raises(ConfigError, match="hop_length 200"):
        vocoder_preset("v1", dataclasses.replace(AUDIO, hop_length=200))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"upsample_factors": (8, 8, 2)}, "multiply to 128"),
        ({"upsample_factors": (256, 1)}, "at least 2"),
        ({"upsample_kernels": (16, 16)}, "one for each"),
        ({"upsample_kernels": (15, 16, 4, 4)}, "even number"),
        ({"initial_channels": 24}, "multiple of 16"),
        ({"resblock_kernels": (3, 7, 10)}, "odd"),
        ({"resblock_dilations": ((1, 3), (1, 3), (1, 3))}, "3 positive numbers"),
    ],
)
def test_a_configuration_that_makes_no_generator_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        VocoderConfig(**change)


def test_the_configuration_survives_json():
    config = vocoder_preset("light", AUDIO_CONFIGS["dddm16k"])
    assert from_dict(VocoderConfig, json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize("n_frames", [1, 2, 9])
def test_the_wave_is_exactly_frames_times_hop_long_and_within_full_scale(folder, n_frames):
    vocoder = load_vocoder(folder, AUDIO)
    assert isinstance(vocoder, Vocoder)
    wav = vocoder(random_mel(n_frames, batch=2))
    assert wav.shape == (2, n_frames * AUDIO.hop_length)
    assert wav.abs().max() <= 1


def test_a_batch_equals_its_singles(folder):
    vocoder, mels = load_vocoder(folder, AUDIO), random_mel(7, batch=3)
    torch.testing.assert_close(vocoder(mels), torch.cat([vocoder(mel[None]) for mel in mels]), atol=1e-5, rtol=0)


def test_folding_the_weight_norm_does_not_change_the_wave(tmp_path):
    generator, mel = make_generator(TINY), random_mel(9)
    save_vocoder(tmp_path, TINY, generator, "")
    torch.testing.assert_close(load_vocoder(tmp_path, AUDIO)(mel), generator(mel).squeeze(1).detach(), atol=1e-6, rtol=0)


def test_saving_again_is_bit_equal(tmp_path, folder):
    vocoder = load_vocoder(folder, AUDIO)
    save_vocoder(tmp_path, TINY, vocoder.generator, "A card.\n")
    for name in ("config.json", "model.safetensors", "README.md"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_griffin_lim_is_there_by_name():
    assert isinstance(load_vocoder("griffin_lim", AUDIO), GriffinLim)


def test_a_vocoder_of_another_mel_is_refused_with_the_differing_fields(folder):
    other = AudioConfig(sample_rate=22050, f_max=11025.0)
    with pytest.raises(ModelError, match=r"sample_rate: 16000 != 22050; f_max: 8000.0 != 11025.0"):
        load_vocoder(folder, other)


def test_a_name_that_is_nothing_is_refused_with_what_there_is(tmp_path):
    with pytest.raises(ModelError, match=r"no vocoder 'hifigan'.*griffin_lim, speechbrain/tts-hifigan-ljspeech"):
        load_vocoder("hifigan", AUDIO)
    with pytest.raises(ModelError, match="neither a folder with"):
        load_vocoder(tmp_path, AUDIO)


@pytest.fixture
def tiny_public(monkeypatch):
    monkeypatch.setattr(public_vocoders, "vocoder_preset", lambda name, audio: dataclasses.replace(TINY, audio=audio))


def test_an_old_checkpoint_becomes_the_same_generator(tmp_path, tiny_public):
    generator, mel = make_generator(TINY), random_mel(9)
    copy = tmp_path / "tts-hifigan-libritts-16kHz"
    write_old_checkpoint(copy / "generator.ckpt", generator)
    vocoder = load_vocoder(copy, AUDIO)
    assert vocoder.name == "speechbrain/tts-hifigan-libritts-16kHz"
    torch.testing.assert_close(vocoder(mel), generator(mel).squeeze(1).detach(), atol=1e-6, rtol=0)


def test_a_checkpoint_with_todays_names_is_read_too(tmp_path):
    generator = make_generator(TINY)
    torch.save(generator.state_dict(), tmp_path / "generator.ckpt")
    assert read_checkpoint(tmp_path / "generator.ckpt").keys() == generator.state_dict().keys()


def test_a_checkpoint_in_a_folder_of_unknown_name_is_refused(tmp_path):
    write_old_checkpoint(tmp_path / "mine" / "generator.ckpt", make_generator(TINY))
    with pytest.raises(ModelError, match="Name it tts-hifigan-ljspeech or tts-hifigan-libritts-16kHz"):
        load_vocoder(tmp_path / "mine", AUDIO)


def test_a_checkpoint_with_a_missing_and_an_extra_tensor_is_refused_naming_both(tmp_path, tiny_public):
    generator = make_generator(TINY)
    state = generator.state_dict()
    del state["conv_pre.conv.bias"]
    torch.save(state | {"more": torch.zeros(1)}, tmp_path / "generator.ckpt")
    with pytest.raises(ModelError, match=r"2 tensor\(s\).*missing conv_pre.conv.bias; unexpected more"):
        load_public_vocoder("speechbrain/tts-hifigan-libritts-16kHz", AUDIO, tmp_path)


def test_the_mel_is_compared_before_anything_is_downloaded(monkeypatch):
    monkeypatch.setattr(public_vocoders, "download", lambda name: pytest.fail("downloaded"))
    with pytest.raises(ModelError, match="sample_rate: 22050 != 16000"):
        load_vocoder("speechbrain/tts-hifigan-ljspeech", AUDIO)


def test_a_public_vocoder_without_network_is_an_error_with_the_ways_out(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"Go online, or copy .* folder named tts-hifigan-libritts-16kHz"):
        load_vocoder("speechbrain/tts-hifigan-libritts-16kHz", AUDIO)


def test_the_public_vocoders_take_the_mels_of_the_presets():
    for name, audio in PUBLIC_VOCODERS.items():
        assert vocoder_preset("v1", AUDIO_CONFIGS[audio]).audio.hop_length == 256, name


def test_the_folded_state_has_plain_names_only():
    state = folded_state(make_generator(TINY))
    assert not [name for name in state if "parametrizations" in name]
    assert "conv_pre.conv.weight" in state

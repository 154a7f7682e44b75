"""Pitch to the embedding P, continuous and by the codes of a frozen F0 VQ-VAE."""

import dataclasses

import pytest
import torch

from tts.config import AUDIO_CONFIGS, AudioConfig
from tts.errors import ConfigError
from tts.nets.blocks import lengths_to_mask
from tts.speech.config import PitchKind, SpeechConfig
from tts.speech.model import SourceFilterModel
from tts.speech.pitch_encoder import PitchEncoder, VqPitchEncoder, build_pitch_encoder
from tts.testing import seeded, tiny_f0_vqvae_config, tiny_speech_config

DIM = 12


def make(kind):
    encoder = seeded(lambda: build_pitch_encoder(kind, DIM, AudioConfig(), tiny_f0_vqvae_config()))
    if isinstance(encoder, VqPitchEncoder):
        generator = torch.Generator().manual_seed(1)
        found = encoder.vqvae(torch.randn(4, 64, generator=generator), torch.ones(4, 1, 64))
        encoder.vqvae.codebook.start(found.latents, generator)
    return encoder


def inputs(lengths):
    mask = lengths_to_mask(torch.tensor(lengths))
    generator = torch.Generator().manual_seed(0)
    pitch = torch.randn(len(lengths), mask.shape[-1], generator=generator)
    return pitch, 200 * (torch.rand(pitch.shape, generator=generator) > 0.5), mask


@pytest.mark.parametrize("kind", PitchKind)
def test_a_batch_equals_its_singles_and_padding_stays_zero(kind):
    encoder, lengths = make(kind).double(), [31, 14, 1]
    pitch, f0, mask = (x.double() for x in inputs(lengths))
    batch = encoder(pitch, f0, mask)
    assert batch.shape == (3, DIM, 31)
    for i, n in enumerate(lengths):
        single = encoder(pitch[i : i + 1, :n], f0[i : i + 1, :n], mask[i : i + 1, :, :n])
        torch.testing.assert_close(batch[i : i + 1, :, :n], single, atol=1e-12, rtol=0)
        assert not batch[i, :, n:].any()


def test_continuous_pitch_hears_voicing():
    encoder, (pitch, f0, mask) = make(PitchKind.continuous), inputs([20])
    assert isinstance(encoder, PitchEncoder)
    assert not torch.equal(encoder(pitch, f0, mask), encoder(pitch, 200 - f0, mask))


def test_four_frames_share_the_embedding_of_their_code():
    encoder, (pitch, f0, mask) = make(PitchKind.vq), inputs([18])
    embedded = encoder(pitch, f0, mask)[0].T
    codes = encoder.vqvae.encode(pitch, mask)[0]
    assert len(codes.unique()) > 1
    for t in range(18):
        assert torch.equal(embedded[t], encoder.embedding.weight[codes[t // 4]])


def test_the_f0_vqvae_is_frozen_in_eval_mode_and_part_of_the_state():
    encoder, (pitch, f0, mask) = make(PitchKind.vq), inputs([18])
    encoder.train()
    assert encoder.training and not any(module.training for module in encoder.vqvae.modules())
    before = {name: value.clone() for name, value in encoder.vqvae.state_dict().items()}
    encoder(pitch.requires_grad_(), f0, mask).square().sum().backward()
    assert pitch.grad is None
    assert [name for name, p in encoder.named_parameters() if p.grad is not None] == ["embedding.weight"]
    assert all(torch.equal(before[name], value) for name, value in encoder.vqvae.state_dict().items())
    assert {f"vqvae.{name}" for name in before} | {"embedding.weight"} == set(encoder.state_dict())


def test_codes_do_not_depend_on_the_precision_around_them():
    encoder, (pitch, f0, mask) = make(PitchKind.vq), inputs([400])
    with torch.autocast("cpu", torch.bfloat16):
        low = encoder(pitch, f0, mask)
    assert torch.equal(low, encoder(pitch, f0, mask))


def test_the_configuration_chooses_and_continuous_is_the_default():
    config = tiny_speech_config(9)
    assert isinstance(SourceFilterModel(config).source.embed, PitchEncoder)
    vq = dataclasses.replace(config, pitch=PitchKind.vq, f0_vqvae=tiny_f0_vqvae_config())
    assert isinstance(SourceFilterModel(vq).source.embed, VqPitchEncoder)


def test_codes_of_another_frame_rate_are_refused():
    with pytest.raises(ConfigError, match=r"frame_rate: found 62.5, the mel has 86.1328 frames"):
        SpeechConfig(audio=AUDIO_CONFIGS["ljspeech22k"], pitch=PitchKind.vq)
    SpeechConfig(audio=AUDIO_CONFIGS["ljspeech22k"])

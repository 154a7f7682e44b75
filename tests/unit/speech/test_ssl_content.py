"""Content of self-supervised networks, beside the whole networks of transformers."""

import sys

import numpy as np
import pytest
import torch
from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2Model

from tts.config import AUDIO_CONFIGS, AudioConfig
from tts.data.content_file import ContentKind
from tts.errors import AudioError, ModelError
from tts.speech.ssl_content import SslContent, interpolate_frames, normalize_wave
from tts.testing import make_tone, seeded

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
MEL = AudioConfig()


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Folders of a tiny XLS-R (norm after the last layer) and a tiny HuBERT base (norm before the first)."""
    root = tmp_path_factory.mktemp("networks")
    xlsr = Wav2Vec2Config(**SIZES, do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True)
    hubert = HubertConfig(**SIZES, do_stable_layer_norm=False, feat_extract_norm="group")
    makers = {
        ContentKind.xlsr: lambda: Wav2Vec2Model(xlsr),
        ContentKind.hubert: lambda: HubertModel(hubert),
    }
    for kind, maker in makers.items():
        seeded(maker, spread=0.1).save_pretrained(root / kind.value)
    return root


@pytest.mark.parametrize(("kind", "whole"), [(ContentKind.xlsr, Wav2Vec2Model), (ContentKind.hubert, HubertModel)])
def test_the_cut_network_gives_the_hidden_state_of_the_whole_one(networks, kind, whole):
    folder = str(networks / kind.value)
    content = SslContent(kind, folder, MEL, layer=2)
    wav = normalize_wave(torch.from_numpy(make_tone(120, 0.5)))[None]
    with torch.inference_mode():
        expected = whole.from_pretrained(folder).eval()(wav, output_hidden_states=True).hidden_states
        found = content.model(wav).last_hidden_state
    assert len(expected) == 5
    assert len(content.model.encoder.layers) == 2
    torch.testing.assert_close(found, expected[2], atol=1e-5, rtol=1e-5)
    assert (found - expected[3]).abs().max() > 1e-2


@pytest.mark.parametrize("n_samples", [1, 100, 399, 16000, 12345])
@pytest.mark.parametrize("audio", ["libri16k", "ljspeech22k"])
def test_there_is_a_column_for_every_mel_frame_at_any_length(networks, n_samples, audio):
    mel = AUDIO_CONFIGS[audio]
    wav = np.random.default_rng(0).standard_normal(n_samples).astype(np.float32)
    features = SslContent(ContentKind.xlsr, str(networks / "xlsr"), mel, layer=1)(wav)
    assert features.shape == (16, n_samples // mel.hop_length + 1)
    assert features.dtype == torch.float32
    assert features.isfinite().all()


def test_the_level_of_the_wave_and_its_offset_are_of_no_consequence(networks):
    content = SslContent(ContentKind.hubert, str(networks / "hubert"), MEL, layer=2)
    wav = make_tone(120, 0.5)
    torch.testing.assert_close(content(0.1 * wav + 0.05), content(wav), atol=1e-3, rtol=1e-3)
    assert content(np.zeros(4000, dtype=np.float32)).isfinite().all()


def test_a_mel_frame_has_the_value_at_its_own_time(networks):
    content = SslContent(ContentKind.xlsr, str(networks / "xlsr"), MEL, layer=1)
    wav = make_tone(120, 1.0)
    features = content(wav)
    heard = torch.nn.functional.pad(normalize_wave(torch.from_numpy(wav))[None, None], (40, 40), mode="reflect")[0]
    with torch.inference_mode():
        hidden = content.model(heard).last_hidden_state[0].T
    assert hidden.shape[1] == 16000 // 320
    # sample 256 * 25 = 6400 lies half-way between the centres 6240 and 6560 of the network's frames 19 and 20
    torch.testing.assert_close(features[:, 25], (hidden[:, 19] + hidden[:, 20]) / 2)
    torch.testing.assert_close(features[:, 0], hidden[:, 0])  # before the first centre
    torch.testing.assert_close(features[:, -1], hidden[:, -1])  # sample 15872, after the last, 15840


def test_between_frames_values_are_linear_and_beyond_them_constant():
    ramp = torch.arange(4.0)[None]
    places = torch.tensor([-1.0, 0.0, 0.25, 2.5, 3.0, 9.0])
    torch.testing.assert_close(interpolate_frames(ramp, places), torch.tensor([[0.0, 0.0, 0.25, 2.5, 3.0, 3.0]]))


def test_what_it_is_and_its_fingerprint_follow_network_and_layer(networks):
    first = SslContent(ContentKind.xlsr, str(networks / "xlsr"), MEL, layer=1).info
    again = SslContent(ContentKind.xlsr, str(networks / "xlsr"), MEL, layer=1).info
    deeper = SslContent(ContentKind.xlsr, str(networks / "xlsr"), MEL, layer=2).info
    assert (first.kind, first.dim, first.n_phones) == (ContentKind.xlsr, 16, 0)
    assert first == again
    assert first.fingerprint != deeper.fingerprint


def test_a_network_of_another_type_or_too_shallow_is_refused(networks):
    with pytest.raises(ModelError, match="found a hubert network of 4 layers, expected wav2vec2 with at least 2"):
        SslContent(ContentKind.xlsr, str(networks / "hubert"), MEL, layer=2)
    with pytest.raises(ModelError, match="of 4 layers, expected wav2vec2 with at least 12"):
        SslContent(ContentKind.xlsr, str(networks / "xlsr"), MEL)


def test_a_folder_without_a_network_is_said_with_what_to_give(tmp_path):
    with pytest.raises(ModelError, match=r"no network could be loaded .* Give a local folder"):
        SslContent(ContentKind.hubert, str(tmp_path), MEL)


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"glottis\[content\]"):
        SslContent(ContentKind.xlsr, "", MEL)


def test_no_samples_and_posteriors_are_refused(networks):
    with pytest.raises(AudioError, match="0 samples"):
        SslContent(ContentKind.xlsr, str(networks / "xlsr"), MEL, layer=1)(np.zeros(0, dtype=np.float32))
    with pytest.raises(ValueError, match="'ppg' is no self-supervised network"):
        SslContent(ContentKind.ppg, "", MEL)

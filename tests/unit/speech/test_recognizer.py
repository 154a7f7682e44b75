"""The phone recogniser: masks, reach, features, and its folder."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tts.audio.pitch import F0Statistics
from tts.data.statistics import Statistics
from tts.errors import ConfigError, DataError, ModelError
from tts.nets.blocks import lengths_to_mask
from tts.speech.recognizer import LoadedRecognizer, PhoneRecognizer, RecognizerConfig, load_recognizer, save_recognizer
from tts.testing import seeded, tiny_recognizer_config
from tts.text.tokens import PAD, Tokens

CONFIG = tiny_recognizer_config(5)


def recognizer():
    return seeded(lambda: PhoneRecognizer(CONFIG), spread=0.1).eval()


def mels(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def loaded():
    f0 = F0Statistics(mean=5.0, std=0.2)
    statistics = Statistics(mel_mean=-5.0, mel_std=2.0, f0=f0, speakers={"ada": f0})
    tokens = Tokens([PAD, " ", "a", "m", "."])
    return LoadedRecognizer(model=recognizer(), tokens=tokens, statistics=statistics, card="# A recogniser\n")


def test_a_batch_equals_its_singles_and_padding_is_zero():
    model, mel, lengths = recognizer(), mels(2, 80, 23), [23, 14]
    mask = lengths_to_mask(torch.tensor(lengths))
    batch = model.features(mel, mask)
    for i, n in enumerate(lengths):
        single = model.features(mel[i : i + 1, :, :n], torch.ones(1, 1, n))
        torch.testing.assert_close(batch[i : i + 1, :, :n], single, atol=1e-5, rtol=1e-5)
        assert batch[i, :, n:].abs().sum() == 0


def test_features_are_posteriors_that_sum_to_one_and_a_bottleneck_within_one():
    features = recognizer().features(mels(2, 80, 12), torch.ones(2, 1, 12))
    assert features.shape == (2, CONFIG.content_dim, 12) == (2, 5 + CONFIG.bottleneck, 12)
    torch.testing.assert_close(features[:, :5].sum(1), torch.ones(2, 12))
    assert features[:, :5].min() >= 0
    assert features[:, 5:].abs().max() <= 1


def test_a_frame_depends_on_its_reach_and_on_nothing_beyond():
    model = recognizer()
    mel = mels(1, 80, 40).requires_grad_(True)
    model.features(mel, torch.ones(1, 1, 40))[0, :, 20].square().sum().backward()
    heard = mel.grad[0].abs().sum(0).nonzero().flatten()
    assert CONFIG.reach == 2 + 1 + 2  # two convolutions of the stem, dilations 1 and 2, kernel 3
    assert (heard[0].item(), heard[-1].item()) == (20 - CONFIG.reach, 20 + CONFIG.reach)


def test_the_default_has_the_size_that_its_layers_add_up_to():
    n, width, bottleneck, tokens = 5, 160, 64, 87
    stem = 80 * width * n + width + width * width * n + width
    block = 2 * width + width * 2 * width * n + 2 * width + width * width + width
    heads = 2 * width + width * bottleneck + bottleneck + 2 * bottleneck + 2 * (bottleneck * tokens + tokens)
    with torch.device("meta"):
        model = PhoneRecognizer(RecognizerConfig(n_tokens=tokens))
    assert sum(p.numel() for p in model.parameters()) == stem + 6 * block + heads == 1_908_782


def test_a_saved_recogniser_comes_back_with_the_same_features_and_fingerprint(tmp_path):
    before = loaded()
    save_recognizer(tmp_path, before)
    after = load_recognizer(tmp_path)
    mel, mask = mels(1, 80, 9), torch.ones(1, 1, 9)
    assert torch.equal(after.model.features(mel, mask), before.model.features(mel, mask))
    assert (after.tokens.symbols, after.card) == (before.tokens.symbols, before.card)
    assert after.statistics.mel_mean == before.statistics.mel_mean
    assert after.statistics.speakers.keys() == {"ada"}
    assert after.fingerprint() == before.fingerprint()
    assert not any(p.requires_grad for p in after.model.parameters())


def test_the_fingerprint_follows_weights_and_scale():
    first = loaded()
    scaled = dataclasses.replace(first, statistics=dataclasses.replace(first.statistics, mel_mean=-5.5))
    other = loaded()
    with torch.no_grad():
        other.model.ctc_head.bias[0] += 1e-3
    assert len({first.fingerprint(), scaled.fingerprint(), other.fingerprint()}) == 3


def test_a_folder_of_another_kind_is_no_recogniser(tmp_path):
    (tmp_path / "config.json").write_text('{"kind": "hifigan"}')
    with pytest.raises(ModelError, match="kind 'hifigan', expected 'recognizer'"):
        load_recognizer(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        load_recognizer(tmp_path / "nowhere")


def test_a_recogniser_whose_parts_do_not_fit_is_refused(tmp_path):
    save_recognizer(tmp_path, loaded())
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if k != "squeeze.bias"}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"missing squeeze\.bias"):
        load_recognizer(tmp_path)
    Tokens([PAD, "a"]).save(tmp_path / "tokens.txt")
    with pytest.raises(ModelError, match=r"tokens\.txt has 2 symbols, config\.json 5"):
        load_recognizer(tmp_path)


def test_sizes_out_of_range_are_refused_by_name(tmp_path):
    save_recognizer(tmp_path, loaded())
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"channels": 10**9}))
    with pytest.raises(ConfigError, match=r"recognizer\.channels: found 1000000000"):
        load_recognizer(tmp_path)
    with pytest.raises(ConfigError, match="odd"):
        RecognizerConfig(kernel_size=4)

import numpy as np
import pytest
import torch

from tts.audio.mel import MelExtractor
from tts.audio.perturb import PerturbConfig
from tts.config import AudioConfig
from tts.data.feature_file import read_features
from tts.data.features import FeatureSettings
from tts.data.recordings import PerturbedMels, Recordings, read_settings
from tts.errors import DataError

EQ_ONLY = PerturbConfig(max_formant_ratio=1.0, max_pitch_ratio=1.0)


def test_the_clean_version_has_exactly_the_mel_of_the_features(dataset):
    recordings = Recordings(dataset.folder, PerturbConfig())
    for row in dataset.rows:
        mel = MelExtractor(AudioConfig())(torch.tensor(recordings.wav(row))[None])[0]
        torch.testing.assert_close(mel, read_features(dataset.folder, row.id)[0])


def test_a_perturbed_version_is_a_function_of_seed_version_and_id(dataset):
    first, second = dataset.rows[:2]
    wav = Recordings(dataset.folder, EQ_ONLY, seed=3).wav
    again = Recordings(dataset.folder, EQ_ONLY, seed=3)
    again.wav(second, 1)  # an order of its own
    assert np.array_equal(wav(first, 1), again.wav(first, 1))
    assert len(wav(first, 1)) == len(wav(first))
    others = [wav(first, 0), wav(first, 2), Recordings(dataset.folder, EQ_ONLY, seed=4).wav(first, 1)]
    assert not any(np.allclose(wav(first, 1), other, atol=1e-3) for other in others)


def test_the_fingerprint_follows_seed_and_perturbation(dataset):
    prints = {
        Recordings(dataset.folder, config, seed).fingerprint()
        for config, seed in ((PerturbConfig(), 0), (PerturbConfig(), 1), (EQ_ONLY, 0))
    }
    assert len(prints) == 3


def test_perturbed_mels_are_made_once_and_read_back_the_same(dataset, tmp_path, monkeypatch):
    row, recordings = dataset.rows[0], Recordings(dataset.folder, EQ_ONLY)
    mels = PerturbedMels(recordings, tmp_path)
    made = mels(row, 1)
    assert made.shape == (80, row.frames)
    expected = MelExtractor(AudioConfig())(torch.tensor(recordings.wav(row, 1))[None])[0]
    torch.testing.assert_close(made, expected, atol=0.005, rtol=0)
    monkeypatch.setattr(recordings, "wav", None)
    assert torch.equal(PerturbedMels(recordings, tmp_path)(row, 1), made)


def test_a_perturbed_mel_that_was_cut_short_is_made_again(dataset, tmp_path):
    row, mels = dataset.rows[0], PerturbedMels(Recordings(dataset.folder, EQ_ONLY), tmp_path)
    made = mels(row, 1)
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:100])
    assert torch.equal(mels(row, 1), made)


def test_the_settings_of_the_features_are_read_back(dataset, tmp_path):
    assert read_settings(dataset.folder) == FeatureSettings(audio=AudioConfig())
    with pytest.raises(DataError, match="no such file"):
        read_settings(tmp_path)
    (tmp_path / "settings.json").write_text("[]")
    with pytest.raises(DataError, match="table of keys"):
        read_settings(tmp_path)

"""The alignment stage: durations of every set from one model, and what cannot be aligned named by its utterance."""

import dataclasses

import numpy as np
import pytest
from safetensors.numpy import load_file

from tts.config import AudioConfig
from tts.data.corpora import read_corpus
from tts.data.dataset import DURATIONS
from tts.data.features import FeatureSettings, prepare_features
from tts.data.manifest import MANIFEST, read_manifest, write_manifest
from tts.errors import DataError
from tts.speech.alignment_stage import align_folders
from tts.testing import make_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return read_corpus(make_corpus(tmp_path_factory.mktemp("voice") / "corpus", 4, 0.8))


def prepare(utterances, folder):
    prepare_features(utterances, folder, FeatureSettings(audio=AudioConfig()), "characters")
    return folder


def test_every_set_gets_durations_that_sum_to_its_frames(corpus, tmp_path):
    train, dev = prepare(corpus[:3], tmp_path / "train"), prepare(corpus[3:], tmp_path / "dev")
    frames = align_folders(train, [dev], iterations=3)
    for folder in (train, dev):
        durations, rows = load_file(folder / DURATIONS), read_manifest(folder)
        assert {name: (len(d), int(d.sum())) for name, d in durations.items()} == {
            row.id: (len(row.phones), row.frames) for row in rows
        }
        assert all(d.dtype == np.int32 for d in durations.values())
        for row in rows:
            assert all(d > 0 for d, phone in zip(durations[row.id], row.phones, strict=True) if phone.isalpha())
        assert frames[folder] == sum(row.frames for row in rows)


def test_a_corpus_of_one_utterance_is_aligned(corpus, tmp_path):
    folder = prepare(corpus[:1], tmp_path / "one")
    (row,) = read_manifest(folder)
    assert align_folders(folder, [], iterations=3) == {folder: row.frames}


@pytest.mark.parametrize(
    ("phones", "message"),
    [((), "1 of 2 utterances have no text \\(ada-0001\\)"), (("a",) * 5000, "utterance 0: .* frames for 5000 phones")],
)
def test_what_cannot_be_aligned_is_named_and_nothing_is_written(corpus, tmp_path, phones, message):
    folder = prepare(corpus[:2], tmp_path / "bad")
    first, second = read_manifest(folder)
    write_manifest(folder / MANIFEST, [dataclasses.replace(first, phones=phones), second])
    with pytest.raises(DataError, match=message):
        align_folders(folder, [], iterations=1)
    assert not (folder / DURATIONS).exists()

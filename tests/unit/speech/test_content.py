"""Content features of waves and of whole features folders."""

import shutil

import numpy as np
import pytest
import soundfile
import torch

from tts.apps.cli import main
from tts.audio.perturb import PerturbConfig
from tts.config import AUDIO_CONFIGS
from tts.data.content_file import ContentKind, content_path, read_content, read_content_info
from tts.data.dataset import UtteranceDataset
from tts.data.manifest import read_manifest
from tts.data.recordings import Recordings
from tts.errors import DataError, ModelError
from tts.speech import content_stage
from tts.speech.content import PpgContent, load_content_encoder
from tts.speech.content_stage import ContentSettings, prepare_content
from tts.speech.recognizer import LoadedRecognizer, PhoneRecognizer, load_recognizer, save_recognizer
from tts.testing import make_features, make_tone, seeded, tiny_recognizer_config


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_features(tmp_path_factory.mktemp("content") / "features", 3, 0.6)


@pytest.fixture(scope="module")
def recognizer(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recognizer")
    model = seeded(lambda: PhoneRecognizer(tiny_recognizer_config(len(corpus.tokens))), spread=0.1)
    save_recognizer(folder, LoadedRecognizer(model=model, tokens=corpus.tokens, statistics=corpus.statistics, card=""))
    return folder


@pytest.fixture
def folder(corpus, tmp_path):
    return shutil.copytree(corpus.folder, tmp_path / "features")


def settings(recognizer, **changes):
    return ContentSettings(kind=ContentKind.ppg, source=str(recognizer), **{"versions": 2} | changes)


def written(folder):
    return {row.id: content_path(folder, row.id).read_bytes() for row in read_manifest(folder)}


@pytest.mark.parametrize("n_samples", [1, 255, 256, 5000])
def test_a_wave_has_a_column_for_every_mel_frame(recognizer, corpus, n_samples):
    encoder = PpgContent(load_recognizer(recognizer))
    features = encoder(make_tone(150, 1.0)[:n_samples])
    assert features.shape == (len(corpus.tokens) + 8, n_samples // 256 + 1)
    assert (encoder.info.kind, encoder.info.dim, encoder.info.n_phones) == (
        ContentKind.ppg,
        *features.shape[:1],
        len(corpus.tokens),
    )


def test_the_features_of_a_recording_are_those_of_its_mel(recognizer, corpus):
    loaded, item = load_recognizer(recognizer), corpus[0]
    wav = Recordings(corpus.folder, PerturbConfig()).wav(corpus.rows[0])
    expected = loaded.model.features(item.mel[None], torch.ones(1, 1, item.mel.shape[1]))[0]
    torch.testing.assert_close(PpgContent(loaded)(wav), expected, atol=1e-4, rtol=1e-4)


def test_version_0_is_of_the_clean_recording_and_the_others_are_not(recognizer, folder, corpus):
    info = prepare_content(folder, settings(recognizer, versions=3))
    assert read_content_info(folder) == info
    assert (info.kind, info.versions, info.n_phones) == (ContentKind.ppg, 3, len(corpus.tokens))
    model = load_recognizer(recognizer).model
    dataset = UtteranceDataset(folder, corpus.tokens, corpus.statistics)
    for index, row in enumerate(dataset.rows):
        mel = dataset[index].mel
        clean, second, third = (read_content(folder, row.id, version) for version in range(3))
        assert clean.shape == (info.dim, row.frames)
        torch.testing.assert_close(clean, model.features(mel[None], mel.new_ones(1, 1, row.frames))[0], atol=2e-3, rtol=2e-3)
        assert (second - clean).abs().max() > 0.05
        assert (second - third).abs().max() > 0.05


def test_two_processes_write_what_one_does(recognizer, folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    assert prepare_content(folder, settings(recognizer)) == prepare_content(other, settings(recognizer), n_jobs=2)
    assert written(folder) == written(other)


def test_a_stopped_run_goes_on_and_keeps_what_is_finished(recognizer, folder, monkeypatch):
    whole = shutil.copytree(folder, folder.with_name("whole"))
    prepare_content(whole, settings(recognizer))
    ids, real = [row.id for row in read_manifest(folder)], content_stage.write_content

    def stop_at_third(path, *rest):
        if path.stem == ids[2]:
            raise KeyboardInterrupt
        real(path, *rest)

    monkeypatch.setattr(content_stage, "write_content", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        prepare_content(folder, settings(recognizer))
    with pytest.raises(DataError, match="not of all utterances"):
        read_content_info(folder)
    content_path(folder, ids[1]).write_bytes(b"cut short")
    made = []
    monkeypatch.setattr(content_stage, "write_content", lambda path, *rest: (made.append(path.stem), real(path, *rest)))
    prepare_content(folder, settings(recognizer))
    assert made == ids[1:]
    assert written(folder) == written(whole)


def test_another_seed_makes_other_perturbed_versions_and_the_same_clean_one(recognizer, folder):
    first = prepare_content(folder, settings(recognizer))
    row = read_manifest(folder)[0]
    before = [read_content(folder, row.id, version) for version in range(2)]
    second = prepare_content(folder, settings(recognizer, seed=1))
    assert first.fingerprint != second.fingerprint
    assert torch.equal(read_content(folder, row.id, 0), before[0])
    assert not torch.equal(read_content(folder, row.id, 1), before[1])


def test_a_new_recogniser_in_the_old_place_makes_new_content(recognizer, folder, tmp_path):
    place = shutil.copytree(recognizer, tmp_path / "recognizer")
    first = prepare_content(folder, settings(place, versions=1))
    loaded = load_recognizer(place)
    loaded.model.squeeze.bias.data += 1.0
    save_recognizer(place, loaded)
    assert prepare_content(folder, settings(place, versions=1)).fingerprint != first.fingerprint


def test_a_recording_that_is_no_longer_that_of_its_features_is_named(recognizer, folder):
    rows = read_manifest(folder)
    path = folder / "other.wav"
    soundfile.write(path, make_tone(100, 2.0), 16000)
    manifest = (folder / "manifest.jsonl").read_text().replace(rows[0].audio, str(path))
    (folder / "manifest.jsonl").write_text(manifest)
    with pytest.raises(DataError, match=r"other\.wav: gives \d+ mel frames, the manifest of .* has \d+ for ada-0001"):
        prepare_content(folder, settings(recognizer))


def test_a_recogniser_of_another_mel_is_refused(recognizer):
    with pytest.raises(ModelError, match="sample_rate: 16000 != 22050"):
        load_content_encoder(ContentKind.ppg, str(recognizer), AUDIO_CONFIGS["ljspeech22k"])


def test_numbers_out_of_range_are_refused(recognizer, folder):
    with pytest.raises(ValueError, match="versions 0"):
        settings(recognizer, versions=0)
    with pytest.raises(ValueError, match="n_jobs 0"):
        prepare_content(folder, settings(recognizer), n_jobs=0)


def test_the_command_caches_content(recognizer, folder, capsys):
    words = ["prepare", "content", "--features", str(folder), "--recognizer", str(recognizer), "--versions", "1"]
    assert main(words) == 0
    assert "ppg content" in capsys.readouterr().out
    assert read_content_info(folder).versions == 1
    assert np.isfinite(read_content(folder, "ada-0001").numpy()).all()

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file, save_file

from tts.config import AudioConfig
from tts.data import features
from tts.data.corpora import read_corpus
from tts.data.feature_file import features_path, read_feature_info, read_features
from tts.data.features import FeatureSettings, extract_features, phonemize_texts, prepare_features, trim_silence
from tts.data.kaldi_dir import write_kaldi_dir
from tts.data.manifest import Utterance, read_manifest
from tts.errors import AudioError, DataError
from tts.testing import make_corpus, make_tone

RATE = 16000
SETTINGS = FeatureSettings(audio=AudioConfig())


def write(path, wav, rate=RATE):
    soundfile.write(path, wav, rate)
    return Utterance(id=path.stem, audio=path, text="ma mi.", speaker="eve")


@pytest.fixture
def corpus(tmp_path):
    return read_corpus(make_corpus(tmp_path / "corpus", 2, 0.5))


def test_features_have_the_frames_of_the_trimmed_wave_and_its_pitch(tmp_path):
    wav = np.concatenate([np.zeros(8000), make_tone(140, 1.0), np.zeros(8000)])
    info = extract_features(write(tmp_path / "a.wav", wav), tmp_path, SETTINGS)
    mel, f0 = read_features(tmp_path, "a")
    assert mel.shape == (80, info.frames)
    assert f0.shape == (info.frames,)
    assert info.seconds == pytest.approx(1.1, abs=0.05)
    assert info.frames == int(info.seconds * RATE) // 256 + 1
    assert np.median(f0[f0 > 0]) == pytest.approx(140, rel=0.02)
    assert info.peak == pytest.approx(0.5, abs=1e-3)
    assert info.clipped == 0


def test_the_level_is_not_touched(tmp_path):
    wav = make_tone(140, 0.5)
    for name, gain in (("loud", 1.0), ("quiet", 0.1)):
        extract_features(write(tmp_path / f"{name}.wav", gain * wav), tmp_path, SETTINGS)
    loud, quiet = (read_features(tmp_path, name)[0] for name in ("loud", "quiet"))
    band = loud > -4
    np.testing.assert_allclose((loud - quiet)[band], np.log(10), atol=0.05)


def test_audio_is_resampled_once_at_the_door(tmp_path):
    info = extract_features(write(tmp_path / "a.wav", make_tone(140, 0.5, 44100), 44100), tmp_path, SETTINGS)
    assert info.seconds == pytest.approx(0.5, abs=0.03)


def test_trimming_leaves_the_margin_on_both_sides():
    wav = np.concatenate([np.zeros(4000), make_tone(140, 0.5), np.zeros(6000)]).astype(np.float32)
    trimmed = trim_silence(wav, RATE, 40.0, 0.05)
    assert len(trimmed) / RATE == pytest.approx(0.5 + 2 * 0.05, abs=0.04)
    assert np.abs(trimmed).sum() == pytest.approx(np.abs(wav).sum())


def test_silence_is_kept_whole_unvoiced_and_finite(tmp_path):
    info = extract_features(write(tmp_path / "a.wav", np.zeros(4000)), tmp_path, SETTINGS)
    mel, f0 = read_features(tmp_path, "a")
    assert (info.seconds, info.voiced, info.peak) == (0.25, 0.0, 0.0)
    assert np.isfinite(mel.numpy()).all()
    assert not f0.any()


def test_a_clip_shorter_than_the_window_gives_one_frame(tmp_path):
    assert extract_features(write(tmp_path / "a.wav", make_tone(140, 0.01)), tmp_path, SETTINGS).frames == 1


def test_the_share_of_clipped_samples_is_measured(tmp_path):
    info = extract_features(write(tmp_path / "a.wav", np.clip(4 * make_tone(140, 0.3), -1, 1)), tmp_path, SETTINGS)
    assert info.clipped > 0.01


def test_header_only_audio_is_an_error(tmp_path):
    with pytest.raises(AudioError, match="no samples"):
        extract_features(write(tmp_path / "a.wav", np.zeros(0)), tmp_path, SETTINGS)


def test_finished_utterances_are_not_done_again_and_changed_ones_are(tmp_path, corpus):
    first = prepare_features(corpus, tmp_path / "out", SETTINGS, "characters")
    files = [features_path(tmp_path / "out", u.id) for u in corpus]
    written = [path.stat().st_mtime_ns for path in files]
    assert prepare_features(corpus, tmp_path / "out", SETTINGS, "characters") == first
    assert [path.stat().st_mtime_ns for path in files] == written
    os.utime(corpus[0].audio, (1, 1))
    prepare_features(corpus, tmp_path / "out", SETTINGS, "characters")
    assert [path.stat().st_mtime_ns == old for path, old in zip(files, written, strict=True)] == [False, True]
    harvest = FeatureSettings(audio=AudioConfig(), f0_method="harvest")
    assert prepare_features(corpus, tmp_path / "out", harvest, "characters") == first
    assert files[1].stat().st_mtime_ns != written[1]


@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign"])
def test_a_partial_feature_file_is_ignored_and_made_again(tmp_path, corpus, damage):
    info = extract_features(corpus[0], tmp_path, SETTINGS)
    path = features_path(tmp_path, corpus[0].id)
    whole = path.read_bytes()
    if damage == "foreign":
        save_file({"x": np.zeros(1)}, path)
    else:
        path.write_bytes(whole[: len(whole) // 2 if damage == "truncated" else 0])
    with pytest.raises(DataError, match="not a complete feature file"):
        read_feature_info(path)
    assert extract_features(corpus[0], tmp_path, SETTINGS) == info
    assert path.read_bytes() == whole


def test_shards_on_several_machines_and_a_last_collecting_run_equal_one_run(tmp_path, corpus, monkeypatch):
    whole = prepare_features(corpus, tmp_path / "whole", SETTINGS, "characters")
    for part in (1, 2):
        assert prepare_features(corpus, tmp_path / "parts", SETTINGS, "characters", shard=(part, 2)) == []
        assert len(list((tmp_path / "parts" / "features").iterdir())) == part
    assert not (tmp_path / "parts" / "manifest.jsonl").exists()
    monkeypatch.setattr(features, "read_audio", None)  # the collecting run reads no audio
    assert prepare_features(corpus, tmp_path / "parts", SETTINGS, "characters") == whole == read_manifest(tmp_path / "parts")


def test_worker_processes_give_the_same_files_as_none(tmp_path, corpus):
    one = prepare_features(corpus, tmp_path / "one", SETTINGS, "characters")
    two = prepare_features(corpus, tmp_path / "two", SETTINGS, "characters", n_jobs=2)
    assert one == two
    for row in one:
        for name, array in load_file(features_path(tmp_path / "one", row.id)).items():
            np.testing.assert_array_equal(array, load_file(features_path(tmp_path / "two", row.id))[name])
    assert not multiprocessing.active_children()


def test_unreadable_audio_is_left_out_and_counted(tmp_path, corpus, caplog):
    corpus[0].audio.write_bytes(b"not audio")
    rows = prepare_features(corpus, tmp_path / "out", SETTINGS, "characters")
    assert [row.id for row in rows] == [corpus[1].id]
    assert "1 of 2 utterances left out: ada-0001" in caplog.text
    for utterance in corpus:
        utterance.audio.write_bytes(b"not audio")
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(DataError, match="none of 2 utterances"):
        prepare_features(corpus, tmp_path / "out", SETTINGS, "characters")


def test_a_text_begins_with_a_word_boundary_and_one_with_nothing_to_speak_keeps_its_place():
    assert phonemize_texts(["", "ab.", " … "], "characters") == [(), (" ", "a", "b", "."), ()]


@pytest.mark.parametrize("wrong", [{"shard": (0, 2)}, {"shard": (3, 2)}, {"n_jobs": 0}])
def test_impossible_shards_and_jobs_are_refused(tmp_path, corpus, wrong):
    with pytest.raises(ValueError, match="expected 1 <= i <= n"):
        prepare_features(corpus, tmp_path / "out", SETTINGS, "characters", **wrong)


def _die(*_args, **_options):
    os._exit(9)


def test_a_dead_worker_is_an_error_that_says_how_to_go_on(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(features, "_extract_or_reason", _die)
    with pytest.raises(DataError, match="a worker process died"):
        prepare_features(corpus, tmp_path / "out", SETTINGS, "characters", n_jobs=2)


def test_an_interrupt_ends_with_130_and_the_next_run_goes_on(tmp_path):
    corpus = read_corpus(make_corpus(tmp_path / "corpus", 60, 1.0))
    write_kaldi_dir(tmp_path / "data", corpus)
    environment = {**os.environ, "PYTHONPATH": str(Path(features.__file__).parents[2])}
    glottis = [sys.executable, "-m", "tts.apps.cli", "prepare", "features", "--frontend", "characters", "--nj", "2"]
    glottis += ["--f0-method", "harvest"]  # slow enough to be interrupted
    folders = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a suite in the background inherits a deaf ear
    process = subprocess.Popen([*glottis, *folders], env=environment, start_new_session=True, preexec_fn=heard)
    done = tmp_path / "out" / "features"
    while process.poll() is None and not (done.is_dir() and any(done.glob("*.safetensors"))):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the parent and its workers
    assert process.wait(200) == 130
    finished = {path: path.stat().st_mtime_ns for path in done.glob("*.safetensors")}
    assert 0 < len(finished) < 60
    assert not (tmp_path / "out" / "manifest.jsonl").exists()
    rows = prepare_features(corpus, tmp_path / "out", replace(SETTINGS, f0_method="harvest"), "characters", n_jobs=2)
    assert len(rows) == 60
    assert all(path.stat().st_mtime_ns == old for path, old in finished.items())

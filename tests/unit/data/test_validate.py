import dataclasses
import json

import numpy as np
import pytest
import soundfile

from tts.config import AudioConfig
from tts.data.corpora import read_corpus
from tts.data.feature_file import FeatureInfo, features_path, write_features
from tts.data.features import FeatureSettings, prepare_features
from tts.data.kaldi_dir import find_problems, fix_kaldi_dir, write_kaldi_dir
from tts.data.manifest import MANIFEST, ManifestRow, read_manifest, write_manifest
from tts.data.validate import FilterLimits, drop_reason, filter_features, validate_kaldi_dir
from tts.errors import DataError
from tts.testing import make_corpus

GOOD = FeatureInfo(fingerprint="x", frames=63, seconds=1.0, peak=0.5, clipped=0.0, voiced=0.6)


def row(utterance_id, seconds=1.0, symbols=12, frames=63):
    phones = ("a",) * symbols
    return ManifestRow(id=utterance_id, audio="x", text="", phones=phones, speaker="eve", frames=frames, seconds=seconds)


@pytest.mark.parametrize(
    ("changes", "info", "reason"),
    [
        ({}, {}, None),
        ({"seconds": 0.099}, {}, "too short"),
        ({"seconds": 20.1, "symbols": 100}, {}, "too long"),
        ({}, {"peak": 0.0}, "silent"),
        ({}, {"peak": 0.001}, None),  # -60 dBFS is accepted
        ({}, {"voiced": 0.0}, "unvoiced"),
        ({"symbols": 0}, {}, "no text"),
        ({"symbols": 1}, {}, "text too short for the audio"),
        ({"symbols": 31}, {}, "text too long for the audio"),
        ({"symbols": 12, "frames": 11}, {}, "text too long for the audio"),  # fewer frames than symbols cannot be aligned
        ({}, {"clipped": 0.5}, None),
    ],
)
def test_every_reason_to_drop_an_utterance(changes, info, reason):
    assert drop_reason(row("a", **changes), dataclasses.replace(GOOD, **info), FilterLimits()) == reason


def test_text_may_be_missing_where_that_is_allowed():
    assert drop_reason(row("a", symbols=0), GOOD, FilterLimits(require_text=False)) is None


@pytest.fixture
def folder(tmp_path):
    rows = [row("short", seconds=0.05, symbols=1), row("mute"), row("good"), row("loud")]
    infos = {"mute": {"peak": 0.0}, "loud": {"clipped": 0.01}}
    for each in rows:
        info = dataclasses.replace(GOOD, **infos.get(each.id, {}))
        write_features(features_path(tmp_path, each.id), np.zeros((2, 1), np.float32), np.zeros(1, np.float32), info)
    write_manifest(tmp_path / MANIFEST, rows)
    return tmp_path


def test_reasons_are_counted_and_written_to_a_report(folder):
    report = filter_features(folder, FilterLimits())
    assert [r.id for r in read_manifest(folder)] == ["good", "loud"]
    expected = ["kept 2 of 4 utterances", "  dropped, silent: 1", "  dropped, too short: 1", "  warning, clipped: 1"]
    assert report.summary().splitlines() == expected
    written = json.loads((folder / "filter.json").read_text())
    assert written["dropped"] == {"silent": ["mute"], "too short": ["short"]}
    assert written["warned"] == {"clipped": ["loud"]}
    assert written["limits"]["min_seconds"] == 0.1


def test_filtering_again_starts_from_everything(folder):
    filter_features(folder, FilterLimits())
    assert filter_features(folder, FilterLimits(min_seconds=0.01)).kept == 3
    assert [r.id for r in read_manifest(folder)] == ["short", "good", "loud"]


def test_an_empty_result_is_an_error_and_changes_nothing(folder):
    with pytest.raises(DataError, match=r"no utterance is left for training; kept 0 of 4"):
        filter_features(folder, FilterLimits(min_seconds=5))
    assert len(read_manifest(folder)) == 4


def test_the_features_stage_keeps_the_filter_unless_something_is_new(tmp_path):
    corpus = read_corpus(make_corpus(tmp_path / "corpus", 3, 0.5))
    soundfile.write(corpus[0].audio, np.zeros(8000), 16000)
    settings, out = FeatureSettings(audio=AudioConfig()), tmp_path / "out"
    prepare_features(corpus[:2], out, settings, "characters")
    assert filter_features(out, FilterLimits()).kept == 1
    prepare_features(corpus[:2], out, settings, "characters")
    assert [r.id for r in read_manifest(out)] == ["ada-0002"]
    prepare_features(corpus, out, settings, "characters")
    assert len(read_manifest(out)) == 3
    assert filter_features(out, FilterLimits()).kept == 2


@pytest.fixture
def kaldi(tmp_path):
    corpus = read_corpus(make_corpus(tmp_path / "corpus", 4, 0.3))
    write_kaldi_dir(tmp_path / "data", corpus)
    return tmp_path / "data", corpus


def test_a_sound_kaldi_directory_has_no_problem(kaldi):
    assert validate_kaldi_dir(kaldi[0]) == ([], [])


def test_each_bad_row_has_one_reason_and_fix_drops_it(kaldi):
    folder, corpus = kaldi
    corpus[0].audio.write_bytes(b"not audio")
    corpus[1].audio.unlink()
    soundfile.write(corpus[2].audio, np.zeros(0), 16000)
    problems, unusable = validate_kaldi_dir(folder)
    assert [p.split(": ", 1)[0] for p in problems] == [f"{folder}/wav.scp:{n}" for n in (1, 2, 3)]
    for problem, reason in zip(problems, ("not audio libsndfile can read", "no such file", "has no samples"), strict=True):
        assert reason in problem
    assert unusable == [u.id for u in corpus[:3]]
    fix_kaldi_dir(folder, unusable)
    assert validate_kaldi_dir(folder) == ([], [])


def test_missing_text_is_a_problem_only_where_text_is_needed(kaldi):
    folder, corpus = kaldi
    write_kaldi_dir(folder, [dataclasses.replace(u, text="") for u in corpus[:1]] + corpus[1:])
    assert validate_kaldi_dir(folder) == ([f"{folder}/text:1: ada-0001 has no text."], ["ada-0001"])
    assert validate_kaldi_dir(folder, require_text=False) == ([], [])
    assert find_problems(folder) == []


def test_pipes_are_reported_without_being_opened(kaldi):
    folder, corpus = kaldi
    lines = (folder / "wav.scp").read_text().splitlines()
    lines[0] = f"{corpus[0].id} sox x.wav -t wav - |"
    (folder / "wav.scp").write_text("\n".join(lines) + "\n")
    problems, unusable = validate_kaldi_dir(folder)
    assert len(problems) == 1
    assert "pipe command" in problems[0]
    assert unusable == []

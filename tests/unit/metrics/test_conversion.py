import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import save_file

from tts.audio.io import read_audio
from tts.audio.pitch import extract_f0
from tts.config import AudioConfig
from tts.data.corpora import read_corpus
from tts.data.kaldi_dir import write_kaldi_dir
from tts.data.pairs import Pair
from tts.errors import DataError, SpeakerError
from tts.metrics.asr import NotMeasured, Recognizer
from tts.metrics.conversion import Judges, evaluate_conversion, f0_shift
from tts.metrics.conversion_set import ConversionSet, read_recordings
from tts.testing import make_corpus, make_features, make_tone

AUDIO = AudioConfig()
DEAF = NotMeasured("a test has no ears.")
TURN = 3.0  # radians of the fake encoder's vector per ln F0
APART = np.cos(TURN * np.log(1.3))  # the cosine of two voices of the corpus, which are 1.3 apart in F0


class PitchEncoder:
    """Knows a voice by its F0 alone: the unit vector at the angle TURN ln(median F0)."""

    name = "fake"

    def embed(self, wav, rate):
        f0 = extract_f0(wav, AUDIO, len(wav) // 256)
        angle = TURN * np.log(np.median(f0[f0 > 0]))
        return np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)


class Ear(Recognizer):
    """Hears no word, and counts what it is given."""

    def __init__(self):
        super().__init__(None, "a deaf ear")
        self.calls = 0

    def transcribe(self, wav, rate, language="en"):
        self.calls += 1
        return ""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return read_corpus(make_corpus(tmp_path_factory.mktemp("pairs") / "corpus", 3, 0.8, ("ada", "bob")))


def recording(corpus, speaker, sentence):
    return next(u.audio for u in corpus if u.id == f"{speaker}-{sentence:04d}")


@pytest.fixture(scope="module")
def pairs(corpus):
    """Both voices to each other's; the words of two sentences, the voice of the third."""
    ways = [("ada", "bob"), ("bob", "ada")]
    return [Pair(f"{a}_{i}_{b}", recording(corpus, a, i), str(recording(corpus, b, 3))) for a, b in ways for i in (1, 2)]


def convert(folder, pairs, corpus, parallel):
    """A folder as `glottis convert-set` writes it: the source itself, or (parallel) the target's reading of its words."""
    folder.mkdir(parents=True)
    rows = []
    for pair in pairs:
        source, speaker = pair.source, pair.name.split("_")[2]
        wave = recording(corpus, speaker, int(source.stem[-4:])) if parallel else source
        shutil.copy(wave, folder / f"{pair.name}.wav")
        mel = np.random.default_rng(0).normal(size=(80, 50)).astype(np.float32)
        save_file({"mel": mel, "source_prior": mel, "filter_prior": mel}, folder / f"{pair.name}.safetensors")
        rows.append({"id": pair.name, "duration": 1.0, "seconds": {"priors": 0.1, "denoisers": 0.3}})
    written = {"vocoder": "a vocoder", "sampling": {"steps": 8, "filter_style": "target"}, "utterances": rows}
    (folder / "decode.json").write_text(json.dumps(written))
    return folder


def hum(mel):
    """A vocoder that hums: 256 samples a frame."""
    return torch.from_numpy(make_tone(120.0, mel.shape[-1] * 256 / 16000))[None]


@pytest.fixture(scope="module")
def results(corpus, pairs, tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    decoded = [convert(out / name, pairs, corpus, name == "swapped") for name in ("kept", "swapped")]
    ear = Ear()
    judges = Judges(ear, {"fake": PitchEncoder(), "none": NotMeasured("it is nowhere.")})
    data = ConversionSet(out / "pairs.tsv", pairs, corpus, AUDIO)
    options = {"vocoders": {"a vocoder": hum}, "judges": judges, "command": "a & b"}
    return evaluate_conversion(decoded, data, out / "e", **options), out / "e", ear


def of(results, name):
    return next(s["summary"] for s in results[0]["systems"] if s["name"].endswith(name))


def test_the_rows_are_the_converted_sets_the_vocoded_sources_and_the_recordings_of_both_sides(results):
    names = [s["name"].rpartition("/")[2] for s in results[0]["systems"]]
    assert names == ["kept", "swapped", "sources through a vocoder", "target recordings", "source recordings"]


def test_a_conversion_that_does_nothing_is_the_source(results):
    kept = of(results, "kept")
    assert kept["fake_source"] == pytest.approx(1)
    assert kept["fake_target"] == pytest.approx(APART, abs=0.03)
    assert (kept["fake_nearer"], kept["fake_eer"]) == (0, 1)
    assert kept["log_f0_correlation"] == pytest.approx(1)
    assert kept["contour_rmse"] == kept["voicing_error"] == 0
    assert kept["f0_shift"] == 0
    assert kept["detail_wave"] == pytest.approx(1)


def test_the_targets_own_reading_of_the_words_is_a_perfect_conversion(results):
    swapped = of(results, "swapped")
    assert swapped["fake_target"] == pytest.approx(1, abs=0.02)
    assert swapped["fake_source"] == pytest.approx(APART, abs=0.03)
    assert (swapped["fake_nearer"], swapped["fake_eer"]) == (1, 0)
    assert swapped["log_f0_correlation"] > 0.8  # the same fall over the words, and vibrato
    assert swapped["contour_rmse"] < 0.02 < np.log(1.3)
    assert swapped["f0_shift"] == pytest.approx(1, abs=0.05)
    low, high = swapped["fake_target_interval"]
    assert low <= swapped["fake_target"] <= high


def test_the_recordings_are_the_floor_and_the_ceiling(results):
    sources, targets = of(results, "source recordings"), of(results, "target recordings")
    assert sources["fake_target"] == targets["fake_source"] == pytest.approx(APART, abs=0.03)
    assert targets["fake_target"] == pytest.approx(1, abs=0.02)
    assert sources["fake_source"] == pytest.approx(1, abs=0.02)
    assert (targets["fake_eer"], sources["fake_eer"]) == (0, 1)
    assert (sources["f0_shift"], targets["f0_shift"]) == (0, pytest.approx(1))
    assert "log_f0_correlation" not in targets


def test_a_humming_vocoder_keeps_no_contour(results):
    vocoded = of(results, "sources through a vocoder")
    assert vocoded["voicing_error"] > 0.1
    assert "detail" not in vocoded
    assert vocoded["f0_hz"] == pytest.approx(120, rel=0.02)


def test_words_are_those_of_each_side_and_a_file_is_heard_once(results):
    assert all(system["summary"]["wer"] == 1 for system in results[0]["systems"])
    texts = {s["name"]: [u["text"] for u in s["utterances"]] for s in results[0]["systems"]}
    assert texts["source recordings"][0] != texts["target recordings"][0] == texts["target recordings"][1]
    assert results[2].calls == 4 * 3 + 4 + 2  # two sets and the vocoded; four sources; two targets


def test_computing_time_is_divided_by_the_time_of_speech(results):
    system = results[0]["systems"][0]
    speech = sum(u["seconds"] for u in system["utterances"])
    assert system["summary"]["rtf"]["denoisers"] == pytest.approx(4 * 0.3 / speech)


def test_the_block_names_judges_settings_and_columns(results):
    block = (results[1] / "RESULTS.md").read_text()
    assert "pairs.tsv: 4 pairs, corpus of recordings" in block
    assert "- speaker encoders: fake; none not measured: it is nowhere." in block
    assert "steps 8, filter_style target" in block
    assert re.search(r"\| fake SECS \| 95 % CI \| fake to source \| fake nearer % \| fake EER % \| F0 corr\. \|", block)
    assert "none SECS" not in block


def test_the_page_draws_f0_of_all_that_keep_time_and_says_how_near_each_is(results):
    page = (results[1] / "report.html").read_text()
    assert len(re.findall(r'src="data:audio/flac;base64,', page)) == 4 * 5
    colours = [set(re.findall(r'stroke="(#\w+)"', svg)) for svg in re.findall(r"<svg.*?</svg>", page)]
    keys = re.findall(r'<tr><td><i class="key" style="background:(#\w+)">', page)
    assert colours == [set(keys) - {keys[3]}] * 4  # the target recordings keep their own time
    assert "fake: 1.00 to the target" in page


def test_results_json_is_strict_json_with_every_pair(results):
    def refuse(name):
        raise ValueError(name)

    found = json.loads((results[1] / "results.json").read_text(), parse_constant=refuse)
    assert [len(s["utterances"]) for s in found["systems"]] == [4] * 5
    assert found["systems"][0]["utterances"][0]["similarity"]["fake"].keys() == {"target", "source"}


def test_a_target_given_by_name_is_heard_in_several_recordings_and_compared_with_another(corpus, tmp_path):
    pair = Pair("1", recording(corpus, "ada", 1), "bob")
    case = ConversionSet(tmp_path / "pairs.tsv", [pair], corpus, AUDIO).cases["1"]
    assert [path.stem for path in case.references] == ["bob-0001", "bob-0002"]
    assert (case.target.id, case.other_target.stem) == ("bob-0001", "bob-0003")
    assert case.other_source.stem in {"ada-0002", "ada-0003"}
    with pytest.raises(SpeakerError, match=r"no recording of the target 'eve' of 1 is known; known speakers: ada, bob"):
        ConversionSet(tmp_path / "pairs.tsv", [Pair("1", pair.source, "eve")], corpus, AUDIO)


def test_without_texts_speakers_encoders_and_ear_the_rest_is_measured(corpus, pairs, tmp_path):
    decoded = [convert(tmp_path / "kept", pairs[:1], corpus, parallel=False)]
    data = ConversionSet(tmp_path / "pairs.tsv", pairs, [], AUDIO)
    judges = Judges(DEAF, {"none": NotMeasured("it is nowhere.")})
    found = evaluate_conversion(decoded, data, tmp_path / "e", vocoders={}, judges=judges, command="c")
    assert found["n_pairs"] == 1
    assert found["systems"][0]["summary"]["log_f0_correlation"] == pytest.approx(1)
    assert [s["name"] for s in found["systems"]][1:] == ["target recordings", "source recordings"]
    with_voice = Judges(DEAF, {"fake": PitchEncoder()})
    found = evaluate_conversion(decoded, data, tmp_path / "e", vocoders={}, judges=with_voice, command="c")
    targets, sources = (s["summary"] for s in found["systems"][1:])
    assert np.isnan(targets["fake_target"]) and targets["fake_target_interval"] is None
    assert sources["fake_target"] == pytest.approx(APART, abs=0.03)


def test_a_conversion_that_is_not_as_long_as_its_source_is_refused(corpus, pairs, tmp_path):
    folder = convert(tmp_path / "kept", pairs[:1], corpus, parallel=False)
    wav, rate = read_audio(folder / f"{pairs[0].name}.wav")
    soundfile.write(folder / f"{pairs[0].name}.wav", wav[: -rate // 4], rate)
    data = ConversionSet(tmp_path / "pairs.tsv", pairs, corpus, AUDIO)
    with pytest.raises(DataError, match=r"0\.2\d s longer or shorter than .*ada-0001\.wav; conversion keeps time"):
        evaluate_conversion([folder], data, tmp_path / "e", vocoders={}, judges=Judges(DEAF, {}), command="c")


def test_a_set_of_other_pairs_is_refused(corpus, pairs, tmp_path):
    folder = convert(tmp_path / "kept", pairs[:1], corpus, parallel=False)
    data = ConversionSet(tmp_path / "pairs.tsv", pairs[1:], corpus, AUDIO)
    with pytest.raises(DataError, match=r"pairs\.tsv: has none of the decoded utterances ada_1_bob"):
        evaluate_conversion([folder], data, tmp_path / "e", vocoders={}, judges=Judges(DEAF, {}), command="c")


def test_f0_that_went_half_the_way_up_and_down_shifted_by_a_half():
    up = {"f0_hz_source": 100.0, "f0_hz": np.sqrt(100.0 * 200.0), "f0_hz_target": 200.0}
    down = {"f0_hz_source": 240.0, "f0_hz": np.sqrt(240.0 * 100.0), "f0_hz_target": 100.0}
    unvoiced = {"f0_hz_source": 240.0, "f0_hz": float("nan"), "f0_hz_target": 100.0}
    assert f0_shift([up, down, unvoiced]) == pytest.approx(0.5)
    assert np.isnan(f0_shift([unvoiced]))


def test_recordings_are_read_from_a_kaldi_directory_a_features_folder_or_a_manifest(corpus, tmp_path):
    write_kaldi_dir(tmp_path / "kaldi", corpus)
    assert read_recordings(tmp_path / "kaldi") == sorted(corpus, key=lambda u: u.id)
    make_features(tmp_path / "features", 1, 0.3)
    found = read_recordings(tmp_path / "features")
    assert found == read_recordings(tmp_path / "features" / "manifest.jsonl")
    assert (found[0].speaker, Path(found[0].audio).name) == ("ada", "ada-0001.wav")

import base64
import dataclasses
import io
import json
import re

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread
from safetensors.numpy import save_file
from scipy.ndimage import uniform_filter

from tts.audio.io import read_audio, write_audio
from tts.data.features import trim_silence
from tts.data.manifest import read_manifest, write_manifest
from tts.errors import DataError
from tts.metrics.asr import NotMeasured, Recognizer
from tts.metrics.evaluation import evaluate, json_ready, score_words
from tts.metrics.systems import EvaluationSet, corpus_kind, read_decoded
from tts.metrics.tables import markdown_table, results_block
from tts.testing import make_features

SILENT = NotMeasured("a test has no ears.")


class Ear(Recognizer):
    """Hears one word too many in the first utterance of every system, and all others right."""

    def __init__(self, texts):
        super().__init__(None, "an ear")
        self.texts, self.calls = texts, 0

    def transcribe(self, wav, rate, language="en"):
        number, self.calls = self.calls % len(self.texts), self.calls + 1
        return self.texts[number] + (" indeed" if number == 0 else "")


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation") / "train"
    make_features(folder, 3, 0.8)
    return folder


def decode(features, folder, change=lambda mel: mel, rate=16000):
    """A folder as `glottis decode` writes it: the recordings' own waves, and their mels changed."""
    folder.mkdir(parents=True)
    data, rows = EvaluationSet(features), []
    for row in data.rows.values():
        mel, f0 = data.reference(row.id)
        wav = trim_silence(read_audio(row.audio, 16000)[0], 16000, 40.0, 0.05)
        write_audio(folder / f"{row.id}.wav", wav, rate)
        arrays = {"mel": change(mel), "source_prior": mel * 0, "filter_prior": mel, "f0": f0}
        save_file({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in arrays.items()}, folder / f"{row.id}.safetensors")
        seconds = {"text": 0.1, "priors": 0.2, "denoisers": 0.3, "vocoder": 0.4}
        rows.append({"id": row.id, "text": row.text, "speaker": row.speaker, "duration": len(wav) / rate, "seconds": seconds})
    written = {"vocoder": "a vocoder", "sampling": {"sampler": "prior", "steps": 8}, "utterances": rows}
    (folder / "decode.json").write_text(json.dumps(written))
    return folder


def vocode(mel):
    """A vocoder that hums: 256 samples a frame."""
    import torch

    from tts.testing import make_tone

    return torch.from_numpy(make_tone(120.0, mel.shape[-1] * 256 / 16000))[None]


@pytest.fixture(scope="module")
def results(features, tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    same = decode(features, out / "same")
    louder = decode(features, out / "louder", lambda mel: mel + 0.7)
    blurred = decode(features, out / "blurred", lambda mel: uniform_filter(mel, 3))
    ear = Ear([row.text for row in read_manifest(features)])
    decoded, vocoders = [same, louder, blurred], {"a vocoder": vocode}
    return evaluate(decoded, features, out / "e", vocoders=vocoders, recognizer=ear, command="a & b"), out / "e"


def of(results, name):
    return next(s["summary"] for s in results[0]["systems"] if s["name"].endswith(name))


def test_the_rows_are_the_decoded_sets_the_vocoded_recordings_and_the_recordings(results):
    names = [s["name"] for s in results[0]["systems"]]
    assert [name.rpartition("/")[2] for name in names] == [
        "same",
        "louder",
        "blurred",
        "recordings through a vocoder",
        "recordings",
    ]


def test_a_model_that_gives_the_recordings_mel_is_without_error(results):
    summary = of(results, "same")
    assert summary["mel_l1"] == 0
    assert summary["detail"] == pytest.approx(1)
    assert summary["variance_wave"] == pytest.approx(1, abs=0.2)  # Griffin-Lim stands between
    assert summary["mel_l1_wave"] == pytest.approx(0, abs=0.02)  # 16-bit, and one frame less
    assert summary["log_f0_correlation"] > 0.99
    assert summary["log_f0_rmse"] < 0.01
    assert summary["voicing_error"] < 0.02
    assert 0 < summary["duration_error"] < 0.03


def test_a_level_error_is_measured_in_units_of_the_normalised_mel_and_is_no_loss_of_detail(results):
    summary, std = of(results, "louder"), results[0]["mel_std"]
    assert results[0]["mel_std_from"] == "deviation of the training set"
    assert summary["mel_l1"] == pytest.approx(0.7 / std, rel=1e-5)
    assert summary["detail"] == pytest.approx(1, rel=1e-5)


def test_a_blurred_mel_loses_detail(results):
    assert of(results, "blurred")["detail"] < 0.5
    assert of(results, "blurred")["detail_wave"] == pytest.approx(of(results, "same")["detail_wave"])


def test_word_errors_are_those_of_the_ear_and_stand_beside_an_interval(results, features):
    rows = read_manifest(features)
    words = [len(row.text.split()) for row in rows]
    system = results[0]["systems"][0]
    assert system["summary"]["wer"] == pytest.approx(1 / sum(words))
    low, high = system["summary"]["wer_interval"]
    assert 0 == low < system["summary"]["wer"] <= high
    assert [u["wer"] for u in system["utterances"]] == pytest.approx([1 / words[0], 0, 0])
    assert system["utterances"][0]["heard"] == rows[0].text + " indeed"


def test_computing_time_is_divided_by_the_time_of_speech_by_part(results):
    system = results[0]["systems"][0]
    speech = sum(u["seconds"] for u in system["utterances"])
    assert system["summary"]["rtf"]["denoisers"] == pytest.approx(3 * 0.3 / speech)
    assert list(system["summary"]["rtf"]) == ["text", "priors", "denoisers", "vocoder"]
    assert "rtf" not in of(results, "recordings")


def test_a_hum_through_the_vocoder_has_another_spectrum_and_no_melody(results):
    hum = of(results, "recordings through a vocoder")
    assert hum["mcd"] > 3 > of(results, "same")["mcd"]
    assert "mel_l1" not in hum
    assert hum["duration_error"] == 0


def test_results_json_is_strict_json_with_every_utterance(results):
    def refuse(name):
        raise ValueError(name)

    found = json.loads((results[1] / "results.json").read_text(), parse_constant=refuse)
    assert found["n_utterances"] == 3
    assert [len(s["utterances"]) for s in found["systems"]] == [3] * 5
    assert json_ready({"a": [float("nan"), 1.0]}) == {"a": [None, 1.0]}


def test_the_block_says_what_how_with_what_and_on_what(results):
    block = (results[1] / "RESULTS.md").read_text()
    assert "3 utterances, corpus of recordings" in block
    assert "- ASR: an ear\n" in block
    assert "- vocoder: a vocoder\n" in block
    assert "```\na & b\n```" in block
    assert re.search(r"- versions: glottis \S+, python \S+, torch ", block)
    assert re.search(r"\| \S*louder \| \d+\.\d \|", block)
    assert f"ln / {results[0]['mel_std']:.3f}, deviation of the training set" in block


def test_the_page_holds_all_it_shows(results):
    page = (results[1] / "report.html").read_text()
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "http" not in re.sub(r'"data:[^"]*"', "", page)
    players = re.findall(r'src="data:audio/flac;base64,([^"]+)"', page)
    assert len(players) == 3 * 5
    wav, rate = soundfile.read(io.BytesIO(base64.b64decode(players[0])))
    assert (rate, len(wav) / rate) == (16000, results[0]["systems"][0]["utterances"][0]["seconds"])
    images = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(images) == 3 * (3 * 3 + 2)  # model mel and two priors of three systems, wave mel of two
    assert imread(io.BytesIO(base64.b64decode(images[0]))).shape[:2] == (
        80,
        results[0]["systems"][0]["utterances"][0]["frames"] + 1,
    )
    assert page.count("<svg") == 3
    assert "a &amp; b" in page


def test_without_an_ear_the_table_says_so_and_how_to_get_one(features, tmp_path):
    found = evaluate(
        [decode(features, tmp_path / "same")], features, tmp_path / "e", vocoders={}, recognizer=SILENT, command="c"
    )
    assert "wer" not in found["systems"][0]["summary"]
    assert found["systems"][0]["utterances"][0]["heard"] is None
    assert "- ASR: not measured: a test has no ears." in results_block(found)
    assert re.search(r"same \| – \| 0\.000 \|", markdown_table(found["systems"]))
    assert [s["name"] for s in found["systems"]][1:] == ["recordings"]


def test_numbers_are_spelled_out_on_both_sides_and_sentences_without_words_are_passed_over():
    rows = [{"text": "It was 1854.", "heard": "it was eighteen fifty-four"}, {"text": "--", "heard": "hm"}]
    assert score_words(rows)["wer"] == 0
    assert "wer" not in rows[1]
    assert score_words([{"text": "--", "heard": "hm"}]) == {}


def test_only_sentences_on_both_sides_are_compared(features, tmp_path):
    folder = decode(features, tmp_path / "same")
    found = json.loads((folder / "decode.json").read_text())
    found["utterances"] = found["utterances"][1:]
    (folder / "decode.json").write_text(json.dumps(found))
    results = evaluate([folder], features, tmp_path / "e", vocoders={}, recognizer=SILENT, command="c")
    assert results["n_utterances"] == 2
    found["utterances"] = []
    (folder / "decode.json").write_text(json.dumps(found))
    with pytest.raises(DataError, match="none of the decoded utterances"):
        evaluate([folder], features, tmp_path / "e", vocoders={}, recognizer=SILENT, command="c")


def test_waves_of_another_rate_and_broken_folders_are_refused(features, tmp_path):
    fast = decode(features, tmp_path / "fast", rate=22050)
    with pytest.raises(DataError, match=r"22050 Hz, the features in .* are for 16000 Hz"):
        evaluate([fast], features, tmp_path / "e", vocoders={}, recognizer=SILENT, command="c")
    (fast / "decode.json").write_text("{}")
    with pytest.raises(DataError, match=r"no 'utterances' in it\. Run the decode stage again"):
        read_decoded([fast])


def test_folders_of_one_name_are_told_apart(features, tmp_path):
    folders = [decode(features, tmp_path / run / "exp" / "decode" / "eval") for run in ("a", "b")]
    assert [s.name for s in read_decoded(folders)] == ["a/exp/decode/eval", "b/exp/decode/eval"]
    assert [s.name for s in read_decoded(folders[:1])] == ["exp/decode/eval"]


@pytest.mark.parametrize(
    ("card", "kind"),
    [
        ("# Corpus\n\n**Synthetic** speech of five voices.\n", "synthetic corpus"),
        ("# Corpus\n\nTwo people, no synthetic speech.\n", "corpus of recordings"),
        ("# Corpus\n", "corpus of recordings"),
    ],
)
def test_a_corpus_says_itself_whether_it_is_synthetic(features, tmp_path, card, kind):
    (tmp_path / "README.md").write_text(card)
    rows = [dataclasses.replace(row, audio=str(tmp_path / "wavs" / "x.wav")) for row in read_manifest(features)]
    assert corpus_kind(rows) == kind


def test_without_training_statistics_the_set_gives_the_unit(features, tmp_path):
    rows = read_manifest(features)
    (tmp_path / "set").mkdir()
    for name in ("audio.json", "features"):
        (tmp_path / "set" / name).symlink_to(features / name)
    write_manifest(tmp_path / "set" / "manifest.jsonl", rows)
    std, source = EvaluationSet(tmp_path / "set").mel_scale
    assert "for want of training statistics" in source
    assert std == pytest.approx(EvaluationSet(features).mel_scale[0], rel=1e-4)

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from tts.apps.cli import main
from tts.data.corpora import read_corpus
from tts.data.kaldi_dir import write_kaldi_dir
from tts.data.pairs import read_pairs
from tts.testing import make_corpus


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two voices, two pairs drawn of them by the command, and a "conversion" that leaves the sources as they are."""
    root = tmp_path_factory.mktemp("conversion")
    write_kaldi_dir(root / "data", read_corpus(make_corpus(root / "corpus", 2, 0.3, ("ada", "bob"))))
    assert main(["prepare", "pairs", "--data", str(root / "data"), "--n", "2", "--out", str(root / "pairs.tsv")]) == 0
    (root / "decode").mkdir()
    rows = []
    for pair in read_pairs(root / "pairs.tsv"):
        shutil.copy(pair.source, root / "decode" / f"{pair.name}.wav")
        save_file({"mel": np.zeros((80, 9), dtype=np.float32)}, root / "decode" / f"{pair.name}.safetensors")
        rows.append({"id": pair.name, "seconds": {"denoisers": 0.1}})
    written = {"vocoder": "griffin_lim", "sampling": {}, "utterances": rows}
    (root / "decode" / "decode.json").write_text(json.dumps(written))
    return root


def test_the_command_draws_pairs_of_both_directions(folders):
    names = [pair.name for pair in read_pairs(folders / "pairs.tsv")]
    assert sorted(name.partition("_")[2] for name in names) == ["ada_bob", "bob_ada"]


def test_a_converted_set_gets_a_table_a_block_and_a_page(folders, capsys, monkeypatch):
    monkeypatch.setattr("tts.metrics.speakers.find_encoders", lambda ecapa: {})
    words = ["--decoded", folders / "decode", "--pairs", folders / "pairs.tsv", "--texts", folders / "data", "--no-asr"]
    assert main(["evaluate-conversion", *map(str, words), "--out", str(folders / "out")]) == 0
    printed = capsys.readouterr().out
    assert "| sources through griffin_lim | – |" in printed
    assert "ASR: not measured: --no-asr was given." in printed
    assert sorted(p.name for p in (folders / "out").iterdir()) == ["RESULTS.md", "report.html", "results.json", "vocoded"]
    block = (folders / "out" / "RESULTS.md").read_text()
    assert f"glottis evaluate-conversion --decoded {folders / 'decode'} --pairs {folders / 'pairs.tsv'} --texts" in block


def test_a_bad_list_of_pairs_is_one_line_and_status_1(folders, tmp_path, capsys):
    (tmp_path / "pairs.tsv").write_text("1\tnowhere.wav\tbob\n")
    words = ["--decoded", folders / "decode", "--pairs", tmp_path / "pairs.tsv", "--out", tmp_path / "out"]
    assert main(["evaluate-conversion", *map(str, words)]) == 1
    assert "pairs.tsv:1: no such file for the source: nowhere.wav" in capsys.readouterr().err
